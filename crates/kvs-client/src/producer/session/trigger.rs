//! Upload on demand: the buffer is a ring, and a trigger says which part of it is sent.

use std::time::{Duration, Instant};

use kvs_media::ProducerTime;

use super::super::buffer::{Fragment, FragmentId};
use super::link::Link;
use super::{Output, Session};

/// A fragment that begins so long before what was asked for belongs to another run of time; a
/// cluster may begin a little before its first frame.
const STEP: Duration = Duration::from_secs(10);

/// What was asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The time of the latest frame.
    now: Option<ProducerTime>,
    /// From when to when.
    window: Option<(ProducerTime, ProducerTime)>,
    /// A trigger came before the first frame: so much behind that one is asked for.
    first: Option<Duration>,
}

impl Session {
    /// Sends what is `before` older than the latest frame at most, and `after` newer, each from the
    /// start of its fragment. What is sent or asked for already is not sent twice.
    pub(in super::super) fn trigger(&mut self, before: Duration, after: Duration, now: Instant) {
        let Some(at) = self.asked.now else {
            self.asked.first = self.asked.first.max(Some(after));
            return;
        };
        let from = ProducerTime::from_ns(at.as_ns().saturating_sub(ns(before)));
        let until = at.saturating_add_ns(ns(after));
        let open = self.asked.window.filter(|(_, end)| *end >= from);
        self.asked.window = Some(match open {
            Some((start, end)) => (start.min(from), end.max(until)),
            None => (from, until),
        });
        for fragment in &mut self.buffer.fragments {
            let ends = fragment.span.map(|span| span.to);
            fragment.held &= ends.is_none_or(|end| end < from);
        }
        self.take_pieces(now);
    }

    /// Takes note of a frame's time.
    pub(super) fn note_time(&mut self, time: ProducerTime) {
        self.asked.now = Some(time);
        if let Some(after) = self.asked.first.take() {
            self.asked.window = Some((time, time.saturating_add_ns(ns(after))));
        }
    }

    /// A fragment has begun: is it asked for?
    pub(super) fn hold(&mut self) {
        if !self.config.on_trigger {
            return;
        }
        let window = self.asked.window;
        if let Some(open) = self.buffer.fragments.back_mut() {
            let start = self.scale.time(open.start);
            let is_in = |(from, until): (ProducerTime, ProducerTime)| {
                from.saturating_ns_since(start) <= ns(STEP) && start <= until
            };
            open.held = !window.is_some_and(is_in);
        }
    }

    /// Forgets what nobody has asked for and is too old, or all of it where no more is to come.
    pub(super) fn forget(&mut self) {
        let Some(now) = self.asked.now.filter(|_| self.config.on_trigger) else {
            return;
        };
        let reach = ns(self.config.buffer_duration);
        let all = self.deadline.is_some();
        while let Some(id) = self.oldest_held() {
            let end = self.buffer.get(id).and_then(|oldest| oldest.span);
            let age = end.map_or(0, |span| now.saturating_ns_since(span.to));
            if age <= reach && !all {
                return;
            }
            self.buffer.give_up(id);
        }
    }

    /// Forgets the oldest that nobody has asked for; `false` if there is none.
    pub(super) fn forget_one(&mut self) -> bool {
        let oldest = self.oldest_held();
        if let Some(id) = oldest {
            self.buffer.give_up(id);
        }
        oldest.is_some()
    }

    fn oldest_held(&self) -> Option<FragmentId> {
        let forgettable = |f: &Fragment| f.held && f.closed && f.is_there();
        let at = self.buffer.fragments.iter().position(forgettable)?;
        Some(FragmentId(self.buffer.tail().0 + at as u64))
    }

    /// Whether what comes next on a connection is not to be sent, so that it has to end.
    pub(super) fn rests(&self, link: &Link) -> bool {
        self.buffer.get(link.current).is_some_and(|next| next.held)
    }

    /// Where the next connection begins. What is asked for now may be older than what was sent.
    pub(super) fn resume_from(&self) -> FragmentId {
        match self.config.on_trigger {
            true => self.buffer.tail(),
            false => self.resume_at,
        }
    }

    /// Lets the spool know what was asked for since.
    pub(super) fn release(&mut self) {
        if self.config.on_trigger {
            let files = self.buffer.asked_for();
            self.outputs.extend(files.into_iter().map(Output::Release));
        }
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

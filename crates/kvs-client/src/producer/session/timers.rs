//! What happens because time has passed.

use std::time::{Duration, Instant};

use super::control::Step;
use super::link::{Link, Phase};
use super::{Output, Session};

/// A source that is silent for so long is idle. The service ends an idle connection after 30 s, and
/// complains if its last fragment is not marked as complete by then.
const IDLE: Duration = Duration::from_secs(5);
/// How long an opened connection may stay without any answer.
const ANSWER_MAX: Duration = Duration::from_secs(15);

impl Session {
    /// When [`Input::Timeout`](super::Input::Timeout) is due.
    pub(in super::super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.is_over() || self.concluding.is_some() {
            return None;
        }
        let links = [&self.active, &self.next, &self.retiring];
        let stale = links.into_iter().flatten();
        let timers = [
            self.interleave.poll_timeout(),
            self.retry.map(|(at, _)| at),
            self.deadline,
            self.first_contact_until(),
            self.idle_at(),
            self.next_link_at(),
            self.connect_at(now),
            self.spool_retry_at(),
            stale.filter_map(|link| self.stale_at(link)).min(),
        ];
        timers.into_iter().flatten().min()
    }

    /// Does whatever is due.
    pub(super) fn timed_out(&mut self, now: Instant) {
        if self.first_contact_until().is_some_and(|at| at <= now) {
            return self.never_contacted(now);
        }
        self.interleave.handle_timeout(now);
        if let Some((_, step)) = self.retry.take_if(|(at, _)| *at <= now) {
            self.take_step(step);
        }
        if self.idle_at().is_some_and(|at| at <= now) {
            self.go_idle(now);
        }
        if self.is_stale(&self.active, now) || self.is_stale(&self.retiring, now) {
            self.lost(Step::Connect, "the service does not answer any more", now);
        }
        if self.is_stale(&self.next, now)
            && let Some(link) = self.next.take()
        {
            self.outputs.push_back(Output::Close(link.id));
        }
        self.open_next(now);
    }

    fn is_stale(&self, link: &Option<Link>, now: Instant) -> bool {
        let stale = link.as_ref().and_then(|link| self.stale_at(link));
        stale.is_some_and(|at| at <= now)
    }

    /// When a connection is given up for its silence.
    fn stale_at(&self, link: &Link) -> Option<Instant> {
        match link.phase {
            Phase::Connecting => Some(link.opened_at + ANSWER_MAX),
            _ if link.sent.is_empty() => None,
            _ => Some(link.heard_at + self.config.connection_staleness),
        }
    }

    /// When a source becomes idle, where everything that came has been written.
    fn idle_at(&self) -> Option<Instant> {
        let link = self.active.as_ref().filter(|link| link.has_started())?;
        let all_written = if link.begun {
            let current = self.buffer.get(link.current)?;
            !current.closed && link.frame == current.frames.len()
        } else {
            self.buffer.sendable_from(link.current).is_none() && !self.buffer.is_open()
        };
        (all_written && self.retiring.is_none()).then_some(self.last_frame? + IDLE)
    }

    /// The last fragment ends here, and the connection behind it.
    fn go_idle(&mut self, now: Instant) {
        self.interleave.close_idle(now);
        self.idle = true;
        if self.active.as_ref().is_some_and(|link| !link.begun) {
            self.rotate(self.buffer.end(), Phase::Ending, now);
        }
    }
}

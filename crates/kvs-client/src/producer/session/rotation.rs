//! One connection takes over from another: by age, for other tracks, for another run of time.

use std::time::{Duration, Instant};

use super::super::buffer::FragmentId;
use super::super::config::ROTATION_MAX;
use super::super::event::ProducerState;
use super::super::timecode::Timecode;
use super::link::{Head, Link, LinkId, Phase};
use super::{Output, Session};

/// The connection that is to take over is opened so long before it has to.
const ROTATION_AHEAD: Duration = Duration::from_secs(3);
/// How long a rotation may wait for the new connection: the service ends the old one 5 min after
/// [`ROTATION_MAX`].
const ROTATION_GRACE: Duration = Duration::from_secs(4 * 60);
/// The service takes five PutMedia calls a second.
const CONNECT_SPACING: Duration = Duration::from_millis(200);

impl Session {
    /// Opens a connection, if there is something to send and none that could.
    pub(super) fn connect_if_due(&mut self, now: Instant) {
        if self.connect_at(now).is_some_and(|at| at <= now) {
            let link = self.open_link(now);
            self.active = Some(link);
            self.set_state(ProducerState::Connecting);
        }
    }

    /// When a connection is to be opened, if one is needed.
    pub(super) fn connect_at(&self, now: Instant) -> Option<Instant> {
        let alone = self.one_at_a_time || self.config.on_trigger;
        let awaits_end = alone && self.retiring.is_some();
        let needed = self.state == ProducerState::Ready
            && self.active.is_none()
            && self.concluding.is_none()
            && !awaits_end
            && self.buffer.sendable_from(self.resume_from()).is_some();
        needed.then(|| self.connected_at.map_or(now, |at| at + CONNECT_SPACING))
    }

    fn open_link(&mut self, now: Instant) -> Link {
        self.links += 1;
        let id = LinkId(self.links);
        self.connected_at = Some(now);
        self.stats.connections += 1;
        let origin = self.origin();
        let head = Head {
            origin: origin.map(|origin| self.scale.time(origin)),
            acks: self.config.acks,
        };
        self.outputs.push_back(Output::Connect(id, head));
        Link::new(id, self.resume_from(), origin.unwrap_or_default(), now)
    }

    /// Where the times of a connection that is opened now count from: nothing that waits is
    /// earlier. `None` are times since 1970.
    fn origin(&self) -> Option<Timecode> {
        (!self.config.absolute_times).then(|| self.buffer.earliest().unwrap_or_default())
    }

    /// The connection that sends is over; another one takes the rest, from `resume_at` on.
    pub(super) fn rotate(&mut self, resume_at: FragmentId, how: Phase, now: Instant) {
        self.resume_at = resume_at;
        if let Some(mut link) = self.active.take() {
            link.phase = how;
            if how == Phase::CutOff {
                link.forget(resume_at);
            }
            self.retiring = Some(link);
            self.drop_cut_off();
        }
        if self.buffer.sendable_from(resume_at).is_none() {
            let last = self.deadline.is_some() && self.retiring.is_some();
            self.set_state(if last {
                ProducerState::Draining
            } else {
                ProducerState::Ready
            });
            return;
        }
        self.set_state(ProducerState::Ready);
        let start = self.buffer.get(resume_at).map(|first| first.start);
        let is_late = |link: &mut Link| start.is_some_and(|start| start < link.origin);
        if let Some(link) = self.next.take_if(is_late) {
            // Time has gone back since it was opened.
            self.outputs.push_back(Output::Close(link.id));
        }
        if let Some(mut link) = self.next.take() {
            link.current = resume_at;
            self.set_state(match link.phase {
                Phase::Connecting => ProducerState::Connecting,
                _ => ProducerState::Streaming,
            });
            self.active = Some(link);
        }
        self.connect_if_due(now);
    }

    /// A connection that was cut off is broken off after the last of the earlier acks.
    pub(super) fn drop_cut_off(&mut self) {
        let done = |link: &mut Link| link.phase == Phase::CutOff && link.sent.is_empty();
        if let Some(link) = self.retiring.take_if(done) {
            self.outputs.push_back(Output::Close(link.id));
        }
    }

    /// When a connection is to be replaced: by its age, or as its credentials expire.
    fn rotates_at(&self, link: &Link) -> Instant {
        let aged = link.opened_at + self.config.rotation_period.min(ROTATION_MAX);
        link.renew_at.map_or(aged, |renew_at| aged.min(renew_at))
    }

    /// Whether the connection is old enough, and another one can take over or has to.
    pub(super) fn is_rotation_due(&self, link: &Link, now: Instant) -> bool {
        let due = self.rotates_at(link);
        let is_open = |next: &Link| next.phase == Phase::Open;
        now >= due
            && (self.next.as_ref().is_some_and(is_open)
                || self.one_at_a_time
                || now >= due + ROTATION_GRACE)
    }

    /// When the connection that is to take over is opened.
    pub(super) fn next_link_at(&self) -> Option<Instant> {
        let active = self.active.as_ref()?;
        let wanted = active.phase == Phase::Open
            && self.next.is_none()
            && self.retiring.is_none()
            && !self.one_at_a_time
            && self.deadline.is_none();
        let due = self.rotates_at(active);
        let due = due.checked_sub(ROTATION_AHEAD).unwrap_or(due);
        let due = due.max(active.opened_at);
        let again = self.connected_at.map(|at| at + ROTATION_AHEAD);
        wanted.then(|| again.map_or(due, |again| due.max(again)))
    }

    /// Opens the connection that is to take over.
    pub(super) fn open_next(&mut self, now: Instant) {
        if self.next_link_at().is_some_and(|at| at <= now) {
            self.next = Some(self.open_link(now));
        }
    }
}

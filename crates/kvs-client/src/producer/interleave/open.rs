//! How a fragment opens, and what it holds while it grows.

use std::sync::Arc;
use std::time::Instant;

use kvs_media::{Track, TrackNumber};

use super::super::event::{FrameSpan, ProducerEvent, Warning};
use super::super::timecode::Timecode;
use super::{Interleave, Piece};

/// The fragment that grows.
#[derive(Debug)]
pub(super) struct Open {
    /// The track that decides where it ends.
    pub(super) lead: TrackNumber,
    /// The cluster's timecode.
    pub(super) start: Timecode,
    /// The lead's first time.
    pub(super) first: Timecode,
    /// The lead's greatest time; that of all tracks is never greater while the fragment is open.
    pub(super) latest: Timecode,
    pub(super) bytes: usize,
    /// A key frame was asked for.
    pub(super) asked: bool,
}

impl Interleave {
    /// Opens a fragment, if a lead has a frame and the others had their chance. `true` if
    /// something moved.
    pub(super) fn try_open(&mut self, now: Instant) -> bool {
        let Some(lead) = self.choose_lead() else {
            return false;
        };
        let Some(front) = self.lanes[lead].queue.front() else {
            return self.give_up_silent(lead, now);
        };
        if self.needs_key && self.lanes[lead].is_video() && !front.frame.key {
            self.leave_out(lead);
            return true;
        }
        let arrived = front.arrived;
        if self.boundary.is_none() && self.awaits_first(lead) && !self.is_over(arrived, now) {
            return false;
        }
        self.begin(lead);
        true
    }

    /// The track that is to decide: the first that is there, or that has frames.
    fn choose_lead(&self) -> Option<usize> {
        (0..self.lanes.len())
            .filter(|&index| self.lanes[index].is_live() || !self.lanes[index].queue.is_empty())
            .min_by_key(|&index| self.lanes[index].rank())
    }

    /// Whether a track that is expected is not declared yet: its encoder may still look ahead.
    fn awaits_track(&self) -> bool {
        self.lanes.len() < self.expected
    }

    /// Whether a live track has not yet said anything.
    fn awaits_first(&self, lead: usize) -> bool {
        let mut others = self.lanes.iter().enumerate();
        self.awaits_track()
            || others.any(|(index, lane)| index != lead && lane.is_live() && lane.reached.is_none())
    }

    /// When the wait for the others' first frames ends, which began at `since`.
    fn first_wait_ends(&self, since: Instant) -> Instant {
        let wait = match self.awaits_track() {
            true => self.silence(),
            false => self.wait(),
        };
        self.quiet_since(since) + wait
    }

    /// Whether that wait has lasted long enough.
    fn is_over(&self, since: Instant, now: Instant) -> bool {
        now >= self.first_wait_ends(since) || self.held_bytes > super::HELD_BYTES_MAX
    }

    /// A lead without a frame is left out once it has been silent for too long.
    fn give_up_silent(&mut self, lead: usize, now: Instant) -> bool {
        let silent = self.silence_deadline().is_some_and(|due| now >= due);
        let away = silent || self.held_bytes > super::HELD_BYTES_MAX;
        self.lanes[lead].away |= away;
        away
    }

    /// When the lead, which has no frame while others have, is given up.
    pub(super) fn silence_deadline(&self) -> Option<Instant> {
        let lead = match &self.open {
            Some(open) => self
                .lanes
                .iter()
                .position(|lane| lane.number() == open.lead)?,
            None => self.choose_lead()?,
        };
        let lane = &self.lanes[lead];
        let waiting = self.lanes.iter().filter_map(|lane| lane.queue.front());
        let first = waiting.map(|queued| queued.arrived).min()?;
        if let Some(front) = lane.queue.front() {
            // It waits for the others' first frames.
            let due = self.first_wait_ends(front.arrived);
            return (self.open.is_none() && self.awaits_first(lead)).then_some(due);
        }
        if lane.ended {
            return None;
        }
        let since = lane.last_arrival.map_or(first, |last| last.max(first));
        Some(self.quiet_since(since) + self.silence())
    }

    /// Leaves out a frame that nobody can decode, and says so in time.
    fn leave_out(&mut self, lead: usize) {
        let Some(queued) = self.lanes[lead].queue.pop_front() else {
            return;
        };
        self.held_bytes -= queued.frame.data.len();
        if self.undecodable.is_none() {
            let track = queued.frame.track;
            self.event(ProducerEvent::KeyFrameWanted { track });
        }
        let span = FrameSpan::join(self.undecodable, FrameSpan::one(queued.frame.time));
        self.undecodable = Some(span);
        let scale = self.rules.scale;
        let units = scale.timecode(span.to).since(scale.timecode(span.from));
        if units >= self.rules.fragment_max {
            self.needs_key = false;
            self.report_undecodable();
            let at = span.to;
            self.event(ProducerEvent::Warning(Warning::ForcedCut { at }));
        }
    }

    /// Begins a fragment with the lead's front frame.
    fn begin(&mut self, lead: usize) {
        self.report_undecodable();
        self.needs_key = false;
        let first = match self.lanes[lead].queue.front() {
            Some(front) => front.at,
            None => return,
        };
        // A lead that lies before the boundary has stepped back. A tie goes one unit up.
        let back = self.boundary.is_some_and(|boundary| first < boundary);
        let marked = self.lanes[lead]
            .queue
            .front()
            .is_some_and(|front| front.step);
        let step = std::mem::take(&mut self.step) || back || marked;
        if step {
            self.boundary = None;
        }
        for lane in &mut self.lanes {
            if let Some(front) = lane.queue.front_mut() {
                if let Some(track) = front.format.take() {
                    lane.track = track;
                    lane.value = None;
                }
                front.step &= !step;
            }
        }
        let start = self.start_of(lead, first);
        self.open = Some(Open {
            lead: self.lanes[lead].number(),
            start,
            first,
            latest: start,
            bytes: 0,
            asked: false,
        });
        let expected = self.track_list(|lane| {
            !lane.queue.is_empty()
                || (lane.in_previous && lane.is_live())
                || lane.held_value().is_some()
        });
        self.tracks = expected;
        self.out.push_back(Piece::Begin {
            start,
            tracks: Arc::clone(&self.tracks),
            step,
        });
        self.emit(lead);
    }

    /// The cluster's timecode: late enough to lie behind the fragment before, early enough that
    /// no block of this one has a negative time.
    fn start_of(&self, lead: usize, first: Timecode) -> Timecode {
        let Some(front) = self.lanes[lead].queue.front() else {
            return first;
        };
        let decode = match front.frame.decode_time {
            Some(time) => self.rules.scale.timecode(time).min(first),
            None if self.lanes[lead].is_video() => first.minus(self.rules.step),
            None => first,
        };
        let others = self.lanes.iter().filter_map(|lane| lane.queue.front());
        let others = others.filter(|queued| !queued.is_marked());
        let earliest = others.map(|queued| queued.at).min().unwrap_or(first);
        let start = decode.min(earliest).max(first.minus(self.rules.head));
        match self.boundary {
            Some(boundary) => start.max(boundary.plus(1)),
            None => start,
        }
    }

    /// Passes a track's front frame on, into the open fragment.
    pub(super) fn emit(&mut self, index: usize) {
        let (Some(open), Some(lane)) = (&mut self.open, self.lanes.get_mut(index)) else {
            return;
        };
        let Some(mut queued) = lane.queue.pop_front() else {
            return;
        };
        self.held_bytes -= queued.frame.data.len();
        let at = queued.at.max(open.start);
        if at != queued.at {
            // A tie is a matter of rounding, and nobody needs to hear of it.
            if at.since(queued.at) > 1 {
                let span = FrameSpan::one(queued.frame.time);
                lane.late = Some(FrameSpan::join(lane.late, span));
            }
            queued.frame.time = self.rules.scale.time(at);
        }
        open.bytes += queued.frame.data.len();
        if open.lead == lane.number() {
            open.latest = open.latest.max(at);
        }
        if lane.is_data() {
            lane.value = Some(queued.frame.data.clone());
        }
        lane.frames += 1;
        if lane.frames == 1 {
            self.declare(index);
        }
        self.out.push_back(Piece::Frame(queued.frame, at));
    }

    /// A track that has a frame in the open fragment belongs to it, also where it was not expected.
    fn declare(&mut self, index: usize) {
        let number = self.lanes[index].number();
        if !self.tracks.iter().any(|track| track.number == number) {
            let tracks = Arc::clone(&self.tracks);
            self.tracks = self.track_list(|lane| {
                lane.number() == number || tracks.iter().any(|track| track.number == lane.number())
            });
            self.out.push_back(Piece::Tracks(Arc::clone(&self.tracks)));
        }
    }

    /// The tracks of those lanes; the list at hand if it is the same.
    pub(super) fn track_list(&self, belongs: impl Fn(&super::Lane) -> bool) -> Arc<[Track]> {
        let lanes = self.lanes.iter().filter(|lane| belongs(lane));
        let tracks: Vec<&Track> = lanes.map(|lane| &lane.track).collect();
        if self.tracks.iter().eq(tracks.iter().copied()) {
            return Arc::clone(&self.tracks);
        }
        tracks.into_iter().cloned().collect()
    }
}

//! Where a fragment ends, and what still belongs to it.

use std::sync::Arc;
use std::time::Instant;

use kvs_media::{Frame, Track};

use super::super::event::{ProducerEvent, Warning};
use super::super::timecode::Timecode;
use super::lane::Queued;
use super::{HELD_BYTES_MAX, Interleave, Piece};

/// How far a fragment may grow past a due cut while frames come in decoding order: the service
/// takes 2 s and 2 MB more than our own limits.
const OVERRUN_BYTES: usize = 1_500_000;

/// The open fragment is to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Frames of other tracks up to here still belong to it.
    boundary: Timecode,
    since: Instant,
    /// What comes next has nothing to do with what was before: everything at hand belongs here.
    step: bool,
    /// Nothing comes next, so everything at hand belongs here, and nobody waits.
    all: bool,
    /// The lead has been silent for too long.
    lead_away: bool,
}

impl Cut {
    fn at(boundary: Timecode, since: Instant) -> Self {
        Self {
            boundary,
            since,
            step: false,
            all: false,
            lead_away: false,
        }
    }

    /// A cut after everything that is at hand.
    pub(super) fn all(boundary: Timecode, since: Instant) -> Self {
        Self {
            all: true,
            ..Self::at(boundary, since)
        }
    }
}

/// What is to be done with the lead's front frame.
enum Verdict {
    Pass,
    Cut,
    CutAtStep,
    CutWithoutKey,
}

impl Interleave {
    /// Passes on what belongs to the open fragment, or decides to cut. `true` if something moved.
    pub(super) fn advance(&mut self, now: Instant) -> bool {
        let Some(open) = &self.open else { return false };
        let (number, latest) = (open.lead, open.latest);
        let Some(lead) = self.lanes.iter().position(|lane| lane.number() == number) else {
            self.cut = Some(Cut::at(latest, now));
            return true;
        };
        let passed = self.pass_others(lead, latest);
        let rank = self.lanes[lead].rank();
        let mut others = self.lanes.iter();
        if others.any(|lane| lane.rank() < rank && !lane.queue.is_empty()) {
            // The track that should lead is there (again).
            self.cut = Some(Cut::at(latest, now));
            return true;
        }
        match self.lanes[lead].queue.front() {
            None => self.without_lead(lead, now) || passed,
            Some(front) => {
                let cut = match self.judge(front, now) {
                    Verdict::Pass => {
                        self.ask_for_key(lead);
                        self.emit(lead);
                        return true;
                    }
                    Verdict::Cut => Cut::at(latest, now),
                    Verdict::CutAtStep => Cut {
                        step: true,
                        ..Cut::at(latest, now)
                    },
                    Verdict::CutWithoutKey => {
                        let at = front.frame.time;
                        self.event(ProducerEvent::Warning(Warning::ForcedCut { at }));
                        Cut::at(latest, now)
                    }
                };
                self.cut = Some(cut);
                true
            }
        }
    }

    /// Passes other tracks' frames as far as the lead has got.
    fn pass_others(&mut self, lead: usize, until: Timecode) -> bool {
        let mut passed = false;
        for index in (0..self.lanes.len()).filter(|&index| index != lead) {
            while self.lanes[index]
                .queue
                .front()
                .is_some_and(|front| !front.is_marked() && front.at <= until)
            {
                self.emit(index);
                passed = true;
            }
        }
        passed
    }

    /// The lead has no frame: is it over, or silent for too long?
    fn without_lead(&mut self, lead: usize, now: Instant) -> bool {
        let Some(open) = &self.open else { return false };
        let latest = open.latest;
        if self.has_ended() {
            self.cut = Some(Cut::all(latest, now));
            return true;
        }
        let held = self.lanes.iter().filter_map(|lane| lane.queue.back());
        let Some(ahead) = held.map(|queued| queued.at.since(latest)).max() else {
            return false;
        };
        let silent = if self.lanes[lead].ended {
            ahead > self.rules.fragment
        } else {
            self.silence_deadline().is_some_and(|due| now >= due)
        };
        if silent || self.held_bytes > HELD_BYTES_MAX {
            self.cut = Some(Cut {
                lead_away: true,
                ..Cut::at(latest, now)
            });
            return true;
        }
        false
    }

    fn judge(&self, front: &Queued, now: Instant) -> Verdict {
        let Some(open) = &self.open else {
            return Verdict::Pass;
        };
        let rules = &self.rules;
        let by_key = rules.key_frames && self.leads_by_key();
        let ahead = front.at > open.latest;
        if front.step || open.start.since(front.at) > rules.step {
            return Verdict::CutAtStep;
        }
        if by_key && front.frame.key && front.at.since(open.first) >= rules.fragment_min {
            return Verdict::Cut;
        }
        if by_key && front.frame.key && front.at < open.first {
            return Verdict::CutAtStep;
        }
        if front.format.is_some() {
            return Verdict::Cut;
        }
        let waits = |queued: &Queued| now >= queued.arrived + self.wait();
        let mut others = self.lanes.iter().filter_map(|lane| lane.queue.front());
        if ahead && others.any(|queued| queued.step && waits(queued)) {
            return Verdict::CutAtStep;
        }
        let mut others = self.lanes.iter().filter_map(|lane| lane.queue.front());
        if ahead && others.any(|queued| queued.format.is_some() && queued.at <= front.at) {
            return Verdict::Cut;
        }
        if !by_key && ahead && front.at.since(open.first) >= rules.fragment {
            return Verdict::Cut;
        }
        let span = front.at.since(open.start);
        let bytes = open.bytes + front.frame.data.len();
        let due = span >= rules.fragment_max || bytes > rules.bytes_max;
        let over = span >= rules.fragment_max + rules.step
            || bytes > rules.bytes_max.saturating_add(OVERRUN_BYTES);
        if (due && ahead) || over {
            return if by_key {
                Verdict::CutWithoutKey
            } else {
                Verdict::Cut
            };
        }
        Verdict::Pass
    }

    /// Whether the lead's key frames cut.
    fn leads_by_key(&self) -> bool {
        let lead = self.open.as_ref().map(|open| open.lead);
        let mut lanes = self.lanes.iter();
        lanes.any(|lane| Some(lane.number()) == lead && lane.is_video())
    }

    /// Asks for a key frame, once in a fragment.
    fn ask_for_key(&mut self, lead: usize) {
        let by_key = self.rules.key_frames && self.lanes[lead].is_video();
        let (Some(open), Some(front)) = (&mut self.open, self.lanes[lead].queue.front()) else {
            return;
        };
        if by_key && !open.asked && front.at.since(open.start) >= self.rules.wanted {
            open.asked = true;
            let track = open.lead;
            self.event(ProducerEvent::KeyFrameWanted { track });
        }
    }

    /// Whether each other track has said what it has up to the boundary, or had time to.
    pub(super) fn is_ready(&self, cut: Cut, now: Instant) -> bool {
        let lead = self.open.as_ref().map(|open| open.lead);
        let awaited = |lane: &super::Lane| {
            Some(lane.number()) != lead
                && lane.is_live()
                && lane.frames > 0
                && !lane.has_passed(cut.boundary, cut.step)
        };
        cut.all
            || self.held_bytes > HELD_BYTES_MAX
            || now >= self.quiet_since(cut.since) + self.wait()
            || !self.lanes.iter().any(awaited)
    }

    /// When a cut stops to wait.
    pub(super) fn cut_deadline(&self) -> Option<Instant> {
        self.cut
            .map(|cut| self.quiet_since(cut.since) + self.wait())
    }

    /// Ends the open fragment with all that belongs to it.
    pub(super) fn close(&mut self, cut: Cut) {
        let Some(lead) = self.open.as_ref().map(|open| open.lead) else {
            return;
        };
        let mut latest = cut.boundary;
        for index in 0..self.lanes.len() {
            if self.lanes[index].number() == lead && !cut.all {
                continue;
            }
            while let Some(at) = self.belongs(index, cut) {
                latest = latest.max(at);
                self.emit(index);
            }
        }
        self.repeat_values();
        self.report_late();
        let present = self.track_list(|lane| lane.frames > 0);
        if !Arc::ptr_eq(&present, &self.tracks) {
            self.tracks = Arc::clone(&present);
            self.out.push_back(Piece::Tracks(present));
        }
        self.out.push_back(Piece::End);
        for lane in &mut self.lanes {
            lane.in_previous = std::mem::take(&mut lane.frames) > 0;
            lane.away |= cut.lead_away && lane.number() == lead;
        }
        self.boundary = Some(latest);
        self.step |= cut.step;
        self.open = None;
        self.cut = None;
    }

    /// Each declared track has a frame in each fragment: where nothing new came in a data track,
    /// its value is repeated at the fragment's first frame, without the key flag, by which readers
    /// know it (`docs/data-tracks.md`).
    fn repeat_values(&mut self) {
        let Some(at) = self.open.as_ref().map(|open| open.first.max(open.start)) else {
            return;
        };
        let time = self.rules.scale.time(at);
        for lane in self.lanes.iter_mut().filter(|lane| lane.frames == 0) {
            let declared = |track: &Track| track.number == lane.number();
            let data = match self.tracks.iter().any(declared) {
                true => lane.value.as_ref(),
                false => lane.held_value(),
            };
            let Some(data) = data.cloned() else {
                continue;
            };
            lane.frames += 1;
            let frame = Frame {
                track: lane.number(),
                time,
                decode_time: None,
                duration_ns: None,
                key: false,
                data,
            };
            self.out.push_back(Piece::Frame(frame, at));
        }
    }

    /// The time of a track's front frame, if it belongs to the fragment that closes.
    fn belongs(&self, index: usize, cut: Cut) -> Option<Timecode> {
        let (open, front) = (self.open.as_ref()?, self.lanes[index].queue.front()?);
        let everything = cut.all || (cut.step && front.at <= cut.boundary.plus(self.rules.step));
        let fits = front.at.since(open.start) <= self.rules.fragment_max + self.rules.step;
        let belongs = if everything {
            fits
        } else {
            front.at <= cut.boundary
        };
        (belongs && !front.is_marked()).then(|| front.at.max(open.start))
    }
}

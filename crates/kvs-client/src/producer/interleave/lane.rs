//! One track's frames on their way into the common order.

use std::collections::VecDeque;
use std::time::Instant;

use kvs_media::{Frame, FrameData, Track, TrackKind, TrackNumber};

use super::super::event::FrameSpan;
use super::super::timecode::Timecode;

/// A frame that waits for its place.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) frame: Frame,
    pub(super) at: Timecode,
    pub(super) arrived: Instant,
    /// From this frame on the track has another format.
    pub(super) format: Option<Track>,
    /// From this frame on the track's time has nothing to do with what was before.
    pub(super) step: bool,
}

impl Queued {
    /// Whether it may only come first in a fragment.
    pub(super) fn is_marked(&self) -> bool {
        self.step || self.format.is_some()
    }
}

/// One track: its frames in the order of their arrival.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) track: Track,
    pub(super) queue: VecDeque<Queued>,
    /// The format of the next frame to arrive, where it is another one.
    pub(super) next_format: Option<Track>,
    /// The next frame to arrive begins a new time.
    pub(super) next_step: bool,
    /// The greatest time that arrived, as a frame or as the end of a gap.
    pub(super) reached: Option<Timecode>,
    pub(super) last_arrival: Option<Instant>,
    /// The source said that no more comes.
    pub(super) ended: bool,
    /// The source took it away; it goes when its last frame has gone.
    pub(super) removed: bool,
    /// It was silent for too long: nobody waits for it.
    pub(super) away: bool,
    /// Frames in the open fragment.
    pub(super) frames: u64,
    /// Whether the fragment before had one.
    pub(super) in_previous: bool,
    /// The latest value of a data track, which holds until another one comes.
    pub(super) value: Option<FrameData>,
    /// Frames that were moved to the start of the open fragment, with their own times.
    pub(super) late: Option<FrameSpan>,
}

impl Lane {
    pub(super) fn new(track: Track) -> Self {
        Self {
            track,
            queue: VecDeque::new(),
            next_format: None,
            next_step: false,
            reached: None,
            last_arrival: None,
            ended: false,
            removed: false,
            away: false,
            frames: 0,
            in_previous: false,
            value: None,
            late: None,
        }
    }

    pub(super) fn number(&self) -> TrackNumber {
        self.track.number
    }

    pub(super) fn is_video(&self) -> bool {
        matches!(self.track.kind, TrackKind::Video(_))
    }

    pub(super) fn is_data(&self) -> bool {
        matches!(self.track.kind, TrackKind::Data(_))
    }

    /// The value to repeat in a fragment in which none has come.
    pub(super) fn held_value(&self) -> Option<&FrameData> {
        self.value.as_ref().filter(|_| !self.ended)
    }

    /// Who cuts the fragments: video before audio before data, then the lowest number.
    pub(super) fn rank(&self) -> (u8, TrackNumber) {
        let kind = match self.track.kind {
            TrackKind::Video(_) => 0,
            TrackKind::Audio(_) => 1,
            TrackKind::Data(_) => 2,
        };
        (kind, self.track.number)
    }

    /// Whether frames of it may still come soon.
    pub(super) fn is_live(&self) -> bool {
        !self.ended && !self.away
    }

    /// Whether it has nothing more to say up to `boundary`.
    pub(super) fn has_passed(&self, boundary: Timecode, step: bool) -> bool {
        if step {
            self.queue.iter().any(|queued| queued.step)
        } else {
            self.reached.is_some_and(|reached| reached > boundary)
                || self.queue.iter().any(Queued::is_marked)
        }
    }

    /// Takes a frame in.
    pub(super) fn push(&mut self, mut frame: Frame, at: Timecode, step_units: u64, now: Instant) {
        // In a data track a frame without this flag is a repeat, see [`Lane::held_value`].
        frame.key |= self.is_data();
        let back = self
            .reached
            .is_some_and(|reached| reached.since(at) > step_units);
        let step = std::mem::take(&mut self.next_step) || back;
        self.reached = Some(match self.reached {
            Some(reached) if !step => reached.max(at),
            _ => at,
        });
        self.ended = false;
        self.away = false;
        self.last_arrival = Some(now);
        self.queue.push_back(Queued {
            frame,
            at,
            arrived: now,
            format: self.next_format.take(),
            step,
        });
    }
}

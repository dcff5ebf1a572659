//! One order over all tracks, cut into fragments.
//!
//! The *lead* track (the first video track; without video the first audio track) decides where a
//! fragment ends. Its frames pass at once; a frame of another track passes when the lead has got as
//! far, since a frame that is ahead may belong to the fragment after the next cut.
//!
//! The service wants the earliest time of each fragment to be later than the latest one of the
//! fragment before, over all tracks, in timecode units. So the boundary is the greatest time of the
//! lead in the closing fragment: others' frames up to it stay, later ones open the new fragment.
//! At a cut, and only there, we wait until each track has passed the boundary.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvs_media::{Frame, ProducerTime, Track, TrackNumber};

use super::config::{ProducerConfig, Streaming};
use super::event::{DropReason, Dropped, FrameSpan, ProducerEvent, Warning};
use super::timecode::{Scale, Timecode};

mod cut;
mod lane;
mod open;
#[cfg(test)]
mod tests;

use cut::Cut;
use lane::Lane;
use open::Open;

/// Key frames that are closer together stay in one fragment: the service takes five a second.
const FRAGMENT_MIN: Duration = Duration::from_millis(250);
/// Without a key frame for so long we ask for one.
const KEY_FRAME_WANTED: Duration = Duration::from_secs(10);
/// Without a key frame for so long we cut anyway: the service takes 20 s.
const FRAGMENT_MAX: Duration = Duration::from_secs(18);
/// Blocks hold 16 signed bits: a fine timecode scale cuts earlier than [`FRAGMENT_MAX`].
const FRAGMENT_UNITS_MAX: u64 = 30_000;
/// The service takes 50 MB; this leaves room for reordered frames after the cut is due.
const FRAGMENT_BYTES_MAX: usize = 48_000_000;
/// How far a frame may come after its fragment's end before it is a step of the clock instead.
const STEP_MIN: Duration = Duration::from_secs(1);
/// How far before the lead's first frame other tracks may begin in the same fragment.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long a cut waits for other tracks where the source cannot wait.
const LIVE_WAIT: Duration = Duration::from_millis(500);
/// How long a live lead may be silent while others speak.
const LIVE_SILENCE: Duration = Duration::from_secs(2);
/// How long a file's tracks may be quiet, all of them, before nobody waits for them: its demuxer
/// gives them in turns, but does not sleep.
const OFFLINE_WAIT: Duration = Duration::from_secs(10);
/// How much may be held back for a track that does not come.
const HELD_BYTES_MAX: usize = 32 << 20;

/// What comes out, in the order of the wire.
#[derive(Debug)]
pub(super) enum Piece {
    /// A fragment begins.
    Begin {
        start: Timecode,
        tracks: Arc<[Track]>,
        /// Its times have nothing to do with those before: it opens a session.
        step: bool,
    },
    /// The open fragment turns out to have these tracks.
    Tracks(Arc<[Track]>),
    /// A frame of the open fragment, and its time on the wire.
    Frame(Frame, Timecode),
    /// The open fragment is complete.
    End,
    /// Something to tell.
    Event(ProducerEvent),
}

/// The rules, in timecode units.
#[derive(Debug)]
struct Rules {
    scale: Scale,
    key_frames: bool,
    offline: bool,
    fragment: u64,
    fragment_min: u64,
    fragment_max: u64,
    bytes_max: usize,
    wanted: u64,
    step: u64,
    head: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Interleave {
    rules: Rules,
    /// By track number.
    lanes: Vec<Lane>,
    /// How many lanes there will be, as far as the source knows.
    expected: usize,
    /// The latest time of the fragment before, in the same run of time.
    boundary: Option<Timecode>,
    open: Option<Open>,
    cut: Option<Cut>,
    /// The next fragment begins a new run of time.
    step: bool,
    /// A video begins with a key frame. Behind a step it goes on as it comes: what its pictures
    /// refer to was sent.
    needs_key: bool,
    /// Frames that came before it.
    undecodable: Option<FrameSpan>,
    tracks: Arc<[Track]>,
    held_bytes: usize,
    out: VecDeque<Piece>,
}

impl Interleave {
    pub(super) fn new(config: &ProducerConfig) -> Self {
        let scale = Scale::new(config.timecode_scale);
        let fragment_max = scale.units(FRAGMENT_MAX).min(FRAGMENT_UNITS_MAX);
        Self {
            rules: Rules {
                scale,
                key_frames: config.key_frame_fragmentation,
                offline: config.streaming == Streaming::Offline,
                fragment: scale.units(config.fragment_duration).min(fragment_max),
                fragment_min: scale.units(FRAGMENT_MIN),
                fragment_max,
                bytes_max: FRAGMENT_BYTES_MAX,
                wanted: scale.units(KEY_FRAME_WANTED).min(fragment_max / 2),
                step: scale.units(STEP_MIN),
                head: scale.units(HEAD_MAX).min(fragment_max / 2),
            },
            lanes: Vec::new(),
            expected: 0,
            boundary: None,
            open: None,
            cut: None,
            step: false,
            needs_key: true,
            undecodable: None,
            tracks: Arc::from([]),
            held_bytes: 0,
            out: VecDeque::new(),
        }
    }

    /// Declares a track.
    pub(super) fn add_track(&mut self, track: Track) {
        let index = self
            .lanes
            .partition_point(|lane| lane.number() < track.number);
        self.lanes.insert(index, Lane::new(track));
    }

    /// So many tracks there will be: the first fragment waits for those that are not declared yet.
    pub(super) fn expect_tracks(&mut self, count: usize, now: Instant) {
        self.expected = count;
        self.pump(now);
    }

    /// Whether that track is declared.
    pub(super) fn has_track(&self, number: TrackNumber) -> bool {
        self.lanes.iter().any(|lane| lane.number() == number)
    }

    /// The frames of that track that arrive from now on have another format.
    pub(super) fn set_format(&mut self, track: Track) {
        if let Some(lane) = self.lane(track.number) {
            let current = lane.next_format.as_ref().or_else(|| {
                let queued = lane.queue.iter().rev();
                queued.filter_map(|queued| queued.format.as_ref()).next()
            });
            if *current.unwrap_or(&lane.track) != track {
                lane.next_format = Some(track);
            }
        }
    }

    /// The next frame of that track begins a new run of time.
    pub(super) fn discontinuity(&mut self, number: TrackNumber) {
        if let Some(lane) = self.lane(number) {
            lane.next_step = lane.reached.is_some();
            lane.ended = false;
        }
    }

    /// Takes a frame in. It must be of a declared track.
    pub(super) fn push(&mut self, frame: Frame, now: Instant) {
        let at = self.rules.scale.timecode(frame.time);
        let step = self.rules.step;
        let len = frame.data.len();
        if let Some(lane) = self.lane(frame.track) {
            lane.push(frame, at, step, now);
            self.held_bytes += len;
        }
        self.pump(now);
    }

    /// That track has nothing before `until`.
    pub(super) fn gap(&mut self, number: TrackNumber, until: ProducerTime, now: Instant) {
        let until = self.rules.scale.timecode(until);
        if let Some(lane) = self.lane(number) {
            lane.reached = lane.reached.max(Some(until));
        }
        self.pump(now);
    }

    /// That track has no more frames; `true` if none has.
    pub(super) fn end_track(&mut self, number: TrackNumber, now: Instant) -> bool {
        if let Some(lane) = self.lane(number) {
            lane.ended = true;
        }
        self.pump(now);
        self.has_ended()
    }

    /// That track is taken out, its frames passed on first.
    pub(super) fn remove_track(&mut self, number: TrackNumber, now: Instant) {
        if let Some(lane) = self.lane(number) {
            lane.removed = true;
        }
        self.end_track(number, now);
    }

    /// No track has more frames: everything passes.
    pub(super) fn finish(&mut self, now: Instant) {
        self.lanes.iter_mut().for_each(|lane| lane.ended = true);
        self.pump(now);
        self.report_undecodable();
    }

    /// Whether every track has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.lanes.iter().all(|lane| lane.ended)
    }

    /// Completes the open fragment, since nothing came for a while.
    pub(super) fn close_idle(&mut self, now: Instant) {
        if let Some(open) = &self.open {
            self.cut = Some(Cut::all(open.latest, now));
            self.pump(now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.cut_deadline().or_else(|| self.silence_deadline())
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.pump(now);
    }

    /// The next piece of the common order.
    pub(super) fn poll(&mut self) -> Option<Piece> {
        self.out.pop_front()
    }

    /// Bytes that wait for their place.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether no frame waits for its place.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.queue.is_empty())
    }

    /// Frames that wait for their place, with their times.
    pub(super) fn held(&self) -> Option<FrameSpan> {
        let times = self.lanes.iter().flat_map(|lane| &lane.queue);
        times.fold(None, |span, queued| {
            Some(FrameSpan::join(span, FrameSpan::one(queued.frame.time)))
        })
    }

    fn lane(&mut self, number: TrackNumber) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.number() == number)
    }

    /// Moves whatever can move. Each step consumes a frame, opens, cuts or closes.
    fn pump(&mut self, now: Instant) {
        loop {
            let moved = match (&self.open, self.cut) {
                (None, _) => self.try_open(now),
                (Some(_), None) => self.advance(now),
                (Some(_), Some(cut)) if self.is_ready(cut, now) => {
                    self.close(cut);
                    true
                }
                (Some(_), Some(_)) => false,
            };
            if !moved {
                break;
            }
        }
        self.lanes
            .retain(|lane| !lane.removed || lane.frames > 0 || !lane.queue.is_empty());
    }

    /// The time since which nothing arrived, where the source can wait; else `since`.
    fn quiet_since(&self, since: Instant) -> Instant {
        if !self.rules.offline {
            return since;
        }
        let arrivals = self.lanes.iter().filter_map(|lane| lane.last_arrival);
        arrivals.max().map_or(since, |last| last.max(since))
    }

    /// How long a cut waits.
    fn wait(&self) -> Duration {
        if self.rules.offline {
            OFFLINE_WAIT
        } else {
            LIVE_WAIT
        }
    }

    /// How long a lead may be silent.
    fn silence(&self) -> Duration {
        if self.rules.offline {
            OFFLINE_WAIT
        } else {
            LIVE_SILENCE
        }
    }

    fn event(&mut self, event: ProducerEvent) {
        self.out.push_back(Piece::Event(event));
    }

    fn report_undecodable(&mut self) {
        if let Some(span) = self.undecodable.take() {
            let why = DropReason::BeforeKeyFrame;
            self.event(ProducerEvent::Dropped(Dropped { span, why }));
        }
    }

    fn report_late(&mut self) {
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            if let Some(span) = lane.late.take() {
                let track = lane.number();
                self.event(ProducerEvent::Warning(Warning::Late { track, span }));
            }
        }
    }
}

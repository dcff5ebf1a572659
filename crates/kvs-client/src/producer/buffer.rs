//! The rolling buffer: every frame from its arrival until the service confirms its fragment.
//!
//! ```text
//!   tail                     current                     head
//!    │ sent, not yet confirmed  │ not yet sent              │ grows
//!    ▼                          ▼                           ▼
//!   ┌──────────┬──────────┬──────────┬──────────┬──────────┬─────
//!   │ fragment │ fragment │ fragment │ fragment │ fragment │ …
//!   └──────────┴──────────┴──────────┴──────────┴──────────┴─────
//! ```
//!
//! *Current* belongs to a connection; head and tail are here. A frame's memory is given back when
//! the tail moves past its fragment, never before, unless a full buffer has to let go: then the
//! oldest whole fragment goes, first of those that were sent.
//!
//! With a spool a fragment's frames may also lie on disk, and there alone; see `kept.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvs_media::mkv::Tag;
use kvs_media::{Frame, ProducerTime, Track, TrackKind};

use super::event::FrameSpan;
use super::interleave::Piece;
use super::kept::{Disk, Kept};
use super::timecode::Timecode;

/// Which fragment, counted from the first that ever was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FragmentId(pub(super) u64);

impl FragmentId {
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One fragment: the frames that a cluster will carry.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) start: Timecode,
    pub(super) tracks: Arc<[Track]>,
    /// It opens a session: its times have nothing to do with those before.
    pub(super) step: bool,
    /// The frames and their times on the wire. Empty once they were let go.
    pub(super) frames: Vec<(Frame, Timecode)>,
    /// What the frames were, also after they were let go.
    pub(super) span: Option<FrameSpan>,
    pub(super) bytes: usize,
    /// What describes it.
    pub(super) tags: Vec<Tag>,
    /// No more frames come.
    pub(super) closed: bool,
    /// When its last frame came.
    pub(super) last_arrival: Instant,
    /// How many of the frames were written to any connection.
    pub(super) sent_frames: usize,
    /// The service has it.
    pub(super) confirmed: bool,
    /// How often the service refused it.
    pub(super) refusals: u32,
    /// A full buffer let its frames go; they cannot be sent again.
    pub(super) released: bool,
    /// Nobody has asked for it yet.
    pub(super) held: bool,
    /// Its file says so.
    pub(super) held_on_disk: bool,
    /// Where its frames lie besides.
    pub(super) kept: Kept,
}

impl Fragment {
    /// Whether a connection can still send it.
    pub(super) fn is_sendable(&self) -> bool {
        self.is_there() && !self.held
    }

    /// Whether it is neither confirmed nor let go.
    pub(super) fn is_there(&self) -> bool {
        !self.confirmed && !self.released
    }

    /// Whether a frame repeats the value of a data track. It is no news, so it cannot be lost.
    pub(super) fn is_repeat(&self, frame: &Frame) -> bool {
        let is_data =
            |track: &Track| track.number == frame.track && matches!(track.kind, TrackKind::Data(_));
        !frame.key && self.tracks.iter().any(is_data)
    }

    pub(super) fn release(&mut self) -> usize {
        self.released = true;
        self.frames = Vec::new();
        std::mem::take(&mut self.bytes)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) fragments: VecDeque<Fragment>,
    tail: FragmentId,
    pub(super) bytes: usize,
    bytes_max: usize,
    span_max: Duration,
    /// The rest of the open fragment is lost with its beginning.
    discarding: bool,
    /// What the spool holds.
    pub(super) disk: Disk,
}

/// What a full buffer let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LetGo {
    /// It was sent: only if its ack does not come is it lost.
    Sent,
    /// It is lost.
    Lost(FrameSpan),
}

impl Buffer {
    pub(super) fn new(bytes_max: usize, span_max: Duration) -> Self {
        Self {
            fragments: VecDeque::new(),
            tail: FragmentId(0),
            bytes: 0,
            bytes_max,
            span_max,
            discarding: false,
            disk: Disk::default(),
        }
    }

    /// Takes a piece of the common order in; a frame that has no place any more is given back.
    pub(super) fn push(&mut self, piece: Piece, now: Instant) -> Option<FrameSpan> {
        match piece {
            Piece::Begin {
                start,
                tracks,
                step,
            } => {
                self.discarding = false;
                self.fragments
                    .push_back(Fragment::new(start, tracks, step, now));
            }
            Piece::Frame(frame, _) if self.discarding => {
                return Some(FrameSpan::one(frame.time));
            }
            Piece::Frame(frame, at) => {
                if let Some(head) = self.fragments.back_mut() {
                    self.bytes += frame.data.len();
                    head.add(frame, at, now);
                }
            }
            Piece::Tracks(tracks) => {
                if let Some(head) = self.fragments.back_mut().filter(|head| !head.closed) {
                    head.tracks = tracks;
                }
            }
            Piece::End => {
                self.discarding = false;
                if let Some(head) = self.fragments.back_mut() {
                    head.closed = true;
                }
            }
            Piece::Event(_) => {}
        }
        None
    }

    /// The oldest fragment that is not confirmed.
    pub(super) fn tail(&self) -> FragmentId {
        self.tail
    }

    /// The fragment that comes next.
    pub(super) fn end(&self) -> FragmentId {
        FragmentId(self.tail.0 + self.fragments.len() as u64)
    }

    pub(super) fn get(&self, id: FragmentId) -> Option<&Fragment> {
        self.fragments.get(self.index(id)?)
    }

    pub(super) fn get_mut(&mut self, id: FragmentId) -> Option<&mut Fragment> {
        let index = self.index(id)?;
        self.fragments.get_mut(index)
    }

    pub(super) fn index(&self, id: FragmentId) -> Option<usize> {
        usize::try_from(id.0.checked_sub(self.tail.0)?).ok()
    }

    /// The first fragment from `id` on that can be sent.
    pub(super) fn sendable_from(&self, id: FragmentId) -> Option<FragmentId> {
        let first = id.max(self.tail);
        let skip = self.index(first)?;
        let mut rest = self.fragments.iter().skip(skip);
        let found = rest.position(Fragment::is_sendable)?;
        Some(FragmentId(first.0 + found as u64))
    }

    /// The earliest start of all that can be sent.
    pub(super) fn earliest(&self) -> Option<Timecode> {
        let sendable = self.fragments.iter().filter(|f| f.is_sendable());
        sendable.map(|fragment| fragment.start).min()
    }

    /// The service has that fragment. Moves the tail; gives back what is confirmed by that.
    pub(super) fn confirm(&mut self, id: FragmentId) -> Option<FrameSpan> {
        let fragment = self.get_mut(id)?;
        if std::mem::replace(&mut fragment.confirmed, true) {
            return None;
        }
        let span = fragment.span;
        self.discard_file(id);
        self.move_tail();
        span
    }

    /// Gives a fragment up; its frames are lost.
    pub(super) fn give_up(&mut self, id: FragmentId) -> Option<FrameSpan> {
        let fragment = self.get_mut(id)?;
        let open = !fragment.closed;
        let span = fragment.span;
        let bytes = fragment.release();
        fragment.closed = true;
        fragment.confirmed = true;
        self.bytes -= bytes;
        self.discarding |= open;
        self.discard_file(id);
        self.move_tail();
        span
    }

    fn move_tail(&mut self) {
        while self
            .fragments
            .front()
            .is_some_and(|f| f.confirmed && f.closed)
        {
            if let Some(fragment) = self.fragments.pop_front() {
                self.bytes -= fragment.bytes;
            }
            self.tail = self.tail.next();
        }
    }

    /// Whether more than its bound waits here, `held` bytes elsewhere included. What lies on disk
    /// needs no room.
    ///
    /// One fragment alone is never too much: it must be whole before anybody can take it away, and
    /// its size is bounded by the cut.
    pub(super) fn is_full(&self, held: usize) -> bool {
        let here = self.fragments.iter().filter(|f| f.is_here());
        here.take(2).count() > 1
            && (self.bytes + held > self.bytes_max || self.volatile_span() > self.span_max)
    }

    /// How much of the tighter bound is taken, `held` bytes elsewhere included, in percent.
    pub(super) fn fill_percent(&self, held: usize) -> u8 {
        let of = |taken: u128, max: u128| taken.saturating_mul(100) / max.max(1);
        let unasked = self.fragments.iter().filter(|f| f.held);
        let unasked: usize = unasked.map(|f| f.bytes).sum();
        let bytes = self.bytes - unasked + held;
        let bytes = of(bytes as u128, self.bytes_max as u128);
        let span = of(self.volatile_span().as_nanos(), self.span_max.as_nanos());
        bytes.max(span).min(100) as u8
    }

    /// Since when the oldest whole fragment waits for its confirmation.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let waits = |f: &&Fragment| !f.confirmed && f.closed && !f.held;
        let mut waiting = self.fragments.iter().filter(waits);
        waiting.next().map(|oldest| oldest.last_arrival)
    }

    /// Lets the oldest whole fragment go, but not `busy`, which a connection is about to complete:
    /// else nothing would ever arrive over a link that is too slow. `None` if there is no other.
    pub(super) fn let_go(&mut self, busy: Option<FragmentId>) -> Option<LetGo> {
        let mut ids = (self.tail.0..self.end().0).map(FragmentId);
        let whole = |id| {
            let fragment = self.get(id).filter(|f| f.is_sendable() && f.closed);
            // One that is being written can soon be let go without harm.
            fragment.is_some_and(|f| matches!(f.kept, Kept::No | Kept::Never))
        };
        let id = ids.find(|&id| Some(id) != busy && whole(id))?;
        let fragment = self.get_mut(id)?;
        if fragment.sent_frames == fragment.frames.len() {
            let bytes = fragment.release();
            self.bytes -= bytes;
            return Some(LetGo::Sent);
        }
        self.give_up(id).map(LetGo::Lost)
    }

    /// Gives up every fragment that was let go and is not confirmed: its ack will not come.
    pub(super) fn lose_released(&mut self) -> Option<FrameSpan> {
        let ids = (self.tail.0..self.end().0).map(FragmentId);
        let lost: Vec<FragmentId> = ids
            .filter(|&id| self.get(id).is_some_and(|f| f.released && !f.confirmed))
            .collect();
        lost.into_iter().fold(None, |span, id| {
            let lost = self.give_up(id);
            lost.map_or(span, |lost| Some(FrameSpan::join(span, lost)))
        })
    }

    /// What is not confirmed, and where it lies: on disk or in memory alone.
    pub(super) fn unconfirmed(&self, on_disk: bool) -> Option<FrameSpan> {
        let waiting = self.fragments.iter().filter(|f| !f.confirmed && !f.held);
        waiting
            .filter(|f| f.kept.is_on_disk() == on_disk)
            .filter_map(|f| f.span)
            .fold(None, |span, more| Some(FrameSpan::join(span, more)))
    }

    /// Whether everything that came is confirmed.
    pub(super) fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn frames(&self) -> usize {
        let of = |f: &Fragment| match f.is_here() {
            true => f.frames.len(),
            false => f.span.map_or(0, |span| span.frames as usize),
        };
        let waiting = self.fragments.iter().filter(|f| !f.released);
        waiting.map(of).sum()
    }

    /// From the oldest waiting frame to the newest.
    pub(super) fn span(&self) -> Duration {
        self.span_of(|f| !f.released)
    }

    /// The same, of what lies in memory alone.
    fn volatile_span(&self) -> Duration {
        self.span_of(|f| f.is_sendable() && !f.kept.is_on_disk())
    }

    fn span_of(&self, counts: impl Fn(&Fragment) -> bool) -> Duration {
        let spans = self.fragments.iter().filter(|f| counts(f));
        let mut spans = spans.filter_map(|f| f.span);
        let Some(first) = spans.next() else {
            return Duration::ZERO;
        };
        let last = spans.next_back().unwrap_or(first);
        Duration::from_nanos(last.to.saturating_ns_since(first.from))
    }

    /// What describes the fragment that is still growing.
    pub(super) fn open_tags(&mut self) -> Option<&mut Vec<Tag>> {
        let open = self.fragments.back_mut().filter(|f| !f.closed);
        open.map(|fragment| &mut fragment.tags)
    }

    /// Whether a fragment is still growing.
    pub(super) fn is_open(&self) -> bool {
        self.fragments.back().is_some_and(|f| !f.closed)
    }

    /// The latest time among fragments that were sent at least in part.
    pub(super) fn sent_until(&self) -> Option<ProducerTime> {
        let sent = self.fragments.iter().filter(|f| f.sent_frames > 0);
        sent.filter_map(|f| f.span).map(|span| span.to).max()
    }

    /// Cuts a fragment that the service finds too large into two. `false` if that cannot be done.
    pub(super) fn split(&mut self, id: FragmentId) -> bool {
        let Some(index) = self.index(id) else {
            return false;
        };
        let Some(fragment) = self.fragments.get_mut(index) else {
            return false;
        };
        let Some(at) = fragment.middle() else {
            return false;
        };
        let rest = fragment.split_off(at);
        self.fragments.insert(index + 1, rest);
        self.share_file(index);
        true
    }
}

impl Fragment {
    pub(super) fn new(start: Timecode, tracks: Arc<[Track]>, step: bool, now: Instant) -> Self {
        Self {
            start,
            tracks,
            step,
            frames: Vec::new(),
            span: None,
            bytes: 0,
            tags: Vec::new(),
            closed: false,
            last_arrival: now,
            sent_frames: 0,
            confirmed: false,
            refusals: 0,
            released: false,
            held: false,
            held_on_disk: false,
            kept: Kept::No,
        }
    }

    fn add(&mut self, frame: Frame, at: Timecode, now: Instant) {
        if !self.is_repeat(&frame) {
            self.span = Some(FrameSpan::join(self.span, FrameSpan::one(frame.time)));
        }
        self.bytes += frame.data.len();
        self.last_arrival = now;
        self.frames.push((frame, at));
    }

    /// Where it can be cut nearest to its middle: every frame before is earlier than any after.
    fn middle(&self) -> Option<usize> {
        let mut latest = Vec::with_capacity(self.frames.len());
        for (_, at) in &self.frames {
            let before = latest.last().copied().unwrap_or_default();
            latest.push((*at).max(before));
        }
        let mut earliest = Timecode(u64::MAX);
        let middle = self.frames.len() / 2;
        let mut best: Option<usize> = None;
        for index in (1..self.frames.len()).rev() {
            earliest = earliest.min(self.frames[index].1);
            let nearer = best.is_none_or(|best| index.abs_diff(middle) < best.abs_diff(middle));
            if earliest > latest[index - 1] && nearer {
                best = Some(index);
            }
        }
        best
    }

    fn split_off(&mut self, at: usize) -> Self {
        let frames = self.frames.split_off(at);
        let start = frames.iter().map(|(_, at)| *at).min().unwrap_or(self.start);
        let mut rest = Self::new(start, Arc::clone(&self.tracks), false, self.last_arrival);
        rest.closed = std::mem::replace(&mut self.closed, true);
        rest.take(frames);
        let kept = std::mem::take(&mut self.frames);
        self.take(kept);
        (self.sent_frames, self.refusals) = (0, 0);
        rest
    }

    /// Holds exactly those frames.
    fn take(&mut self, frames: Vec<(Frame, Timecode)>) {
        let tracks = self.tracks.iter();
        let present = |track: &&Track| frames.iter().any(|(f, _)| f.track == track.number);
        self.tracks = tracks.filter(present).cloned().collect();
        self.bytes = frames.iter().map(|(frame, _)| frame.data.len()).sum();
        let news = frames.iter().filter(|(frame, _)| !self.is_repeat(frame));
        let times = news.map(|(frame, _)| FrameSpan::one(frame.time));
        self.span = times.fold(None, |span, one| Some(FrameSpan::join(span, one)));
        self.frames = frames;
    }
}

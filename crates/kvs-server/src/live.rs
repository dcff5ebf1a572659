//! Fragments while they grow: one ring a stream, which producers fill and readers follow.
//!
//! A fragment enters its stream's ring when its number is given out, under one lock, so the ring
//! is in the order of the numbers. It leaves it from the old end, once the store has it (or, where
//! nothing is stored, by age and size). So *every fragment above the ring's floor is in the ring or
//! gone, and every fragment at or below it is in the store or gone*, and a reader that knows the
//! number it had last finds the next one without a gap and without a duplicate. What is behind a
//! fragment that still grows keeps its place in the ring, but not its bytes where memory is short.
//!
//! Whatever changes, one `watch` ticks. A reader marks the tick seen *before* it looks, so that
//! nothing that happens while it looks is missed.

use std::cmp::Ordering as CmpOrdering;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError, Weak};
use std::time::Duration;

use bytes::Bytes;
use kvs_protocol::FragmentParts;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::lock::lock;
use crate::store::{StoreError, StreamId, TimeOrigin};

mod fragment;

pub(crate) use fragment::{Begun, Fragment, Phase};

/// What readers of a stream without retention can go back to, whichever is reached first.
const UNSTORED_AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// See [`UNSTORED_AGE_MAX`].
const UNSTORED_BYTES_MAX: u64 = 200_000_000;
/// How far over its age what nobody asks for may get.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// All rings together. Over it the stream that grows drops its oldest fragments first.
const RINGS_BYTES_MAX: u64 = 1 << 30;
/// A place before the first fragment of any stream: sequence numbers begin at 1.
pub(crate) const BEFORE_ALL: FragmentParts = FragmentParts {
    sequence: 0,
    server_ms: 0,
    random: 0,
};
/// Two sessions overlap while a producer rotates its connection; a third is a mistake.
const SESSIONS_MAX: usize = 2;

/// All streams that are written or followed.
#[derive(Debug, Default)]
pub(crate) struct Live {
    streams: Mutex<HashMap<StreamId, Arc<LiveStream>>>,
    bytes: Arc<AtomicU64>,
}

impl Live {
    /// The stream's ring; when there is none yet, `newest` gives the newest number that the store
    /// holds.
    pub(crate) fn stream(
        &self,
        id: StreamId,
        newest: impl FnOnce() -> Result<Option<FragmentParts>, StoreError>,
    ) -> Result<Arc<LiveStream>, StoreError> {
        let mut streams = lock(&self.streams);
        if let Some(stream) = streams.get(&id) {
            return Ok(Arc::clone(stream));
        }
        let stream = Arc::new(LiveStream::new(newest()?, Arc::clone(&self.bytes)));
        streams.insert(id, Arc::clone(&stream));
        Ok(stream)
    }

    fn sweep(&self, now: Instant) {
        let streams: Vec<_> = match self.streams.try_lock() {
            Ok(streams) => streams.values().cloned().collect(),
            Err(TryLockError::Poisoned(streams)) => {
                streams.into_inner().values().cloned().collect()
            }
            // Whoever holds it asks the disk, which may hang. The next round does.
            Err(TryLockError::WouldBlock) => return,
        };
        for stream in streams {
            stream.evict(&mut lock(&stream.ring), now);
        }
    }

    /// The stream is deleted: whoever writes or follows it ends.
    pub(crate) fn remove(&self, id: StreamId) {
        if let Some(stream) = lock(&self.streams).remove(&id) {
            stream.deleted.send_replace(true);
            stream.tick();
        }
    }
}

/// Lets go of what has become too old also where nothing else happens, as long as the rings are
/// there.
pub(crate) async fn sweep_on(live: Weak<Live>) {
    loop {
        sleep(SWEEP_INTERVAL).await;
        match live.upgrade() {
            Some(live) => live.sweep(Instant::now()),
            None => return,
        }
    }
}

/// The ring of one stream.
#[derive(Debug)]
pub(crate) struct LiveStream {
    ring: Mutex<Ring>,
    ticks: watch::Sender<u64>,
    sessions: AtomicUsize,
    readers: AtomicUsize,
    deleted: watch::Sender<bool>,
    all_bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Ring {
    fragments: VecDeque<Arc<Fragment>>,
    /// Those that grow, one a session, in the order of their numbers.
    growing: Vec<Arc<Fragment>>,
    floor: FragmentParts,
    /// The newest fragment that is gone and that nothing has stored.
    dropped: FragmentParts,
    bytes: u64,
}

/// Where a reader finds the fragment after the one it had.
#[derive(Debug)]
pub(crate) enum Next {
    /// In the ring.
    Live(Arc<Fragment>),
    /// In the store, if it is one up to this number; else ask again from this number.
    Stored(FragmentParts),
    /// It was in memory alone and had to go, like those after it up to this one.
    Missed(FragmentParts),
    /// It has not begun.
    NotYet,
    /// There will be none: the stream is deleted.
    Never,
}

impl LiveStream {
    fn new(newest: Option<FragmentParts>, all_bytes: Arc<AtomicU64>) -> Self {
        Self {
            ring: Mutex::new(Ring {
                fragments: VecDeque::new(),
                growing: Vec::new(),
                floor: newest.unwrap_or(BEFORE_ALL),
                dropped: BEFORE_ALL,
                bytes: 0,
            }),
            ticks: watch::Sender::new(0),
            sessions: AtomicUsize::new(0),
            readers: AtomicUsize::new(0),
            deleted: watch::Sender::new(false),
            all_bytes,
        }
    }

    /// Opens a session; `None` if as many as may be are open.
    pub(crate) fn open_session(self: &Arc<Self>) -> Option<SessionPermit> {
        self.sessions
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| {
                (open < SESSIONS_MAX).then_some(open + 1)
            })
            .ok()
            .map(|_| SessionPermit(Arc::clone(self)))
    }

    /// Follows the stream from now on.
    pub(crate) fn follow(self: &Arc<Self>) -> Follower {
        self.readers.fetch_add(1, Ordering::SeqCst);
        Follower {
            stream: Arc::clone(self),
            ticks: self.ticks.subscribe(),
        }
    }

    /// Whether the stream has been deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        *self.deleted.borrow()
    }

    /// Turns true when the stream is deleted.
    pub(crate) fn deleted(&self) -> watch::Receiver<bool> {
        self.deleted.subscribe()
    }

    /// Begins a fragment under the number that `give_out` makes, if it has one at hand: the ring is
    /// locked meanwhile. Those that still grow are overtaken.
    pub(crate) fn begin(
        &self,
        beginning: Begun,
        give_out: impl FnOnce() -> Result<Option<FragmentParts>, StoreError>,
    ) -> Result<Option<Arc<Fragment>>, StoreError> {
        let mut ring = lock(&self.ring);
        let Some(number) = give_out()? else {
            return Ok(None);
        };
        let fragment = Arc::new(Fragment::new(number, beginning));
        for growing in &ring.growing {
            growing.overtake();
        }
        ring.growing.push(Arc::clone(&fragment));
        ring.fragments.push_back(Arc::clone(&fragment));
        self.count(&mut ring, fragment.header.len() as u64);
        drop(ring);
        self.tick();
        Ok(Some(fragment))
    }

    /// Adds whole elements at the end of a fragment.
    pub(crate) fn grow(&self, fragment: &Fragment, bytes: Bytes, now: Instant) {
        let len = bytes.len() as u64;
        fragment.grow(bytes);
        let mut ring = lock(&self.ring);
        self.count(&mut ring, len);
        self.evict(&mut ring, now);
        drop(ring);
        self.tick();
    }

    /// All bytes of a fragment are there. It stays in the ring until it is settled.
    pub(crate) fn complete(&self, fragment: &Fragment, length_ms: u64) {
        fragment.complete(length_ms);
        lock(&self.ring).stop_growing(fragment);
        self.tick();
    }

    /// The ring need not hold a fragment any more: the store has it, or nothing stores it.
    pub(crate) fn settle(&self, fragment: &Fragment, now: Instant) {
        fragment.settle();
        let mut ring = lock(&self.ring);
        self.evict(&mut ring, now);
        // Not the oldest: it waits for one that grows, or is on its way to the disk.
        let is_held = ring.position(fragment.number).is_some_and(|at| at > 0);
        let is_wanted = self.readers.load(Ordering::SeqCst) > 0 && !self.is_over();
        if fragment.stored && is_held && !is_wanted {
            // Its readers find it in the store.
            let bytes = fragment.release();
            self.discount(&mut ring, bytes);
        }
        drop(ring);
        self.tick();
    }

    /// A fragment will never be whole, or is not stored: nobody begins to read it any more.
    pub(crate) fn fail(&self, fragment: &Fragment) {
        fragment.fail();
        let mut ring = lock(&self.ring);
        ring.stop_growing(fragment);
        if let Some(at) = ring.position(fragment.number) {
            let failed = ring.fragments.remove(at);
            let bytes = failed.map_or(0, |failed| failed.bytes());
            self.discount(&mut ring, bytes);
        }
        drop(ring);
        self.tick();
    }

    /// The first fragment after `after`, in the order of numbers. Who `follows` has had that one
    /// just now, and learns of what it missed since.
    pub(crate) fn next(&self, after: FragmentParts, follows: bool, now: Instant) -> Next {
        if self.is_deleted() {
            return Next::Never;
        }
        let mut ring = lock(&self.ring);
        self.evict(&mut ring, now);
        if follows && after < ring.dropped {
            return Next::Missed(ring.dropped);
        }
        if after < ring.floor {
            return Next::Stored(ring.floor);
        }
        let at = ring
            .fragments
            .partition_point(|fragment| fragment.number <= after);
        match ring.fragments.get(at) {
            Some(fragment) => Next::Live(Arc::clone(fragment)),
            None => Next::NotYet,
        }
    }

    /// A place from where the next fragment is the one being received, or else the next to come.
    pub(crate) fn now(&self) -> FragmentParts {
        let ring = lock(&self.ring);
        let growing = ring.growing.first();
        let before = match growing.and_then(|oldest| ring.position(oldest.number)) {
            Some(at) => at.checked_sub(1),
            None => ring.fragments.len().checked_sub(1),
        };
        before.map_or(ring.floor, |at| ring.fragments[at].number)
    }

    /// The number of the newest fragment that has begun.
    pub(crate) fn newest(&self) -> FragmentParts {
        let ring = lock(&self.ring);
        ring.fragments
            .back()
            .map_or(ring.floor, |newest| newest.number)
    }

    /// Whether what is in the ring shows that the stream never gave out this number: sequence
    /// numbers and server times grow together.
    pub(crate) fn contradicts(&self, number: FragmentParts) -> bool {
        let ring = lock(&self.ring);
        let mut numbers = ring.fragments.iter().map(|fragment| fragment.number);
        numbers.any(|other| match other.sequence.cmp(&number.sequence) {
            CmpOrdering::Less => other.server_ms > number.server_ms,
            CmpOrdering::Equal => other != number,
            CmpOrdering::Greater => other.server_ms < number.server_ms,
        })
    }

    /// Whether a fragment is in the ring.
    pub(crate) fn has(&self, number: FragmentParts) -> bool {
        lock(&self.ring).position(number).is_some()
    }

    /// The fragments in the ring that end at that time or later, one that grows being without an
    /// end: when each starts, and its number.
    pub(crate) fn ending_from(&self, origin: TimeOrigin, at_ms: u64) -> Vec<(u64, FragmentParts)> {
        let ring = lock(&self.ring);
        let ends_from = |fragment: &Arc<Fragment>| {
            let start_ms = match origin {
                TimeOrigin::Server => fragment.number.server_ms,
                TimeOrigin::Producer => fragment.producer_ms,
            };
            let from = fragment.ends_from(start_ms, at_ms);
            from.then_some((start_ms, fragment.number))
        };
        ring.fragments.iter().filter_map(ends_from).collect()
    }

    /// Drops what is settled and no longer worth its memory, oldest first.
    fn evict(&self, ring: &mut Ring, now: Instant) {
        let mut at = 0;
        while let Some(fragment) = ring.fragments.get(at).cloned() {
            if !fragment.is_settled() {
                // There are no more of these than sessions and fragments on their way to the disk.
                at += 1;
                continue;
            }
            if !self.may_go(ring, at, &fragment, now) {
                return;
            }
            ring.fragments.remove(at);
            if at == 0 {
                ring.floor = fragment.number;
            }
            if !fragment.stored {
                ring.dropped = ring.dropped.max(fragment.number);
            }
            self.discount(ring, fragment.bytes());
        }
    }

    /// Whether the oldest fragment that is settled is no longer worth its memory.
    fn may_go(&self, ring: &Ring, at: usize, fragment: &Fragment, now: Instant) -> bool {
        if fragment.stored {
            // A live reader is at most a fragment behind; it need not go to the disk for that. One
            // that is not the oldest keeps its place, which tells readers to look in the store.
            let next_settled = ring.fragments.get(1).is_some_and(|next| next.is_settled());
            let unread = self.readers.load(Ordering::SeqCst) == 0;
            return at == 0 && (self.is_over() || next_settled || unread || fragment.is_released());
        }
        let age = now.saturating_duration_since(fragment.begun);
        age > UNSTORED_AGE_MAX || ring.bytes > UNSTORED_BYTES_MAX || self.is_over()
    }

    /// Whether all rings together hold too much.
    fn is_over(&self) -> bool {
        self.all_bytes.load(Ordering::Relaxed) > RINGS_BYTES_MAX
    }

    fn count(&self, ring: &mut Ring, bytes: u64) {
        ring.bytes += bytes;
        self.all_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn discount(&self, ring: &mut Ring, bytes: u64) {
        ring.bytes = ring.bytes.saturating_sub(bytes);
        self.all_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn tick(&self) {
        self.ticks.send_modify(|tick| *tick = tick.wrapping_add(1));
    }
}

impl Drop for LiveStream {
    fn drop(&mut self) {
        let bytes = lock(&self.ring).bytes;
        self.all_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Ring {
    fn stop_growing(&mut self, fragment: &Fragment) {
        self.growing
            .retain(|growing| growing.number != fragment.number);
    }

    fn position(&self, number: FragmentParts) -> Option<usize> {
        self.fragments
            .binary_search_by_key(&number, |fragment| fragment.number)
            .ok()
    }
}

/// A PutMedia under way; dropped, it makes room for another.
#[derive(Debug)]
pub(crate) struct SessionPermit(Arc<LiveStream>);

impl Drop for SessionPermit {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A GetMedia under way.
#[derive(Debug)]
pub(crate) struct Follower {
    stream: Arc<LiveStream>,
    ticks: watch::Receiver<u64>,
}

impl Follower {
    /// The stream that is followed.
    pub(crate) fn stream(&self) -> &LiveStream {
        &self.stream
    }

    /// From here on, [`changed`](Self::changed) tells of what happens after this call.
    pub(crate) fn mark_seen(&mut self) {
        self.ticks.mark_unchanged();
    }

    /// Waits until something has changed since the last mark.
    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as the stream that is held here.
        let _ = self.ticks.changed().await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stream.readers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;

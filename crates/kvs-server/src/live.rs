//! Fragments while they grow: one ring a stream, which producers fill and readers follow.
//!
//! A fragment enters its stream's ring when its number is given out, under one lock, so the ring
//! is in the order of the numbers. It leaves it from the old end, once the store has it (or, where
//! nothing is stored, by age and size). So *every fragment above the ring's floor is in the ring,
//! and every fragment at or below it is in the store or gone*, and a reader that knows the number
//! it had last finds the next one without a gap and without a duplicate.
//!
//! Whatever changes, one `watch` ticks. A reader marks the tick seen *before* it looks, so that
//! nothing that happens while it looks is missed.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kvs_protocol::FragmentParts;
use tokio::sync::watch;

use crate::lock::lock;
use crate::store::{StoreError, StreamId, TimeOrigin};

/// What readers of a stream without retention can go back to, whichever is reached first.
const UNSTORED_AGE_MS_MAX: u64 = 5 * 60 * 1000;
/// See [`UNSTORED_AGE_MS_MAX`].
const UNSTORED_BYTES_MAX: u64 = 200_000_000;
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

/// What is true of a stream for as long as it exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveSettings {
    /// Whether its fragments are stored.
    pub(crate) stored: bool,
    /// The newest number that the store holds.
    pub(crate) newest: Option<FragmentParts>,
}

impl Live {
    /// The stream's ring; `settings` are asked for when there is none yet.
    pub(crate) fn stream(
        &self,
        id: StreamId,
        settings: impl FnOnce() -> Result<LiveSettings, StoreError>,
    ) -> Result<Arc<LiveStream>, StoreError> {
        let mut streams = lock(&self.streams);
        if let Some(stream) = streams.get(&id) {
            return Ok(Arc::clone(stream));
        }
        let stream = Arc::new(LiveStream::new(settings()?, Arc::clone(&self.bytes)));
        streams.insert(id, Arc::clone(&stream));
        Ok(stream)
    }

    /// The stream is deleted: whoever writes or follows it ends.
    pub(crate) fn remove(&self, id: StreamId) {
        if let Some(stream) = lock(&self.streams).remove(&id) {
            stream.deleted.send_replace(true);
            stream.tick();
        }
    }
}

/// The ring of one stream.
#[derive(Debug)]
pub(crate) struct LiveStream {
    stored: bool,
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
    floor: FragmentParts,
    bytes: u64,
}

/// A fragment that grows or has just grown.
#[derive(Debug)]
pub(crate) struct Fragment {
    /// Its number.
    pub(crate) number: FragmentParts,
    /// When it was captured, by its producer's clock.
    pub(crate) producer_ms: u64,
    /// What stands before its cluster.
    pub(crate) header: Bytes,
    growth: Mutex<Growth>,
}

#[derive(Debug, Default)]
struct Growth {
    /// The cluster, then the producer's tags, as they came.
    chunks: Vec<Bytes>,
    phase: Phase,
    /// From the first frame to the last, once all are there.
    length_ms: u64,
    settled: bool,
}

/// How far a fragment has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// More bytes may come.
    #[default]
    Growing,
    /// All bytes are there.
    Complete,
    /// It never became whole, or could not be stored.
    Failed,
}

/// Where a reader finds the fragment after the one it had.
#[derive(Debug)]
pub(crate) enum Next {
    /// In the ring.
    Live(Arc<Fragment>),
    /// In the store, if it is one up to this number; else ask again from this number.
    Stored(FragmentParts),
    /// It has not begun.
    NotYet,
    /// There will be none: the stream is deleted.
    Never,
}

impl Fragment {
    /// The chunk of that index, and how far the fragment has come.
    pub(crate) fn chunk(&self, index: usize) -> (Option<Bytes>, Phase) {
        let growth = lock(&self.growth);
        (growth.chunks.get(index).cloned(), growth.phase)
    }

    /// All chunks of a complete fragment, for the store.
    pub(crate) fn chunks(&self) -> Vec<Bytes> {
        lock(&self.growth).chunks.clone()
    }

    fn is_settled(&self) -> bool {
        lock(&self.growth).settled
    }

    fn bytes(&self) -> u64 {
        let growth = lock(&self.growth);
        let body: usize = growth.chunks.iter().map(Bytes::len).sum();
        (body + self.header.len()) as u64
    }
}

impl LiveStream {
    fn new(settings: LiveSettings, all_bytes: Arc<AtomicU64>) -> Self {
        Self {
            stored: settings.stored,
            ring: Mutex::new(Ring {
                fragments: VecDeque::new(),
                floor: settings.newest.unwrap_or(BEFORE_ALL),
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
    pub(crate) fn open_session(self: &Arc<Self>) -> Option<Session> {
        self.sessions
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| {
                (open < SESSIONS_MAX).then_some(open + 1)
            })
            .ok()
            .map(|_| Session(Arc::clone(self)))
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
    /// locked meanwhile.
    pub(crate) fn begin(
        &self,
        producer_ms: u64,
        header: Bytes,
        give_out: impl FnOnce() -> Result<Option<FragmentParts>, StoreError>,
    ) -> Result<Option<Arc<Fragment>>, StoreError> {
        let mut ring = lock(&self.ring);
        let Some(number) = give_out()? else {
            return Ok(None);
        };
        let fragment = Arc::new(Fragment {
            number,
            producer_ms,
            header,
            growth: Mutex::default(),
        });
        ring.fragments.push_back(Arc::clone(&fragment));
        self.count(&mut ring, fragment.header.len() as u64);
        drop(ring);
        self.tick();
        Ok(Some(fragment))
    }

    /// Adds whole elements at the end of a fragment.
    pub(crate) fn grow(&self, fragment: &Fragment, bytes: Bytes) {
        let len = bytes.len() as u64;
        lock(&fragment.growth).chunks.push(bytes);
        let mut ring = lock(&self.ring);
        self.count(&mut ring, len);
        self.evict(&mut ring, fragment.number.server_ms);
        drop(ring);
        self.tick();
    }

    /// All bytes of a fragment are there. It stays in the ring until it is settled.
    pub(crate) fn complete(&self, fragment: &Fragment, length_ms: u64) {
        {
            let mut growth = lock(&fragment.growth);
            growth.phase = Phase::Complete;
            growth.length_ms = length_ms;
        }
        self.tick();
    }

    /// The ring need not hold a fragment any more: the store has it, or nothing stores it.
    pub(crate) fn settle(&self, fragment: &Fragment) {
        lock(&fragment.growth).settled = true;
        let mut ring = lock(&self.ring);
        self.evict(&mut ring, fragment.number.server_ms);
        drop(ring);
        self.tick();
    }

    /// A fragment will never be whole, or is not stored: nobody begins to read it any more.
    pub(crate) fn fail(&self, fragment: &Fragment) {
        {
            let mut growth = lock(&fragment.growth);
            growth.phase = Phase::Failed;
            growth.settled = true;
        }
        let mut ring = lock(&self.ring);
        if let Some(at) = ring.position(fragment.number) {
            let failed = ring.fragments.remove(at);
            let bytes = failed.map_or(0, |failed| failed.bytes());
            self.discount(&mut ring, bytes);
        }
        drop(ring);
        self.tick();
    }

    /// The first fragment after `after`, in the order of numbers.
    pub(crate) fn next(&self, after: FragmentParts) -> Next {
        if self.is_deleted() {
            return Next::Never;
        }
        let ring = lock(&self.ring);
        if after < ring.floor && self.stored {
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
        let growing = ring
            .fragments
            .iter()
            .position(|fragment| lock(&fragment.growth).phase == Phase::Growing);
        let before = match growing {
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
            let growth = lock(&fragment.growth);
            let from = growth.phase == Phase::Growing
                || start_ms.saturating_add(growth.length_ms) >= at_ms;
            from.then_some((start_ms, fragment.number))
        };
        ring.fragments.iter().filter_map(ends_from).collect()
    }

    fn evict(&self, ring: &mut Ring, now_ms: u64) {
        while let Some(oldest) = ring.fragments.front() {
            if !oldest.is_settled() || !self.may_go(ring, oldest, now_ms) {
                break;
            }
            let (number, bytes) = (oldest.number, oldest.bytes());
            ring.fragments.pop_front();
            ring.floor = number;
            self.discount(ring, bytes);
        }
    }

    /// Whether the oldest fragment, which is settled, is no longer worth its memory.
    fn may_go(&self, ring: &Ring, oldest: &Fragment, now_ms: u64) -> bool {
        if self.all_bytes.load(Ordering::Relaxed) > RINGS_BYTES_MAX {
            return true;
        }
        if self.stored {
            // A live reader is at most a fragment behind; it need not go to the disk for that.
            let next_settled = ring.fragments.get(1).is_some_and(|next| next.is_settled());
            return next_settled || self.readers.load(Ordering::SeqCst) == 0;
        }
        let age_ms = now_ms.saturating_sub(oldest.number.server_ms);
        age_ms > UNSTORED_AGE_MS_MAX || ring.bytes > UNSTORED_BYTES_MAX
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
    fn position(&self, number: FragmentParts) -> Option<usize> {
        self.fragments
            .binary_search_by_key(&number, |fragment| fragment.number)
            .ok()
    }
}

/// A PutMedia under way; dropped, it makes room for another.
#[derive(Debug)]
pub(crate) struct Session(Arc<LiveStream>);

impl Drop for Session {
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

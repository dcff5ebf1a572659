//! A fragment that grows or has just grown, in memory.

use std::sync::Mutex;

use bytes::Bytes;
use kvs_protocol::FragmentParts;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::lock;

/// What is known of a fragment when it begins.
#[derive(Debug)]
pub(crate) struct Begun {
    /// When it was captured, by its producer's clock.
    pub(crate) producer_ms: u64,
    /// What stands before its cluster.
    pub(crate) header: Bytes,
    /// Whether it is to be stored, or lives in memory alone.
    pub(crate) stored: bool,
    /// When it began, which its age in memory counts from.
    pub(crate) at: Instant,
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
    /// Whether it is to be stored, or lives in memory alone.
    pub(crate) stored: bool,
    pub(super) begun: Instant,
    growth: Mutex<Growth>,
    overtaken: Notify,
}

#[derive(Debug, Default)]
struct Growth {
    /// The cluster, then the producer's tags, as they came.
    chunks: Vec<Bytes>,
    bytes: u64,
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
    /// The store has it, and memory no longer.
    Released,
    /// It never became whole, or could not be stored.
    Failed,
}

impl Fragment {
    pub(super) fn new(number: FragmentParts, beginning: Begun) -> Self {
        Self {
            number,
            producer_ms: beginning.producer_ms,
            header: beginning.header,
            stored: beginning.stored,
            begun: beginning.at,
            growth: Mutex::default(),
            overtaken: Notify::new(),
        }
    }

    /// The chunk of that index, and how far the fragment has come.
    pub(crate) fn chunk(&self, index: usize) -> (Option<Bytes>, Phase) {
        let growth = lock(&self.growth);
        (growth.chunks.get(index).cloned(), growth.phase)
    }

    /// All chunks of a complete fragment, for the store.
    pub(crate) fn chunks(&self) -> Vec<Bytes> {
        lock(&self.growth).chunks.clone()
    }

    /// Resolves once a newer fragment has begun, which readers get after this one.
    pub(crate) async fn overtaken(&self) {
        self.overtaken.notified().await;
    }

    pub(super) fn overtake(&self) {
        self.overtaken.notify_one();
    }

    pub(super) fn grow(&self, chunk: Bytes) {
        let mut growth = lock(&self.growth);
        growth.bytes += chunk.len() as u64;
        growth.chunks.push(chunk);
    }

    pub(super) fn complete(&self, length_ms: u64) {
        let mut growth = lock(&self.growth);
        growth.phase = Phase::Complete;
        growth.length_ms = length_ms;
    }

    pub(super) fn settle(&self) {
        lock(&self.growth).settled = true;
    }

    pub(super) fn fail(&self) {
        let mut growth = lock(&self.growth);
        growth.phase = Phase::Failed;
        growth.settled = true;
    }

    /// Lets go of what the store has; gives how much that was.
    pub(super) fn release(&self) -> u64 {
        let mut growth = lock(&self.growth);
        growth.phase = Phase::Released;
        growth.chunks = Vec::new();
        std::mem::take(&mut growth.bytes)
    }

    pub(super) fn is_settled(&self) -> bool {
        lock(&self.growth).settled
    }

    pub(super) fn is_released(&self) -> bool {
        lock(&self.growth).phase == Phase::Released
    }

    pub(super) fn bytes(&self) -> u64 {
        lock(&self.growth).bytes + self.header.len() as u64
    }

    /// Whether it ends at that time or later, one that grows being without an end.
    pub(super) fn ends_from(&self, start_ms: u64, at_ms: u64) -> bool {
        let growth = lock(&self.growth);
        growth.phase == Phase::Growing || start_ms.saturating_add(growth.length_ms) >= at_ms
    }
}

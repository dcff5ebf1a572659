//! What a monitor wants to know of the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::Store;
use super::error::StoreError;
use super::record::BLOCK_BYTES;
use super::stream::{Stream, StreamId};
use crate::lock::lock;

/// What the writer measures with each group that it makes durable.
#[derive(Debug)]
pub(crate) struct Groups {
    /// How long that took, by the monotonic clock in whole milliseconds.
    pub(crate) commit_seconds: Histogram,
    /// How many fragments it had.
    pub(crate) fragments: Histogram,
    /// What all fragments take on the disk, by the index.
    stored_bytes: AtomicU64,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            // From a disk that answers from its cache to one that hangs: 1 ms to 16 s.
            commit_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            // The queue holds no more of the smallest ones worth counting.
            fragments: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            stored_bytes: AtomicU64::new(0),
        }
    }
}

impl Groups {
    /// A group is durable.
    pub(super) fn observe(&self, fragments: usize, took_ms: u64) {
        self.commit_seconds.observe(took_ms as f64 / 1000.0);
        self.fragments.observe(fragments as f64);
    }

    /// So many blocks are in use now.
    pub(super) fn set_stored(&self, blocks: u64) {
        self.stored_bytes
            .store(blocks * BLOCK_BYTES, Ordering::Relaxed);
    }
}

/// What a stream takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Its fragments, with those that are past their retention and not deleted yet.
    pub fragments: u64,
    /// What they take on the disk.
    pub bytes: u64,
}

impl Store {
    /// What each stream takes; streams without fragments are left out. Blocks, for a moment: it is
    /// counted with every change.
    pub fn usage(&self) -> Result<BTreeMap<StreamId, Usage>, StoreError> {
        let used = self.0.shared.snapshot()?.usage()?.unwrap_or_default();
        let usage = used.into_iter().map(|(stream, used)| {
            let bytes = used.blocks * BLOCK_BYTES;
            let fragments = used.fragments;
            (stream, Usage { fragments, bytes })
        });
        Ok(usage.collect())
    }

    /// What has been measured of all groups.
    pub(crate) fn groups(&self) -> &Groups {
        &self.0.shared.groups
    }

    /// What all fragments take on the disk.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.groups().stored_bytes.load(Ordering::Relaxed)
    }

    /// The room on the disk, where it is bounded and the disk tells. Blocks.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let free_bytes = self.0.shared.disk.free_bytes().ok();
        free_bytes.filter(|bytes| *bytes < u64::MAX)
    }

    /// How long ago the last fragment of each stream began to arrive; streams that never had one
    /// are left out. In the order of names.
    pub(crate) fn ages_ms(&self) -> Vec<(Arc<Stream>, u64)> {
        let shared = &self.0.shared;
        let now_ms = shared.clock.now_ms();
        let age_ms = |stream: Arc<Stream>| {
            let live = shared.stream(stream.id).ok()?;
            let newest_ms = lock(&live.numbers).server_ms;
            (newest_ms > 0).then(|| (stream, now_ms.saturating_sub(newest_ms)))
        };
        shared.streams().into_iter().filter_map(age_ms).collect()
    }
}

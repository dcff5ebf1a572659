//! What a store is opened with.

use std::path::PathBuf;

use super::engine::writer::GROUP_BYTES_MAX;
use super::fragment::RECORD_BYTES_MAX;

/// `--memory` keeps this much, oldest out first.
pub const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// Large enough that files are few, small enough that one is soon free to unlink.
pub const SEGMENT_BYTES: u64 = 256 << 20;
/// Below this, fragments are refused while deletes can still commit.
const FREE_BYTES_MIN: u64 = 256 << 20;
/// What the index of some million fragments rewrites while a stream of them is deleted.
const RESERVE_BYTES: u64 = 64 << 20;

/// When fragments past their retention go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// They stay, and are seen: for whoever looks at a store and does not serve it.
    Never,
    /// While the clock is synchronised.
    Synchronized,
    /// The same, and the operator says that the clock is right.
    Confirmed,
}

/// Where the fragments go, with what bounds.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data folder; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// The file of the master key; `None` is `master.key` in the data folder, made there at the
    /// first start.
    pub master_key: Option<PathBuf>,
    /// All fragments together, in a data folder with all that lies there; over it the oldest
    /// segment goes.
    pub bytes_max: Option<u64>,
    /// Fragments are refused when the disk has less room than this.
    pub free_bytes_min: u64,
    /// Room that is held back for deletes on a full disk; 0 holds none.
    pub reserve_bytes: u64,
    /// Whether and when fragments expire.
    pub expiry: Expiry,
    /// Whether a start reads and verifies the whole index first.
    pub verify_index: bool,
    /// The size of a segment; a larger record has one of its own.
    pub segment_bytes: u64,
}

impl StoreConfig {
    /// A store in this folder, made if it does not exist.
    pub fn on_disk(data: impl Into<PathBuf>) -> Self {
        Self {
            data: Some(data.into()),
            master_key: None,
            bytes_max: None,
            free_bytes_min: FREE_BYTES_MIN,
            reserve_bytes: RESERVE_BYTES,
            expiry: Expiry::Synchronized,
            verify_index: false,
            segment_bytes: SEGMENT_BYTES,
        }
    }

    /// The same with a bound on all that lies in the data folder. Segments are smaller where it
    /// is small, as eviction takes one before the next: 1/64 of all, a record at least.
    #[must_use]
    pub fn within(self, bytes_max: u64) -> Self {
        let segment_bytes = (bytes_max / 64).clamp(RECORD_BYTES_MAX, SEGMENT_BYTES);
        Self {
            bytes_max: Some(bytes_max),
            segment_bytes,
            ..self
        }
    }

    /// What lies in the data folder besides fragments and index: the reserve, a group that is
    /// there before others make room for it, and a segment that is still to be unlinked.
    pub(super) fn besides_bytes(&self) -> u64 {
        self.reserve_bytes + GROUP_BYTES_MAX as u64 + self.segment_bytes
    }

    /// A store that ends with the process.
    pub fn in_memory() -> Self {
        Self {
            data: None,
            master_key: None,
            bytes_max: Some(MEMORY_BYTES_MAX),
            free_bytes_min: 0,
            reserve_bytes: 0,
            expiry: Expiry::Synchronized,
            verify_index: false,
            segment_bytes: RECORD_BYTES_MAX,
        }
    }
}

//! The index: which fragments there are, where they lie, and what else must survive a restart.

mod backend;
pub(super) mod damage;
mod read;
mod row;
mod unproven;
mod usage;
mod write;

use std::fmt;
use std::sync::Arc;

use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use crate::store::disk::{Disk, DiskFile};
use crate::store::error::StoreError;
use backend::Backend;
use damage::damaged;

pub(super) use read::{PASSED_ROWS_MAX, Snapshot};
pub(super) use row::{Entry, Row};
pub(super) use unproven::Unproven;
pub(super) use usage::Used;
pub(super) use write::{Changes, Reserved};

/// A stream, then one of two times, then the sequence number.
type Key = (u32, u64, u64);

/// Fragments in the order of their numbers, which is that of the server's time.
const BY_SERVER: TableDefinition<'_, Key, row::Value> = TableDefinition::new("by_server");
/// The same fragments in the order of the producer's time; the value is the server's.
const BY_PRODUCER: TableDefinition<'_, Key, u64> = TableDefinition::new("by_producer");
/// Streams, as JSON.
const STREAMS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("streams");
/// Streams that are deleted and still have rows.
const DOOMED: TableDefinition<'_, u32, ()> = TableDefinition::new("doomed");
/// For each stream the last sequence number that may have been given out, and a server time.
const RESERVED: TableDefinition<'_, u32, (u64, u64)> = TableDefinition::new("reserved");
/// Segments, with the blocks in them that rows point at.
const SEGMENTS: TableDefinition<'_, u32, u32> = TableDefinition::new("segments");
/// Places that no row points at any more, with their blocks, whose room is still to be given back.
const FREE: TableDefinition<'_, (u32, u32), u32> = TableDefinition::new("free");
/// Single values: the next stream's id, the checkpoint, and what tells the master key again.
const SINGLE: TableDefinition<'_, &str, u64> = TableDefinition::new("single");

const NEXT_STREAM: &str = "next_stream";
const CHECKPOINT_SEGMENT: &str = "checkpoint_segment";
const CHECKPOINT_BLOCK: &str = "checkpoint_block";
const MASTER_KEY_MARK: &str = "master_key_mark";
const TRUSTED_MS: &str = "trusted_ms";

/// What redb keeps of its file in memory. The working set of ingest is a few pages for each stream.
const CACHE_BYTES: usize = 16 << 20;

/// The database in its file.
pub(super) struct Index(Database);

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Index")
    }
}

impl Index {
    /// Makes an empty index, durably. One that an interrupted start left must be gone.
    pub(super) fn create(
        disk: &dyn Disk,
        path: &str,
        master_key_mark: u64,
    ) -> Result<(), StoreError> {
        let file = disk
            .create(path)
            .map_err(StoreError::io("make the index"))?;
        Self::in_file(file)?.change(true, |changes| {
            changes.make_tables()?;
            changes.set_master_key_mark(master_key_mark)
        })
    }

    /// Opens the index. One without tables is damaged: made anew over what there is, it would say
    /// that all of that is garbage.
    pub(super) fn open(disk: &dyn Disk, path: &str) -> Result<Self, StoreError> {
        let missing = "open index.redb (kvs-server rebuild-index --data DIR makes it again)";
        let opening = StoreError::io(missing);
        let file = disk.open(path).map_err(&opening)?;
        if file.len().map_err(&opening)? == 0 {
            return Err(damaged());
        }
        let index = Self::in_file(file).map_err(|error| with_hint(&error))?;
        if index.0.begin_read()?.list_tables()?.next().is_none() {
            return Err(damaged());
        }
        Ok(index)
    }

    /// Reads every page of an index that nobody uses and compares it with its checksum, which an
    /// open does not.
    pub(super) fn verify(disk: &dyn Disk, path: &str) -> Result<(), StoreError> {
        let file = disk.open(path).map_err(StoreError::io("open the index"))?;
        damage::caught(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_BYTES);
            builder.set_check_integrity_on_open(true);
            let opened = builder.create_with_backend(Backend::new(file));
            let closed = opened.and_then(Database::close);
            closed.map_err(|error| with_hint(&error))
        })
    }

    fn in_file(file: Arc<dyn DiskFile>) -> Result<Self, StoreError> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(Backend::new(file))?;
        Ok(Self(database))
    }

    /// What is there now, unmoved by later changes.
    pub(super) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Snapshot::new(self.0.begin_read()?)
    }

    /// Changes together, or not at all. A crash can take those back that are not `durable`, until
    /// the next that is.
    pub(super) fn change<T>(
        &self,
        durable: bool,
        change: impl FnOnce(&mut Changes<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut transaction = self.0.begin_write()?;
        let durability = if durable {
            Durability::Immediate
        } else {
            Durability::None
        };
        transaction
            .set_durability(durability)
            .map_err(redb::Error::from)?;
        transaction.set_quick_repair(durable);
        let done = {
            let mut changes = Changes::new(&transaction)?;
            let done = change(&mut changes)?;
            changes.count_usage()?;
            done
        };
        transaction.commit()?;
        Ok(done)
    }
}

/// What an index that cannot be opened is told of with.
fn with_hint(error: &dyn fmt::Display) -> StoreError {
    let hint = "if index.redb is damaged, kvs-server rebuild-index makes it again";
    StoreError::Index(format!("{error} ({hint})"))
}

macro_rules! index_errors {
    ($($error:ty),+) => { $(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Index(error.to_string())
            }
        }
    )+ };
}

index_errors!(
    redb::Error,
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

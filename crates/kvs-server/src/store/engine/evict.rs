//! Eviction: the oldest segment goes whole, so that the newest fragments find room.
//!
//! Segments are filled in the order in which fragments of all streams become durable, so the
//! oldest segment has what was stored first, of whichever stream. One that is begun is gone
//! through to its end, a batch with each group; only then can its file go.

use super::BATCH_ROWS;
use super::in_use::BlocksInUse;
use crate::store::config::StoreConfig;
use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::folder::INDEX_FILE;
use crate::store::index::{Row, Snapshot};
use crate::store::record::BLOCK_BYTES;
use crate::store::segments::{self, Place, Scan};
use crate::store::state::Shared;

/// A full disk evicts for as long as it is recorded to: one line says it of so long a time.
const LOG_MS: u64 = 60_000;

/// What has to go, and how far that has come.
#[derive(Debug)]
pub(super) struct Eviction {
    bytes_max: Option<u64>,
    /// On a disk the bound is for all that lies there: what is not fragments, the index aside.
    besides: Option<u64>,
    /// All before has gone, or cannot be found by its header.
    next: Place,
    more: bool,
    log: Log,
}

/// The rows that go next.
#[derive(Debug)]
pub(super) struct Victims {
    pub(super) rows: Vec<Row>,
    next: Place,
    more: bool,
    /// Blocks that have to go yet, and that this batch has to take of them.
    over: u64,
    least: u64,
    looks: usize,
}

impl Eviction {
    pub(super) fn new(config: &StoreConfig) -> Self {
        let start = Place {
            segment: 0,
            block: 0,
        };
        Self {
            bytes_max: config.bytes_max,
            besides: config.data.as_ref().map(|_| config.besides_bytes()),
            next: start,
            more: false,
            log: Log::default(),
        }
    }

    /// Whether there is more to go than was found.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// What goes so that `coming` blocks find room: as many at least, however far over the bound
    /// the store is, and else a batch.
    pub(super) fn find(
        &self,
        shared: &Shared,
        in_use: &BlocksInUse,
        tail: Option<u32>,
        coming: u64,
    ) -> Result<Victims, StoreError> {
        let disk = shared.disk.as_ref();
        let blocks_max = self.blocks_max(disk);
        let mut victims = Victims {
            rows: Vec::new(),
            next: self.next,
            more: false,
            over: (in_use.sum() + coming).saturating_sub(blocks_max),
            least: coming,
            looks: 0,
        };
        let mut snapshot = None;
        while let Some(segment) = in_use.first_in_use(victims.next.segment)
            && Some(segment) != tail
        {
            if segment != victims.next.segment {
                victims.next = Place { segment, block: 0 };
            }
            if victims.over == 0 && victims.next.block == 0 {
                break;
            }
            if victims.is_batch() {
                victims.more = true;
                break;
            }
            let snapshot = match &mut snapshot {
                Some(snapshot) => snapshot,
                none => none.insert(shared.snapshot()?),
            };
            victims.look_through(disk, snapshot)?;
        }
        Ok(victims)
    }

    fn blocks_max(&self, disk: &dyn Disk) -> u64 {
        let Some(bytes_max) = self.bytes_max else {
            return u64::MAX;
        };
        let besides = self.besides.map_or(0, |fixed| fixed + index_bytes(disk));
        bytes_max.saturating_sub(besides) / BLOCK_BYTES
    }

    /// What was found is gone, durably.
    pub(super) fn removed(&mut self, victims: &Victims, monotonic_ms: u64) {
        self.next = victims.next;
        self.more = victims.more;
        self.log.add(&victims.rows, monotonic_ms);
    }
}

impl Victims {
    /// Nobody has to wait for more at a time.
    fn is_batch(&self) -> bool {
        self.looks >= BATCH_ROWS && self.least == 0
    }

    /// Goes on in a segment, to its end or that of the batch.
    fn look_through(&mut self, disk: &dyn Disk, snapshot: &Snapshot) -> Result<(), StoreError> {
        match self.scan(disk, snapshot) {
            Ok(Some(block)) => {
                self.next.block = block;
                return Ok(());
            }
            Ok(None) => {}
            // It keeps its room; the others make theirs for what comes.
            Err(error @ StoreError::Io { .. }) => {
                tracing::warn!(%error, "a segment cannot be evicted");
            }
            Err(error) => return Err(error),
        }
        self.next = Place {
            segment: self.next.segment.saturating_add(1),
            block: 0,
        };
        Ok(())
    }

    /// The block to go on from, before the segment's end.
    fn scan(&mut self, disk: &dyn Disk, snapshot: &Snapshot) -> Result<Option<u32>, StoreError> {
        let Place { segment, block } = self.next;
        let path = segments::path(segment);
        let failed = StoreError::io(format!("scan {path}"));
        let file = disk.open(&path).map_err(&failed)?;
        let mut scan = Scan::new(file.as_ref(), block).map_err(&failed)?;
        while let Some(block) = scan.block() {
            if self.is_batch() {
                return Ok(Some(block));
            }
            self.looks += 1;
            let Some((block, header)) = scan.look().map_err(&failed)? else {
                continue;
            };
            let row = Row::new(&header, Place { segment, block });
            // What was deleted may still lie there, where the disk has no holes.
            if snapshot.row(row.facts.stream, row.facts.number)? == Some(row) {
                self.take(row);
            }
        }
        Ok(None)
    }

    fn take(&mut self, row: Row) {
        let blocks = u64::from(row.blocks());
        self.over = self.over.saturating_sub(blocks);
        self.least = self.least.saturating_sub(blocks);
        self.rows.push(row);
    }
}

/// What the index takes of the disk.
fn index_bytes(disk: &dyn Disk) -> u64 {
    let len = disk.open(INDEX_FILE).and_then(|file| file.len());
    len.unwrap_or(0)
}

/// What was evicted since the log said so.
#[derive(Debug, Default)]
struct Log {
    fragments: usize,
    bytes: u64,
    next_ms: u64,
}

impl Log {
    /// These are gone. Says what has come together, at most once in [`LOG_MS`].
    fn add(&mut self, rows: &[Row], monotonic_ms: u64) {
        self.fragments += rows.len();
        let blocks: u64 = rows.iter().map(|row| u64::from(row.blocks())).sum();
        self.bytes += blocks * BLOCK_BYTES;
        if self.fragments > 0 && monotonic_ms >= self.next_ms {
            let (fragments, bytes) = (self.fragments, self.bytes);
            tracing::warn!(fragments, bytes, "the bound is reached: evicted the oldest");
            *self = Self {
                next_ms: monotonic_ms + LOG_MS,
                ..Self::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SimulatedClock;
    use crate::store::{NewFragment, NewStream, Store};

    const NOW_MS: u64 = 1_700_000_000_000;
    const FRAGMENTS: u64 = 2500;

    /// A store with so many fragments of a block each.
    fn filled() -> Store {
        let clock = Arc::new(SimulatedClock::new(NOW_MS));
        let store = Store::open(&StoreConfig::in_memory(), clock).expect("it is new");
        let new = NewStream::named(
            "cam".parse().expect("it is a name"),
            "first".parse().expect("it is a version"),
            1,
        );
        let stream = store.create_stream(new).expect("it is new").id;
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().expect("a thread can wait");
        for _ in 0..FRAGMENTS {
            let number = store.begin_fragment(stream, NOW_MS).expect("it exists");
            let appended = store.append(NewFragment {
                stream,
                number,
                producer_ms: NOW_MS,
                length_ms: 1,
                header: bytes::Bytes::new(),
                cluster_bytes: 0,
                body: Vec::new(),
            });
            runtime.block_on(appended).expect("there is room");
        }
        store
    }

    #[test]
    fn a_batch_makes_room_for_what_comes_and_goes_on_where_it_stopped() {
        let store = filled();
        let shared = &store.0.shared;
        let segments = shared.snapshot().and_then(|snapshot| snapshot.segments());
        let mut in_use = BlocksInUse::new(segments.expect("the index works"));
        let find = |eviction: &Eviction, in_use: &BlocksInUse, coming| {
            let found = eviction.find(shared, in_use, None, coming);
            found.expect("the index works")
        };
        let mut eviction = Eviction::new(&StoreConfig {
            bytes_max: Some((FRAGMENTS + 10) * BLOCK_BYTES),
            ..StoreConfig::in_memory()
        });
        // There is room.
        let victims = find(&eviction, &in_use, 10);
        assert_eq!((victims.rows.len(), victims.more), (0, false));
        // A group that needs more than a batch gets it, and a small one a batch.
        let mut sequences = 1..=FRAGMENTS;
        for (coming, rows, more) in [(1200, 1200, true), (1, 1000, true), (1, 300, false)] {
            let victims = find(&eviction, &in_use, coming);
            assert_eq!((victims.rows.len(), victims.more), (rows, more));
            for row in &victims.rows {
                let next = sequences.next();
                assert_eq!(
                    Some(row.facts.number.sequence),
                    next,
                    "the oldest goes first"
                );
            }
            eviction.removed(&victims, 0);
            let left = sequences.clone().count();
            // The first is to be gone through, although there is room by now.
            in_use.set([(1, left as u32)]);
        }
        assert_eq!(find(&eviction, &in_use, 10).rows, []);
    }
}

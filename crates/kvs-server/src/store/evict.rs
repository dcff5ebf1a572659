//! Eviction: the oldest segment goes whole, so that the newest fragments find room.
//!
//! Segments are filled in the order in which fragments of all streams become durable, so the
//! oldest segment has what was stored first, of whichever stream.

use std::io;

use super::disk::Disk;
use super::error::StoreError;
use super::format::INDEX_FILE;
use super::index::{Changes, Row, Snapshot};
use super::record::BLOCK_BYTES;
use super::segments::{self, Place, Scan};

/// A full disk evicts for as long as it is recorded to: one line says it of so long a time.
const LOG_MS: u64 = 60_000;

/// The rows that point into a segment.
pub(super) fn rows_in(
    disk: &dyn Disk,
    snapshot: &Snapshot,
    segment: u32,
) -> Result<Vec<Row>, StoreError> {
    let rows = || -> io::Result<Vec<Row>> {
        let file = disk.open(&segments::path(segment))?;
        let scan = Scan::new(file.as_ref(), 0)?;
        let row = |(block, header)| Row::new(&header, Place { segment, block });
        scan.map(|found| found.map(row)).collect()
    };
    let rows = rows().map_err(StoreError::io(format!("scan {}", segments::path(segment))))?;
    let mut there = Vec::with_capacity(rows.len());
    for row in rows {
        // What was deleted may still lie there, where the disk has no holes.
        if snapshot.row(row.facts.stream, row.facts.number)? == Some(row) {
            there.push(row);
        }
    }
    Ok(there)
}

/// What the index takes of the disk.
pub(super) fn index_bytes(disk: &dyn Disk) -> u64 {
    let len = disk.open(INDEX_FILE).and_then(|file| file.len());
    len.unwrap_or(0)
}

/// Takes the row out if it is still there.
pub(super) fn remove(changes: &mut Changes<'_>, row: &Row) -> Result<(), StoreError> {
    if changes.contains(row)? {
        changes.remove(row)
    } else {
        Ok(())
    }
}

/// What was evicted since the log said so.
#[derive(Debug, Default)]
pub(super) struct Evicted {
    fragments: usize,
    bytes: u64,
    next_log_ms: u64,
}

impl Evicted {
    /// These are gone. Logs what has come together, at most once in [`LOG_MS`].
    pub(super) fn add(&mut self, rows: &[Row], monotonic_ms: u64) {
        self.fragments += rows.len();
        let blocks: u64 = rows.iter().map(|row| u64::from(row.blocks())).sum();
        self.bytes += blocks * BLOCK_BYTES;
        if self.fragments > 0 && monotonic_ms >= self.next_log_ms {
            let (fragments, bytes) = (self.fragments, self.bytes);
            tracing::warn!(fragments, bytes, "the bound is reached: evicted the oldest");
            *self = Self {
                next_log_ms: monotonic_ms + LOG_MS,
                ..Self::default()
            };
        }
    }
}

//! Eviction: the oldest segment goes whole, so that the newest fragments find room.

use std::io;

use super::disk::Disk;
use super::error::StoreError;
use super::index::{Changes, Row};
use super::segments::{self, Place, Scan};

/// The rows that the records of a segment had or have.
pub(super) fn rows_in(disk: &dyn Disk, segment: u32) -> Result<Vec<Row>, StoreError> {
    let rows = || -> io::Result<Vec<Row>> {
        let file = disk.open(&segments::path(segment))?;
        let scan = Scan::new(file.as_ref(), 0)?;
        let row = |(block, header)| Row::new(&header, Place { segment, block });
        scan.map(|found| found.map(row)).collect()
    };
    rows().map_err(StoreError::io(format!("scan {}", segments::path(segment))))
}

/// Takes the row out if it is still there.
pub(super) fn remove(changes: &mut Changes<'_>, row: &Row) -> Result<(), StoreError> {
    if changes.contains(row)? {
        changes.remove(row)
    } else {
        Ok(())
    }
}

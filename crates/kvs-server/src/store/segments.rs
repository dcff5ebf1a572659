//! Segments: append-only files that hold the records of all streams.

use std::io;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::record::{BLOCK_BYTES, HEADER_BYTES, RecordHeader};

/// The folder of the segments.
pub(super) const SEGMENTS: &str = "segments";

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: u32,
    /// In units of [`BLOCK_BYTES`].
    pub(super) block: u32,
}

impl Place {
    pub(super) fn offset(self) -> u64 {
        u64::from(self.block) * BLOCK_BYTES
    }
}

/// The path of a segment.
pub(super) fn path(segment: u32) -> String {
    format!("{SEGMENTS}/{segment:08}")
}

/// The numbers of the segments that are there, in order.
pub(super) fn list(disk: &dyn Disk) -> Result<Vec<u32>, StoreError> {
    let names = disk
        .list(SEGMENTS)
        .map_err(StoreError::io("list the segments"))?;
    // A file of another name is somebody else's.
    let number = |name: &String| {
        let segment = name.parse().ok()?;
        (path(segment) == format!("{SEGMENTS}/{name}")).then_some(segment)
    };
    let mut segments: Vec<u32> = names.iter().filter_map(number).collect();
    segments.sort_unstable();
    Ok(segments)
}

/// The number behind all of these.
pub(super) fn next(segments: impl Iterator<Item = u32>) -> Result<u32, StoreError> {
    let next = segments.max().unwrap_or(0).checked_add(1);
    next.ok_or_else(|| StoreError::Index("no numbers of segments are left".into()))
}

/// Where the writer goes on.
#[derive(Debug)]
pub(super) struct Tail {
    segment_blocks: u32,
    /// The segment to be made next.
    next: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    segment: u32,
    file: Arc<dyn DiskFile>,
    blocks: u32,
    /// Up to here it is known to be on the disk.
    synced_blocks: u32,
}

impl Tail {
    /// A tail that begins with a new segment, `next`.
    pub(super) fn new(segment_bytes: u64, next: u32) -> Self {
        let segment_blocks = u32::try_from(segment_bytes / BLOCK_BYTES).unwrap_or(u32::MAX);
        Self {
            segment_blocks,
            next,
            open: None,
        }
    }

    /// The end of all that was written: where recovery has to begin, if it is committed.
    pub(super) fn end(&self) -> Place {
        match &self.open {
            Some(open) => Place {
                segment: open.segment,
                block: open.blocks,
            },
            None => Place {
                segment: self.next,
                block: 0,
            },
        }
    }

    /// The segment that is being written.
    pub(super) fn current(&self) -> Option<u32> {
        self.open.as_ref().map(|open| open.segment)
    }

    /// Writes records and makes them durable. After an error nothing is ever written to that
    /// segment again: what the disk holds of it is not known.
    pub(super) fn write(
        &mut self,
        disk: &dyn Disk,
        records: &[&[u8]],
    ) -> Result<Vec<Place>, StoreError> {
        let written = self.try_write(disk, records);
        if written.is_err() {
            self.abandon(disk);
        }
        written.map_err(StoreError::io("write a segment"))
    }

    /// Writes a block that says nothing, to see whether the disk takes one.
    pub(super) fn probe(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        self.write(disk, &[&[0; BLOCK_BYTES as usize]]).map(drop)
    }

    fn try_write(&mut self, disk: &dyn Disk, records: &[&[u8]]) -> io::Result<Vec<Place>> {
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            let blocks = (record.len() as u64 / BLOCK_BYTES) as u32;
            let full = |open: &Open| open.blocks + blocks > self.segment_blocks;
            if self.open.as_ref().is_some_and(full) {
                self.sync()?;
                self.open = None;
            }
            let open = match &mut self.open {
                Some(open) => open,
                none => none.insert(create(disk, &mut self.next)?),
            };
            let place = Place {
                segment: open.segment,
                block: open.blocks,
            };
            open.file.write_at(place.offset(), record)?;
            open.blocks += blocks;
            places.push(place);
        }
        self.sync()?;
        Ok(places)
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(open) = &mut self.open
            && open.blocks > open.synced_blocks
        {
            open.file.sync_data()?;
            let start = u64::from(open.synced_blocks) * BLOCK_BYTES;
            let end = u64::from(open.blocks) * BLOCK_BYTES;
            // Readers of the newest fragments have them in memory; the page cache is for others.
            open.file.forget(start, end - start);
            open.synced_blocks = open.blocks;
        }
        Ok(())
    }

    fn abandon(&mut self, disk: &dyn Disk) {
        if let Some(open) = self.open.take() {
            if open.synced_blocks == 0 {
                // Nothing ever counted on it. Where it stays, the next start takes it away.
                let _ = disk.unlink(&path(open.segment));
                return;
            }
            // Whole records of a group that failed would come back at the next start. That does
            // no harm, so it matters little if this fails too.
            let _ = open
                .file
                .set_len(u64::from(open.synced_blocks) * BLOCK_BYTES);
        }
    }
}

fn create(disk: &dyn Disk, next: &mut u32) -> io::Result<Open> {
    let segment = *next;
    // A number is used once, also where making the file fails half-way.
    *next += 1;
    let file = disk.create(&path(segment))?;
    disk.sync_dir(SEGMENTS)?;
    Ok(Open {
        segment,
        file,
        blocks: 0,
        synced_blocks: 0,
    })
}

/// Finds the record headers of a segment from `block` on. Anything else, torn or punched, is
/// stepped over block by block: no sealed byte looks like a header, checksum and all.
pub(super) struct Scan<'a> {
    file: &'a dyn DiskFile,
    block: u32,
    end: u32,
}

impl<'a> Scan<'a> {
    pub(super) fn new(file: &'a dyn DiskFile, block: u32) -> io::Result<Self> {
        let end = u32::try_from(file.len()? / BLOCK_BYTES).unwrap_or(u32::MAX);
        Ok(Self { file, block, end })
    }

    /// The block to be looked at next, before the end.
    pub(super) fn block(&self) -> Option<u32> {
        Some(self.block).filter(|block| *block < self.end)
    }

    /// Looks at that block, and behind it or the record that begins there.
    pub(super) fn look(&mut self) -> io::Result<Option<(u32, RecordHeader)>> {
        let mut bytes = [0; HEADER_BYTES];
        let block = self.block;
        self.block += 1;
        self.file
            .read_at(u64::from(block) * BLOCK_BYTES, &mut bytes)?;
        let header = RecordHeader::parse(&bytes);
        let header = header.filter(|header| header.facts.blocks() <= self.end - block);
        Ok(header.map(|header| {
            self.block = block + header.facts.blocks();
            (block, header)
        }))
    }

    /// Looks behind a header that belonged to no whole record.
    pub(super) fn step_back_to(&mut self, block: u32) {
        self.block = block;
    }
}

impl Iterator for Scan<'_> {
    type Item = io::Result<(u32, RecordHeader)>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.block().is_some() {
            let found = self.look().transpose();
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

//! Copies records from the segments of one disk to those of another.
//!
//! A record's first sector goes last, when the rest of it is on the disk: a header that is there
//! says that its record is whole. So whatever a copy that was cut short has left is not copied
//! again, and recovery never takes half a record for one.

use std::io;
use std::sync::Arc;

use super::progress::Progress;
use crate::store::disk::{Disk, DiskFile};
use crate::store::error::StoreError;
use crate::store::record::{BLOCK_BYTES, HEADER_BYTES, RecordHeader};
use crate::store::segments::{self, Place, SEGMENTS};

/// Read and written at a time.
const PIECE_BYTES: u64 = 1 << 20;
/// Synced so often: a server's sync on the same disk waits behind no more than this.
const UNSYNCED_BYTES_MAX: u64 = 8 << 20;
/// What a disk writes at once or not at all; it has the whole header.
const SECTOR_BYTES: usize = 512;

/// A record that is to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Extent {
    pub(super) place: Place,
    pub(super) blocks: u32,
}

impl Extent {
    fn bytes(self) -> u64 {
        u64::from(self.blocks) * BLOCK_BYTES
    }
}

/// What became of the records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Copied {
    pub(super) bytes: u64,
    /// Records of which the source has no whole header.
    pub(super) damaged: u64,
}

/// Copies what is not there yet. `extents` are in the order of their places.
pub(super) fn copy(
    from: &dyn Disk,
    to: &dyn Disk,
    extents: &[Extent],
    mut progress: impl FnMut(Progress),
) -> Result<Copied, StoreError> {
    let mut state = Progress {
        done_bytes: 0,
        total_bytes: extents.iter().map(|extent| extent.bytes()).sum(),
    };
    let mut copied = Copied::default();
    for extents in extents.chunk_by(|a, b| a.place.segment == b.place.segment) {
        let path = segments::path(extents[0].place.segment);
        let done = |bytes| {
            state.done_bytes += bytes;
            progress(state);
        };
        copy_segment(from, to, &path, extents, &mut copied, done)
            .map_err(StoreError::io(format!("copy {path}")))?;
    }
    to.sync_dir(SEGMENTS)
        .map_err(StoreError::io("copy the segments"))?;
    Ok(copied)
}

fn copy_segment(
    from: &dyn Disk,
    to: &dyn Disk,
    path: &str,
    extents: &[Extent],
    copied: &mut Copied,
    mut done: impl FnMut(u64),
) -> io::Result<()> {
    let mut copy = Copy {
        from: from.open(path)?,
        to: match to.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => to.create(path)?,
            opened => opened?,
        },
        heads: Vec::new(),
        unsynced_bytes: 0,
    };
    let to_len = copy.to.len()?;
    for extent in extents {
        let offset = extent.place.offset();
        let mut sector = [0; SECTOR_BYTES];
        match copy.from.read_at(offset, &mut sector) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => copied.damaged += 1,
            read => {
                read?;
                let header = RecordHeader::parse(&sector[..HEADER_BYTES]);
                copied.damaged += u64::from(header.is_none());
                if to_len < offset + extent.bytes() || !copy.is_there(offset, &sector)? {
                    copy.record(*extent, sector)?;
                    copied.bytes += extent.bytes();
                }
            }
        }
        done(extent.bytes());
    }
    copy.finish()
}

struct Copy {
    from: Arc<dyn DiskFile>,
    to: Arc<dyn DiskFile>,
    /// First sectors, of records whose rest is not on the disk yet.
    heads: Vec<(u64, [u8; SECTOR_BYTES])>,
    unsynced_bytes: u64,
}

impl Copy {
    fn is_there(&self, offset: u64, sector: &[u8; SECTOR_BYTES]) -> io::Result<bool> {
        let mut there = [0; SECTOR_BYTES];
        self.to.read_at(offset, &mut there)?;
        Ok(there == *sector)
    }

    fn record(&mut self, extent: Extent, sector: [u8; SECTOR_BYTES]) -> io::Result<()> {
        let start = extent.place.offset();
        let end = (start + extent.bytes()).min(self.from.len()?);
        let mut at = start + SECTOR_BYTES as u64;
        let mut piece = Vec::new();
        while at < end {
            let len = (end - at).min(PIECE_BYTES);
            piece.resize(len as usize, 0);
            self.from.read_at(at, &mut piece)?;
            self.to.write_at(at, &piece)?;
            at += len;
            self.unsynced_bytes += len;
            if self.unsynced_bytes >= UNSYNCED_BYTES_MAX {
                self.sync()?;
            }
        }
        // What was read has been read once, and the server's files need the memory.
        self.from.forget(start, end - start);
        self.heads.push((start, sector));
        Ok(())
    }

    /// Makes the rest of these records durable, and only then says that they are there.
    fn sync(&mut self) -> io::Result<()> {
        self.to.sync_data()?;
        self.unsynced_bytes = 0;
        for (offset, sector) in self.heads.drain(..) {
            self.to.write_at(offset, &sector)?;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        let any = self.unsynced_bytes > 0 || !self.heads.is_empty();
        if any {
            self.sync()?;
        }
        // Also what a copy before this one may have left unsynced.
        self.to.sync_data()?;
        self.to.forget(0, self.to.len()?);
        Ok(())
    }
}

//! Room that is held back, so that a full disk can still be made emptier.
//!
//! A delete writes to the index before it frees a byte. Where others have filled the disk to its
//! end, the reserve makes way for that; when there is room again, it is made again.

use std::io;

use crate::store::disk::{self, Disk, FRESH};
use crate::store::error::StoreError;

/// The file in the data folder.
const RESERVE_FILE: &str = "RESERVE";

/// The file, there or not. Owned by the writer.
#[derive(Debug)]
pub(in crate::store) struct ReserveFile {
    /// 0 where there is to be none.
    bytes: u64,
    there: bool,
}

impl ReserveFile {
    /// Looks whether an earlier start has left it.
    pub(in crate::store) fn open(disk: &dyn Disk, bytes: u64) -> Result<Self, StoreError> {
        let len = match disk.open(RESERVE_FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened.and_then(|file| file.len()).map_err(looking())?),
        };
        let there = bytes > 0 && len == Some(bytes);
        if len.is_some() && !there {
            disk.unlink(RESERVE_FILE).map_err(looking())?;
        }
        Ok(Self { bytes, there })
    }

    /// Whether there is so little room that the next change of the index may not find its own.
    pub(in crate::store) fn is_needed(&self, free_bytes: u64) -> bool {
        self.there && free_bytes < self.bytes
    }

    /// Gives its room to whoever writes next.
    pub(in crate::store) fn release(&mut self, disk: &dyn Disk) {
        if !self.there {
            return;
        }
        // Some file systems free the room only when the change of the name is on the disk.
        match disk.unlink(RESERVE_FILE).and_then(|()| disk.sync_dir("")) {
            Ok(()) => tracing::warn!("the disk is full: the reserve is released for deletes"),
            Err(error) => tracing::error!(%error, "the reserve cannot be released"),
        }
        self.there = false;
    }

    /// Makes it, if after that there is still its size more than `free_bytes_min`: so it does not
    /// come and go at the mark.
    pub(in crate::store) fn make_where_room(&mut self, disk: &dyn Disk, free_bytes_min: u64) {
        if self.there || self.bytes == 0 {
            return;
        }
        let enough = free_bytes_min.saturating_add(2 * self.bytes);
        if disk.free_bytes().is_ok_and(|free| free < enough) {
            return;
        }
        match self.make(disk) {
            Ok(()) => self.there = true,
            Err(error) => tracing::debug!(%error, "the reserve cannot be made yet"),
        }
    }

    fn make(&self, disk: &dyn Disk) -> io::Result<()> {
        let fresh = format!("{RESERVE_FILE}{FRESH}");
        disk::unlink_if_there(disk, &fresh)?;
        let file = disk.create(&fresh)?;
        let made = file.allocate(self.bytes).and_then(|()| file.sync_data());
        if let Err(error) = made {
            // What was taken of it so far is room that somebody needs.
            let _ = disk.unlink(&fresh);
            return Err(error);
        }
        disk.rename(&fresh, RESERVE_FILE)?;
        disk.sync_dir("")
    }
}

fn looking() -> impl Fn(io::Error) -> StoreError {
    StoreError::io("look for the reserve")
}

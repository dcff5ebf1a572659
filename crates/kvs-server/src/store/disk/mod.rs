//! The one seam between the store and a disk.
//!
//! Everything the store writes, the index's own file too, goes through these two traits: a
//! simulated disk can then lose and reorder what was not synced, and fail any call.

mod memory;
mod real;
pub mod simulated;
mod sparse;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

pub use memory::MemoryDisk;
pub use real::RealDisk;

/// A folder of files. Paths are relative to it, with `/` between their parts.
///
/// As on any disk, a name is durable after `sync_dir` of the folder that holds it, and bytes are
/// after `sync_data` of their file. Every call blocks.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Makes the folder unless it exists.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// The names in a folder, in no order.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// Makes a file, readable by its owner alone; an error where the name is taken.
    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that exists.
    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, in place of any file that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes the name away; open files stay readable.
    fn unlink(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;

    /// How many bytes can still be written.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Holds the folder for this process until the returned value is dropped; `None` where another
    /// holds it.
    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn DiskLock>>>;
}

/// A folder that is held.
pub trait DiskLock: Debug + Send + Sync {}

/// An open file. Every call blocks, and none has a position of its own.
pub trait DiskFile: Debug + Send + Sync + 'static {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads exactly `out.len()` bytes; `UnexpectedEof` where the file is shorter.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes`; a file that is shorter than `offset` is zeros up to there.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Takes room on the disk for the first `len` bytes, which then are zeros; for a new file.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Cuts the file, or adds zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes bytes and length durable. After an error nothing is known of what was written since
    /// the last success, and another call may say that all is well when it is not.
    fn sync_data(&self) -> io::Result<()>;

    /// Gives the room of these bytes back; they read as zeros. `false` where the disk cannot.
    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<bool>;

    /// These bytes will hardly be read soon: they need not stay in memory.
    fn forget(&self, _offset: u64, _len: u64) {}
}

/// Reads a small file whole.
pub(super) fn read_whole(disk: &dyn Disk, path: &str) -> io::Result<Vec<u8>> {
    /// Keys and the format file have some hundred bytes; a stream's file has its tags.
    const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;
    let file = disk.open(path)?;
    let len = file.len()?;
    if len > SMALL_FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too large"));
    }
    let mut bytes = vec![0; len as usize];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// What the name of a small file ends with until it is whole.
pub(super) const FRESH: &str = ".new";

/// Takes a name away that may be there.
pub(super) fn unlink_if_there(disk: &dyn Disk, path: &str) -> io::Result<()> {
    match disk.unlink(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a small file that is there whole or not at all, also after a power cut. `folder` ends with
/// `/` or is empty.
pub(super) fn write_whole(
    disk: &dyn Disk,
    folder: &str,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let fresh = format!("{folder}{name}{FRESH}");
    unlink_if_there(disk, &fresh)?;
    let file = disk.create(&fresh)?;
    file.write_at(0, bytes)?;
    file.sync_data()?;
    disk.rename(&fresh, &format!("{folder}{name}"))?;
    disk.sync_dir(folder)
}

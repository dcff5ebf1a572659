//! The folder's files: what the spool asks of a file system, and the machine's own.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::SpoolError;

/// What a name ends with until its file is whole.
const PART: &str = ".part";
/// The file that is locked while somebody has the folder open.
const LOCK: &str = "lock";
/// The largest file that is written or read, so that a foreign one cannot fill the memory. The
/// service takes no fragment of more than 50 MiB.
pub(super) const FILE_BYTES_MAX: u64 = 64 << 20;

/// The calls by which the spool keeps its files, each with the durability of its POSIX namesake.
pub(super) trait Folder: fmt::Debug + Send + Sync {
    /// The regular files and their sizes in bytes, sorted by name.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    /// An empty file; what had that name is gone.
    fn create(&self, name: &str) -> io::Result<Box<dyn Output>>;
    /// All of a file. One of more than [`FILE_BYTES_MAX`] is `FileTooLarge`.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn unlink(&self, name: &str) -> io::Result<()>;
    /// Makes durable which names there are.
    fn sync(&self) -> io::Result<()>;
}

/// A file that is being written.
pub(super) trait Output {
    fn write(&mut self, pieces: &[Bytes]) -> io::Result<()>;
    /// Makes durable what was written, but not the file's name.
    fn sync(&mut self) -> io::Result<()>;
}

/// Writes a file that exists whole or not at all, and is durable when this returns. After an error
/// nothing of it is left, as far as that can be done.
pub(super) fn write_whole(folder: &dyn Folder, name: &str, pieces: &[Bytes]) -> io::Result<()> {
    let part = format!("{name}{PART}");
    let written = write_synced(folder, &part, pieces)
        .and_then(|()| folder.rename(&part, name))
        .and_then(|()| folder.sync());
    if written.is_err() {
        // It has one of these names. Whatever hinders this is no worse than what has happened.
        let _ = folder.unlink(&part);
        let _ = folder.unlink(name);
    }
    written
}

fn write_synced(folder: &dyn Folder, name: &str, pieces: &[Bytes]) -> io::Result<()> {
    let mut file = folder.create(name)?;
    file.write(pieces)?;
    file.sync()
}

/// The name that a file was to have which a crash left half written.
pub(super) fn part_of(name: &str) -> Option<&str> {
    name.strip_suffix(PART)
}

/// A folder of the machine, readable by its owner alone and locked against others.
#[derive(Debug)]
pub(super) struct RealFolder {
    path: PathBuf,
    lock: File,
}

impl RealFolder {
    /// Opens the folder, made where it does not exist.
    pub(super) fn open(path: &Path) -> Result<Self, SpoolError> {
        let folder = path.to_owned();
        let path = match make(path) {
            Ok(path) => path,
            Err(source) => return Err(SpoolError::Folder { folder, source }),
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = match options.open(path.join(LOCK)) {
            Ok(lock) => lock,
            Err(source) => return Err(SpoolError::Io { folder, source }),
        };
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, lock }),
            Err(TryLockError::WouldBlock) => Err(SpoolError::InUse { folder }),
            Err(TryLockError::Error(source)) => Err(SpoolError::Io { folder, source }),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes a folder with a name as durable as what will lie in it; its absolute path, as the process
/// may change its own folder.
fn make(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let missing: Vec<_> = path.ancestors().take_while(|path| !path.exists()).collect();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path)?;
    for parent in missing.iter().filter_map(|path| path.parent()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(path)
}

impl Drop for RealFolder {
    fn drop(&mut self) {
        // It would go with the file, but that a child between fork and exec has the file as well.
        // What cannot be unlocked is closed all the same.
        let _ = self.lock.unlock();
    }
}

impl Folder for RealFolder {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                files.push((name, metadata.len()));
            }
        }
        files.sort();
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Output>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        Ok(Box::new(options.open(self.file(name))?))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = File::open(self.file(name))?;
        let len = file.metadata()?.len().min(FILE_BYTES_MAX);
        // A byte more, by which the end is seen without growing.
        let mut bytes = Vec::with_capacity(len as usize + 1);
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        match bytes.len() as u64 {
            0..=FILE_BYTES_MAX => Ok(bytes),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.file(from), self.file(to))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.file(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl Output for File {
    fn write(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = slices.as_mut_slice();
        // Leaves out empty ones, which would look like a disk that takes nothing.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match self.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => IoSlice::advance_slices(&mut rest, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

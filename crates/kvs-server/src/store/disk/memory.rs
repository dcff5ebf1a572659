//! A disk that is memory: what `--memory` runs on.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, RwLock};

use super::sparse::SparseBytes;
use super::{Disk, DiskFile, DiskLock};
use crate::lock::{lock, read, write};

/// Files in memory, gone with the process.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    files: Mutex<BTreeMap<String, Arc<MemoryFile>>>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the files take whose paths begin so, holes left out.
    #[doc(hidden)]
    pub fn allocated_bytes(&self, prefix: &str) -> u64 {
        self.with(|files| {
            let files = files.iter().filter(|(name, _)| name.starts_with(prefix));
            files.map(|(_, file)| read(&file.0).page_bytes()).sum()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Arc<MemoryFile>>) -> T) -> T {
        act(&mut lock(&self.files))
    }
}

impl Disk for MemoryDisk {
    fn create_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let plain = |name: &&str| !name.contains('/');
        Ok(self.with(|files| {
            let names = files.keys().filter_map(|name| name.strip_prefix(&prefix));
            names.filter(plain).map(str::to_owned).collect()
        }))
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.with(|files| {
            if files.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let file = Arc::new(MemoryFile::default());
            files.insert(path.to_owned(), Arc::clone(&file));
            Ok(file as Arc<dyn DiskFile>)
        })
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.with(|files| files.get(path).cloned());
        Ok(file.ok_or(io::ErrorKind::NotFound)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|files| {
            let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
            files.insert(to.to_owned(), file);
            Ok(())
        })
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        let file = self.with(|files| files.remove(path));
        file.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn lock(&self, _path: &str) -> io::Result<Option<Box<dyn DiskLock>>> {
        Ok(Some(Box::new(OwnMemory)))
    }
}

/// No other process sees this memory.
#[derive(Debug)]
struct OwnMemory;

impl DiskLock for OwnMemory {}

#[derive(Debug, Default)]
struct MemoryFile(RwLock<SparseBytes>);

impl MemoryFile {
    fn with<T>(&self, act: impl FnOnce(&mut SparseBytes) -> T) -> T {
        act(&mut write(&self.0))
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|bytes| bytes.len()))
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        read(&self.0).read(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|file| file.write(offset, bytes));
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|file| file.set_len(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        self.with(|file| file.punch(offset, len));
        Ok(true)
    }
}

//! A disk that is full, fails or is slow on purpose, over any other.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::Faults;
use super::active::Active;
use super::fault::Fault;
use super::what::What;
use crate::store::disk::{Disk, DiskFile, DiskLock};

/// How soon a slow call notices that its fault was cleared.
const NOTICE: Duration = Duration::from_millis(10);

/// What is asked of the disk.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum DiskCall {
    /// Bytes are read.
    Read,
    /// Bytes are written, room is taken, a file is made.
    Write,
    /// Bytes or names are made durable.
    Sync,
}

impl Faults {
    /// A call that makes a file longer, or asks for room: whether there is none.
    fn disk_is_full(&self) -> bool {
        !self
            .fired(|fault| fault.what == What::DiskFull {})
            .is_empty()
    }

    /// What a call of the disk meets before it is made.
    fn meet_disk_call(&self, of: DiskCall) -> io::Result<()> {
        let is_slow =
            |fault: &Fault| matches!(fault.what, What::DiskDelay { call, .. } if call == of);
        for active in self.fired(is_slow) {
            if let What::DiskDelay { delay_ms, .. } = active.fault.what {
                wait(&active, Duration::from_millis(delay_ms));
            }
        }
        let fails = |fault: &Fault| matches!(fault.what, What::DiskError { call } if call == of);
        match self.fired(fails).is_empty() {
            true => Ok(()),
            false => Err(Errno::IO.into()),
        }
    }
}

/// The disk's calls block, and so does this.
fn wait(active: &Active, delay: Duration) {
    let begin = Instant::now();
    while !active.is_cleared() {
        let left = delay.saturating_sub(begin.elapsed());
        if left.is_zero() {
            break;
        }
        thread::sleep(left.min(NOTICE));
    }
}

/// The disk with its faults.
#[derive(Debug)]
pub(crate) struct FaultDisk {
    disk: Arc<dyn Disk>,
    faults: Faults,
}

impl FaultDisk {
    pub(crate) fn new(disk: Arc<dyn Disk>, faults: Faults) -> Self {
        Self { disk, faults }
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let faults = self.faults.clone();
        Arc::new(FaultFile { file, faults })
    }

    fn take_room(&self) -> io::Result<()> {
        match self.faults.disk_is_full() {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl Disk for FaultDisk {
    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.faults.meet_disk_call(DiskCall::Write)?;
        self.take_room()?;
        Ok(self.file(self.disk.create(path)?))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.open(path)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.disk.unlink(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.faults.meet_disk_call(DiskCall::Sync)?;
        self.disk.sync_dir(path)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        match self.faults.disk_is_full() {
            true => Ok(0),
            false => self.disk.free_bytes(),
        }
    }

    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.disk.lock(path)
    }
}

#[derive(Debug)]
struct FaultFile {
    file: Arc<dyn DiskFile>,
    faults: Faults,
}

impl FaultFile {
    /// A call that leaves the file so long.
    fn meet_write(&self, len: u64) -> io::Result<()> {
        self.faults.meet_disk_call(DiskCall::Write)?;
        match len > self.file.len()? && self.faults.disk_is_full() {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl DiskFile for FaultFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.faults.meet_disk_call(DiskCall::Read)?;
        self.file.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.meet_write(offset.saturating_add(bytes.len() as u64))?;
        self.file.write_at(offset, bytes)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.meet_write(len)?;
        self.file.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.meet_write(len)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.meet_disk_call(DiskCall::Sync)?;
        self.file.sync_data()
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        self.file.punch_hole(offset, len)
    }

    fn forget(&self, offset: u64, len: u64) {
        self.file.forget(offset, len);
    }
}

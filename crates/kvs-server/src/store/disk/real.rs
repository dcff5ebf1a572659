//! The machine's disk.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{Disk, DiskFile, DiskLock};

/// A folder of the machine, readable by its owner alone.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    /// Its device and inode.
    id: (u64, u64),
}

impl RealDisk {
    /// The folder `root`, made if it does not exist.
    pub fn new(root: &Path) -> io::Result<Self> {
        let existed = |path: &&Path| path.as_os_str().is_empty() || path.exists();
        let made: Vec<_> = root.ancestors().take_while(|path| !existed(path)).collect();
        make_private_dir(root)?;
        for path in made {
            // Its name is as durable as what will lie in it.
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(Self {
            root: root.to_owned(),
            id: id(root)?,
        })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// What root writes the folder's own user cannot read: a server of that user would not start again.
fn check_owner(owner: u32, user: u32) -> io::Result<()> {
    match user == 0 && owner != 0 {
        true => Err(io::Error::other(format!(
            "the folder belongs to the user {owner}: run it as that user, not as root \
             (setpriv --reuid {owner} --regid {owner} --clear-groups kvs-server ...)"
        ))),
        false => Ok(()),
    }
}

fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &str) -> io::Result<()> {
        make_private_dir(&self.path(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let names = fs::read_dir(self.path(path))?;
        let names = names.map(|entry| Ok(entry?.file_name().into_string().ok()));
        // A name that is not UTF-8 is none of ours.
        names.filter_map(io::Result::transpose).collect()
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Arc::new(RealFile(options.open(self.path(path))?)))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path(path))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        File::open(self.path(path))?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        // A volume that was unmounted takes what is written to open files, and nobody finds it.
        if id(&self.root)? != self.id {
            return Err(io::Error::other("another folder has taken its place"));
        }
        let room = rustix::fs::statvfs(&self.root)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }

    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn DiskLock>>> {
        check_owner(fs::metadata(&self.root)?.uid(), geteuid().as_raw())?;
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(self.path(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // For whoever wonders which process it is.
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Some(Box::new(RealLock { file })))
    }
}

#[derive(Debug)]
struct RealLock {
    file: File,
}

impl Drop for RealLock {
    fn drop(&mut self) {
        // It would go with the file, but that a child between fork and exec has the file as well.
        // What cannot be unlocked is closed all the same.
        let _ = self.file.unlock();
    }
}

impl DiskLock for RealLock {}

#[derive(Debug)]
struct RealFile(File);

impl RealFile {
    /// Takes room where the file system cannot promise it.
    fn write_zeros(&self, len: u64) -> io::Result<()> {
        const PIECE_BYTES: u64 = 1 << 20;
        let zeros = vec![0; PIECE_BYTES as usize];
        let pieces = (0..len).step_by(zeros.len());
        { pieces }.try_for_each(|at| {
            let piece = (len - at).min(PIECE_BYTES) as usize;
            self.0.write_all_at(&zeros[..piece], at)
        })
    }
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.write_zeros(len),
            Err(error) => Err(error.into()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.0, how, offset, len) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn forget(&self, offset: u64, len: u64) {
        // Advice: where it fails, memory is used that could be free, and that is all.
        let len = std::num::NonZeroU64::new(len);
        let _ = rustix::fs::fadvise(&self.0, offset, len, Advice::DontNeed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_a_child_has_inherited_is_given_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = RealDisk::new(folder.path()).expect("it is there");
        let file = File::create(disk.path("LOCK")).expect("there is room");
        file.try_lock().expect("nobody has it");
        let inherited = file.try_clone().expect("there are files");
        drop(RealLock { file });
        let again = disk.lock("LOCK").expect("the disk works");
        assert!(again.is_some(), "it is held by {inherited:?}");
    }

    #[test]
    fn root_keeps_out_of_another_users_folder() {
        assert!(check_owner(1000, 1000).is_ok() && check_owner(0, 0).is_ok());
        assert!(check_owner(0, 1000).is_ok(), "as permissions let it");
        let error = check_owner(1000, 0).expect_err("root's files shut 1000 out");
        assert!(error.to_string().contains("--reuid 1000"), "{error}");
    }
}

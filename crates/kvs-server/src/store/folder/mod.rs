//! The data folder: its lock, its format, its master key.

pub(super) mod keys;
pub(super) mod master;
pub(super) mod reserve_file;
pub(super) mod rotate;
pub(super) mod stream_files;

use std::io;
use std::path::Path;

use crate::store::disk::{self, Disk, DiskLock, RealDisk};
use crate::store::error::StoreError;
use crate::store::index::Index;
use crate::store::random::Random;
use crate::store::segments::SEGMENTS;
use crate::store::tools::backup;
use keys::{KEYS, Key, MASTER_KEY_FILE};
use stream_files::STREAMS;

pub use rotate::{Rotated, rotate_key, rotate_key_on};

/// The format that this version writes and reads.
pub(super) const FORMAT_VERSION: u32 = 1;
const FORMAT_FILE: &str = "FORMAT";
const FORMAT_LABEL: &str = "kvs-server store ";
pub(super) const LOCK_FILE: &str = "LOCK";
/// The file of the index.
pub(super) const INDEX_FILE: &str = "index.redb";

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) master: Key,
    _lock: Box<dyn DiskLock>,
}

/// Takes the folder, and makes what is missing in one that is new.
pub(super) fn open(
    disk: &dyn Disk,
    data: &Path,
    master_key: Option<&Path>,
    random: &dyn Random,
) -> Result<Folder, StoreError> {
    let lock = disk
        .lock(LOCK_FILE)
        .map_err(StoreError::io(doing("lock", data)))?;
    let lock = lock.ok_or_else(|| StoreError::InUse(data.to_owned()))?;
    let exists = exists(disk, data)?;
    if !exists {
        if backup::is_one(disk)? {
            return Err(StoreError::UnfinishedBackup(data.to_owned()));
        }
        check_empty(disk, data)?;
    }
    let master = match master_key {
        Some(path) => read_key_file(path)?,
        None => own_master_key(disk, exists, random)?,
    };
    if !exists {
        initialise(disk, master.mark())?;
    }
    Ok(Folder {
        master,
        _lock: lock,
    })
}

/// What is done with the data folder, for an error of it: it says which folder.
pub(super) fn doing(what: &str, data: &Path) -> String {
    format!("{what} the data folder {}", data.display())
}

/// The disk of a data folder that a tool is to work on.
pub(super) fn existing(data: &Path) -> Result<RealDisk, StoreError> {
    if data.is_file() {
        return Err(StoreError::NotAFolder(data.to_owned()));
    }
    if !data.is_dir() {
        return Err(StoreError::NoStore(data.to_owned()));
    }
    let disk = RealDisk::new(data).map_err(StoreError::io(doing("open", data)))?;
    match exists(&disk, data)? {
        true => Ok(disk),
        false => Err(StoreError::NoStore(data.to_owned())),
    }
}

/// Whether a store is there; an error where it is one that we do not know.
pub(super) fn exists(disk: &dyn Disk, data: &Path) -> Result<bool, StoreError> {
    let text = match disk::read_whole(disk, FORMAT_FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        read => read.map_err(StoreError::io(doing("read FORMAT in", data)))?,
    };
    let text = String::from_utf8_lossy(&text);
    let found = text
        .trim_end()
        .strip_prefix(FORMAT_LABEL)
        .unwrap_or("unknown");
    if found == FORMAT_VERSION.to_string() {
        return Ok(true);
    }
    // A version is a number; anything else in there is not for our log.
    let number = found.len() <= 9 && found.bytes().all(|digit| digit.is_ascii_digit());
    let found = if number { found } else { "unknown" }.to_owned();
    Err(StoreError::UnknownFormat { found })
}

/// A folder with fragments or keys and without FORMAT is not made into a new store.
pub(super) fn check_empty(disk: &dyn Disk, data: &Path) -> Result<(), StoreError> {
    for folder in [KEYS, STREAMS, SEGMENTS] {
        let empty = match disk.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            listed => listed
                .map_err(StoreError::io(format!("list {folder}")))?
                .is_empty(),
        };
        if !empty {
            return Err(StoreError::NotAStore(data.to_owned()));
        }
    }
    Ok(())
}

fn initialise(disk: &dyn Disk, master_key_mark: u64) -> Result<(), StoreError> {
    let making = StoreError::io("make the data folder");
    disk.create_dir(KEYS).map_err(&making)?;
    disk.create_dir(SEGMENTS).map_err(&making)?;
    disk.create_dir(STREAMS).map_err(&making)?;
    // What an interrupted first start left.
    disk::unlink_if_there(disk, INDEX_FILE).map_err(&making)?;
    Index::create(disk, INDEX_FILE, master_key_mark)?;
    disk.sync_dir("").map_err(&making)?;
    write_format(disk)
}

/// From here on the folder is a store.
pub(super) fn write_format(disk: &dyn Disk) -> Result<(), StoreError> {
    let text = format!("{FORMAT_LABEL}{FORMAT_VERSION}\n");
    disk::write_whole(disk, "", FORMAT_FILE, text.as_bytes())
        .map_err(StoreError::io("write FORMAT"))
}

fn own_master_key(disk: &dyn Disk, exists: bool, random: &dyn Random) -> Result<Key, StoreError> {
    rotate::settle_own(disk)?;
    match disk::read_whole(disk, MASTER_KEY_FILE) {
        Ok(text) => parse_key(&text, MASTER_KEY_FILE),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("read the master key")(error))
        }
        Err(_) if exists => Err(StoreError::Key(format!(
            "the data folder has no {MASTER_KEY_FILE}: restore it, or name the file of its \
             master key with --master-key"
        ))),
        Err(_) => {
            let key = Key::random(random);
            disk::write_whole(disk, "", MASTER_KEY_FILE, key.to_hex().as_bytes())
                .map_err(StoreError::io("write the master key"))?;
            Ok(key)
        }
    }
}

/// The one file that the store reads and that may lie outside the data folder.
pub(super) fn read_key_file(path: &Path) -> Result<Key, StoreError> {
    let name = path.display().to_string();
    let text = std::fs::read(path).map_err(StoreError::io(format!("read the key {name}")))?;
    parse_key(&text, &name)
}

fn parse_key(text: &[u8], name: &str) -> Result<Key, StoreError> {
    Key::from_hex(text).ok_or_else(|| {
        let rule = "is no key: it has to hold 64 hexadecimal digits (openssl rand -hex 32)";
        StoreError::Key(format!("{name} {rule}"))
    })
}

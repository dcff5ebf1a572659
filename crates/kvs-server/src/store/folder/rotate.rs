//! The master key is exchanged: the streams' keys are wrapped anew, and no record is touched.
//!
//! Each new file lies beside the old one until the index has the new key's mark; that one commit
//! decides. Whatever was cut short is ended, or taken back, by the next that opens the folder.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::INDEX_FILE;
use super::keys::{self, KEYS, Key, MASTER_KEY_FILE};
use super::master;
use crate::clock::{Clock, SystemClock};
use crate::store::disk::{self, Disk};
use crate::store::error::StoreError;
use crate::store::index::Index;
use crate::store::index::damage;
use crate::store::random::{Random, SystemRandom};
use crate::store::state::Shared;

/// What the name of a key's file ends with that is wrapped by the new master key.
const ROTATED: &str = ".rotated";

/// What was done.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rotated {
    /// How many streams' keys are wrapped by the new master key now.
    pub streams: usize,
    /// The new master key is in force, and this has to be ended by the next start.
    pub unfinished: Option<StoreError>,
}

/// Exchanges the master key for that in the file `new`; without one, for a random one in the data
/// folder, where the old one lies there too. Nobody may use the folder meanwhile. Blocks for a
/// sync for each stream.
pub fn rotate_key(
    data: &Path,
    master_key: Option<&Path>,
    new: Option<&Path>,
) -> Result<Rotated, StoreError> {
    let disk = Arc::new(super::existing(data)?);
    let clock = Arc::new(SystemClock::new());
    let random = Arc::new(SystemRandom::new());
    rotate_key_on(disk, (data, master_key), new, clock, random)
}

/// The same on a disk of the caller's, with its clock and randomness.
pub fn rotate_key_on(
    disk: Arc<dyn Disk>,
    (data, master_key): (&Path, Option<&Path>),
    new: Option<&Path>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<Rotated, StoreError> {
    let new_key = match (new, master_key) {
        (Some(new), _) => super::read_key_file(new)?,
        (None, None) => Key::random(random.as_ref()),
        (None, Some(_)) => return Err(StoreError::Key(
            "the master key lies outside of the data folder: name the file of the new one with \
                 --new-master-key (openssl rand -hex 32 makes one)"
                .into(),
        )),
    };
    let folder = super::open(disk.as_ref(), data, master_key, random.as_ref())?;
    if folder.master.mark() == new_key.mark() {
        let what = "that is the master key which the data folder has already";
        return Err(StoreError::Key(what.into()));
    }
    let shared = Shared::new(disk, clock, random, folder);
    damage::caught(|| {
        shared.open_index(INDEX_FILE)?;
        if shared.snapshot()?.master_key_mark()? == Some(new_key.mark()) {
            // The same was asked for before, and was cut short behind the commit.
            return Ok(());
        }
        master::check(&shared)?;
        settle(&shared, &shared.folder.master)?;
        wrap_anew(&shared, &new_key, new.is_none())?;
        let mark = new_key.mark();
        shared.with_index(|index| index.change(true, |changes| changes.set_master_key_mark(mark)))
    })?;
    // The index is open, and it has just been told which key is in force.
    let settled = replace_own(shared.disk.as_ref(), |_| Ok(Some(new_key.mark())))
        .and_then(|()| settle(&shared, &new_key));
    let settled = settled.and_then(|()| match new {
        Some(_) => destroy_own(shared.disk.as_ref(), &new_key),
        None => Ok(()),
    });
    Ok(Rotated {
        streams: shared.snapshot()?.streams()?.len(),
        unfinished: settled.err(),
    })
}

/// Writes every key once more, beside the old ones. Until the commit these are nothing.
fn wrap_anew(shared: &Shared, new: &Key, own: bool) -> Result<(), StoreError> {
    shared.load_streams()?;
    // A folder of an earlier version has no mark yet, and the mark decides.
    master::remember(shared)?;
    if let Some(error) = shared.key_errors().into_iter().next() {
        // Put back later, its file would be wrapped by a key that nobody has any more.
        return Err(error);
    }
    let disk = shared.disk.as_ref();
    let writing = StoreError::io("wrap the streams' keys anew");
    for stream in shared.streams() {
        let live = shared.stream(stream.id)?;
        let wrapped = new.wrap(stream.id, live.key()?, shared.random.as_ref());
        write(disk, &rotated(&keys::path(stream.id)), &wrapped).map_err(&writing)?;
    }
    if own {
        let text = new.to_hex();
        write(disk, &rotated(MASTER_KEY_FILE), text.as_bytes()).map_err(&writing)?;
    }
    { disk.sync_dir(KEYS) }
        .and_then(|()| disk.sync_dir(""))
        .map_err(writing)
}

fn rotated(path: &str) -> String {
    format!("{path}{ROTATED}")
}

/// The bytes are on the disk when this returns, the name when its folder is synced.
fn write(disk: &dyn Disk, path: &str, bytes: &[u8]) -> io::Result<()> {
    disk::unlink_if_there(disk, path)?;
    let file = disk.create(path)?;
    file.write_at(0, bytes)?;
    file.sync_data()
}

/// For a backup: makes a key's file, or where another is in its place writes it beside that.
pub(in crate::store) fn write_beside(
    disk: &dyn Disk,
    path: &str,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let writing = StoreError::io(format!("write {path}"));
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = match disk::read_whole(disk, path) {
        Ok(there) if there == bytes => {
            // A backup before this one may have ended between the bytes and their sync.
            return { disk.open(path) }
                .and_then(|file| file.sync_data())
                .and_then(|()| disk.sync_dir(folder))
                .map_err(writing);
        }
        Ok(_) => rotated(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(writing(error)),
    };
    write(disk, &path, bytes)
        .and_then(|()| disk.sync_dir(folder))
        .map_err(writing)
}

/// For a backup whose index has the mark of these keys: gives each its place.
pub(in crate::store) fn replace_all(disk: &dyn Disk) -> Result<(), StoreError> {
    let replacing = StoreError::io("finish the backup's keys");
    for folder in [KEYS, ""] {
        for name in disk.list(folder).map_err(&replacing)? {
            let path = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            if let Some(old) = path.strip_suffix(ROTATED) {
                replace(disk, old, &path).map_err(&replacing)?;
            }
        }
        disk.sync_dir(folder).map_err(&replacing)?;
    }
    Ok(())
}

/// Refuses a folder in which a rotation waits for the index to decide.
pub(in crate::store) fn check_none(disk: &dyn Disk) -> Result<(), StoreError> {
    match keys::names(disk)?
        .iter()
        .any(|name| name.ends_with(ROTATED))
    {
        true => Err(StoreError::Key(
            "a rotation of the master key was cut short: end it with kvs-server check, which \
             needs the old index, or put the data folder's backup in its place"
                .into(),
        )),
        false => Ok(()),
    }
}

/// Ends a rotation of the streams' keys that was committed, and takes one back that was not.
/// `master` is the one whose mark the index has.
pub(in crate::store) fn settle(shared: &Shared, master: &Key) -> Result<(), StoreError> {
    let disk = shared.disk.as_ref();
    let mut found = false;
    for name in keys::names(disk)? {
        let Some(stream) = name.strip_suffix(ROTATED).and_then(keys::stream_of) else {
            continue;
        };
        found = true;
        let (new, old) = (format!("{KEYS}/{name}"), keys::path(stream));
        let ending = StoreError::io(format!("end the rotation of {old}"));
        let wrapped = disk::read_whole(disk, &new).map_err(&ending)?;
        match master.unwrap(stream, &wrapped) {
            Some(_) => replace(disk, &old, &new).map_err(ending)?,
            None => keys::destroy_file(disk, &new).map_err(ending)?,
        }
    }
    match found {
        true => disk
            .sync_dir(KEYS)
            .map_err(StoreError::io("end the rotation of the keys")),
        false => Ok(()),
    }
}

/// The same for the master key in the data folder, which the index's mark decides. Nobody may have
/// the index open: two that have it would each write it.
pub(super) fn settle_own(disk: &dyn Disk) -> Result<(), StoreError> {
    replace_own(disk, mark_in_index)
}

/// Puts the new master key in place if it has this mark, which is asked for where there is one.
fn replace_own(
    disk: &dyn Disk,
    mark: impl FnOnce(&dyn Disk) -> Result<Option<u64>, StoreError>,
) -> Result<(), StoreError> {
    let new = rotated(MASTER_KEY_FILE);
    let ending = StoreError::io("end the rotation of the master key");
    let text = match disk::read_whole(disk, &new) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(&ending)?,
    };
    let mark = mark(disk)?;
    if Key::from_hex(&text).is_some_and(|key| Some(key.mark()) == mark) {
        replace(disk, MASTER_KEY_FILE, &new).map_err(&ending)?;
    } else {
        keys::destroy_file(disk, &new).map_err(&ending)?;
    }
    disk.sync_dir("").map_err(ending)
}

/// Which master key is in force, by the index.
fn mark_in_index(disk: &dyn Disk) -> Result<Option<u64>, StoreError> {
    let mark = damage::caught(|| {
        let index = Index::open(disk, INDEX_FILE)?;
        index.snapshot()?.master_key_mark()
    });
    mark.map_err(|error| {
        StoreError::Key(format!(
            "a rotation of the master key was cut short, and the index that knows which one is in \
             force cannot be read ({error}): put the data folder's backup in its place"
        ))
    })
}

/// The old key lay in the data folder, and the new one does not.
fn destroy_own(disk: &dyn Disk, new: &Key) -> Result<(), StoreError> {
    let destroying = StoreError::io("destroy the old master key");
    let text = match disk::read_whole(disk, MASTER_KEY_FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(&destroying)?,
    };
    // The file that was named may be this very one.
    if Key::from_hex(&text).is_some_and(|key| key.mark() == new.mark()) {
        return Ok(());
    }
    { keys::destroy_file(disk, MASTER_KEY_FILE) }
        .and_then(|()| disk.sync_dir(""))
        .map_err(destroying)
}

/// Overwrites a file and gives its name to another, durably when the folder is synced.
fn replace(disk: &dyn Disk, old: &str, new: &str) -> io::Result<()> {
    match disk.open(old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => keys::overwrite(opened?.as_ref())?,
    }
    disk.rename(new, old)
}

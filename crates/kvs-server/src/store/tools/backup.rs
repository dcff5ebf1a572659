//! A copy of a store as it is at one moment, while it is in use or not.
//!
//! What is copied first changes nothing for the backup that may be there already; one rename of the
//! index makes the new one of it. See procedure 18 of `docs/store.md`.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::copy::{self, Copied, Extent};
use super::dump::{self, DumpedStream, Facts, Frame};
use super::progress::Progress;
use crate::clock::SystemClock;
use crate::store::Expiry;
use crate::store::Store;
use crate::store::StoreConfig;
use crate::store::disk::{self, Disk, FRESH, RealDisk};
use crate::store::error::StoreError;
use crate::store::folder::keys::{self, KEYS, Key, MASTER_KEY_FILE};
use crate::store::folder::rotate;
use crate::store::folder::stream_files::{self, STREAMS};
use crate::store::folder::{self, INDEX_FILE};
use crate::store::index::damage;
use crate::store::index::{Entry, Index, Reserved, Row, Unproven};
use crate::store::segments::{self, Place, SEGMENTS};
use crate::store::stream::StreamId;

/// Where a server waits for whoever backs its folder up, in that folder.
pub(crate) const SOCKET_FILE: &str = "backup.sock";
/// Says that the folder is a backup, which the next one may change.
const BACKUP_FILE: &str = "BACKUP";
/// What lies in an empty folder, or one whose first backup was cut short at once.
const NOT_OTHERS: [&str; 6] = [
    folder::LOCK_FILE,
    "BACKUP.new",
    KEYS,
    STREAMS,
    SEGMENTS,
    "lost+found",
];

/// What a backup has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackedUp {
    /// The streams.
    pub streams: usize,
    /// Their fragments.
    pub fragments: usize,
    /// What was copied of them; the rest was there from a backup before.
    pub copied_bytes: u64,
    /// Fragments that the source has only damaged.
    pub damaged: u64,
    /// Whether the master key is in the backup; else it lies elsewhere, and is needed as well.
    pub master_key: bool,
}

/// Whether the folder is a backup.
pub(in crate::store) fn is_one(disk: &dyn Disk) -> Result<bool, StoreError> {
    match disk.open(BACKUP_FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        opened => opened
            .map(|_| true)
            .map_err(StoreError::io("look for BACKUP")),
    }
}

/// Makes a backup a store of its own.
pub(in crate::store) fn claim(disk: &dyn Disk) -> Result<(), StoreError> {
    if !is_one(disk)? {
        return Ok(());
    }
    disk.unlink(BACKUP_FILE)
        .and_then(|()| disk.sync_dir(""))
        .map_err(StoreError::io("take BACKUP away"))
}

/// Copies the store in `data` to the folder `to`. Where a server uses it, that goes on; it gives
/// no room back meanwhile. Blocks for long.
pub fn backup(
    data: &Path,
    master_key: Option<&Path>,
    to: &Path,
    progress: impl FnMut(Progress),
) -> Result<BackedUp, StoreError> {
    let from = folder::existing(data)?;
    if lies_in(to, data) {
        return Err(StoreError::NotForBackup {
            to: to.to_owned(),
            why: "is in the data folder itself: name a folder elsewhere with --to",
        });
    }
    let target = RealDisk::new(to).map_err(StoreError::io(format!("make {}", to.display())))?;
    match UnixStream::connect(data.join(SOCKET_FILE)) {
        Ok(socket) => receive(&from, &target, to, socket, progress),
        Err(error) if is_nobody(&error) => {
            let config = StoreConfig {
                master_key: master_key.map(Path::to_owned),
                expiry: Expiry::Never,
                ..StoreConfig::on_disk(data)
            };
            // A damaged index may make redb panic also when it is closed.
            damage::caught(|| {
                let store = Store::open(&config, Arc::new(SystemClock::new()))?;
                backup_on(&store, &from, &target, to, progress)
            })
        }
        Err(error) => Err(StoreError::io("ask the server for a backup")(error)),
    }
}

/// Whether a folder, which need not exist, is another or lies below it.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let exists = path.ancestors().find_map(|path| path.canonicalize().ok());
    let here = || Path::new(".").canonicalize().ok();
    let folder = folder.canonicalize().ok();
    exists
        .or_else(here)
        .zip(folder)
        .is_some_and(|(path, folder)| path.starts_with(folder))
}

/// No server: none has ever made the socket, or the one that did is gone.
fn is_nobody(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    matches!(error.kind(), NotFound | ConnectionRefused)
}

/// Copies a store that this process has open, from its disk to another; `to` names that.
pub fn backup_on(
    store: &Store,
    from: &dyn Disk,
    target: &dyn Disk,
    to: &Path,
    progress: impl FnMut(Progress),
) -> Result<BackedUp, StoreError> {
    let (ours, theirs) = UnixStream::pair().map_err(StoreError::io("make a socket"))?;
    thread::scope(|scope| {
        // What goes wrong there is said to the other end, or that is gone.
        scope.spawn(|| drop(store.serve_backup(theirs)));
        receive(from, target, to, ours, progress)
    })
}

/// Makes a backup of what `socket` says of the store on the disk `from`.
fn receive(
    from: &dyn Disk,
    target: &dyn Disk,
    to: &Path,
    mut socket: impl Read + Write,
    progress: impl FnMut(Progress),
) -> Result<BackedUp, StoreError> {
    let lock = target.lock(folder::LOCK_FILE);
    let _lock = lock
        .map_err(StoreError::io(format!("lock {}", to.display())))?
        .ok_or_else(|| StoreError::InUse(to.to_owned()))?;
    let exists = begin(target, to)?;
    let fresh = format!("{INDEX_FILE}{FRESH}");
    disk::unlink_if_there(target, &fresh).map_err(StoreError::io("make the backup's index"))?;
    let said = Said::receive(target, &fresh, &mut socket)?;
    said.check_same_store(target, to)?;
    let master_key = said.write_keys(from, target)?;
    for stream in said.streams.values() {
        stream_files::write_or_keep(target, &stream.stream)?;
    }
    let Copied { bytes, damaged } = copy::copy(from, target, &said.extents, progress)?;
    confirm(&mut socket)?;
    // The one step that makes it the new backup.
    target
        .rename(&fresh, INDEX_FILE)
        .and_then(|()| target.sync_dir(""))
        .map_err(StoreError::io("finish the backup"))?;
    rotate::replace_all(target)?;
    said.prune(target)?;
    if !exists {
        folder::write_format(target)?;
    }
    Ok(BackedUp {
        streams: said.streams.len(),
        fragments: said.fragments,
        copied_bytes: bytes,
        damaged,
        master_key,
    })
}

/// Makes the folders of a backup that is new; whether there is one already.
fn begin(target: &dyn Disk, to: &Path) -> Result<bool, StoreError> {
    let exists = folder::exists(target, to)?;
    if is_one(target)? {
        return Ok(exists);
    }
    let why = "holds a store that is no backup: name an empty folder with --to";
    let not = || StoreError::NotForBackup {
        to: to.to_owned(),
        why,
    };
    if exists {
        return Err(not());
    }
    folder::check_empty(target, to).map_err(|_| not())?;
    let making = StoreError::io("make the backup's folder");
    let names = target.list("").map_err(&making)?;
    if names
        .iter()
        .any(|name| !NOT_OTHERS.contains(&name.as_str()))
    {
        let why = "has files that are no backup's: name an empty folder with --to";
        return Err(StoreError::NotForBackup {
            to: to.to_owned(),
            why,
        });
    }
    for folder in [KEYS, STREAMS, SEGMENTS] {
        target.create_dir(folder).map_err(&making)?;
    }
    disk::write_whole(target, "", BACKUP_FILE, b"kvs-server backup\n").map_err(making)?;
    Ok(false)
}

/// Asks whether all that was said lay where it was until now.
fn confirm(socket: &mut (impl Read + Write)) -> Result<(), StoreError> {
    let broken = |what: &str| StoreError::BackupBroken(what.into());
    let answer = socket.write_all(&[1]).and_then(|()| dump::receive(socket));
    match answer {
        Ok(Frame::Unbroken(true)) => Ok(()),
        Ok(_) => Err(broken("the server needed the room that the backup held")),
        Err(_) => Err(broken("the server has stopped meanwhile")),
    }
}

/// What the store said of itself, its rows in the new index already.
struct Said {
    facts: Facts,
    streams: BTreeMap<StreamId, DumpedStream>,
    extents: Vec<Extent>,
    fragments: usize,
}

impl Said {
    fn receive(target: &dyn Disk, index: &str, socket: &mut impl Read) -> Result<Self, StoreError> {
        let listening = StoreError::io("hear from the server what there is");
        let Frame::Facts(facts) = unless_failed(dump::receive(socket).map_err(&listening)?)? else {
            return Err(listening(io::ErrorKind::InvalidData.into()));
        };
        Index::create(target, index, facts.master_key_mark)?;
        let index = Index::open(target, index)?;
        let mut said = Self {
            facts,
            streams: BTreeMap::new(),
            extents: Vec::new(),
            fragments: 0,
        };
        loop {
            match unless_failed(dump::receive(socket).map_err(&listening)?)? {
                Frame::Stream(stream) => said.stream(&index, *stream)?,
                Frame::Rows(rows) => said.rows(&index, &rows)?,
                Frame::Unproven(unproven) => said.unproven(&index, &unproven)?,
                Frame::End => break,
                _ => return Err(listening(io::ErrorKind::InvalidData.into())),
            }
        }
        index.change(true, |changes| {
            changes.set_next_stream(said.facts.next_stream)?;
            let trusted_ms = said.facts.trusted_ms;
            changes.set_trusted_ms((trusted_ms > 0).then_some(trusted_ms))?;
            changes.set_checkpoint(said.facts.checkpoint())
        })?;
        said.extents.sort_unstable();
        Ok(said)
    }

    fn stream(&mut self, index: &Index, stream: DumpedStream) -> Result<(), StoreError> {
        let (sequence, server_ms) = stream.reserved;
        let reserved = Reserved {
            sequence,
            server_ms,
        };
        index.change(false, |changes| {
            changes.put_stream(&stream.stream)?;
            changes.reserve(stream.stream.id, reserved)
        })?;
        self.streams.insert(stream.stream.id, stream);
        Ok(())
    }

    fn rows(&mut self, index: &Index, rows: &[Entry]) -> Result<(), StoreError> {
        self.fragments += rows.len();
        // Durable, as pages are not used again before.
        index.change(true, |changes| {
            rows.iter().try_for_each(|(key, value)| {
                let row = Row::from_entry(*key, *value);
                self.extents.push(Extent {
                    place: row.place,
                    blocks: row.blocks(),
                });
                changes.insert(&row)
            })
        })
    }

    fn unproven(
        &mut self,
        index: &Index,
        unproven: &[(u32, u32, u32, u32)],
    ) -> Result<(), StoreError> {
        index.change(true, |changes| {
            unproven
                .iter()
                .try_for_each(|&(stream, segment, block, blocks)| {
                    let place = Place { segment, block };
                    self.extents.push(Extent { place, blocks });
                    changes.add_unproven(&Unproven {
                        stream: StreamId(stream),
                        place,
                        blocks,
                    })
                })
        })
    }

    /// Refuses a backup of another store, which would be lost.
    fn check_same_store(&self, target: &dyn Disk, to: &Path) -> Result<(), StoreError> {
        let there = stream_files::load_all(target)?.streams;
        let other = there.values().any(|there| {
            self.streams
                .get(&there.id)
                .is_some_and(|DumpedStream { stream, .. }| {
                    (&stream.name, stream.created_ms) != (&there.name, there.created_ms)
                })
        });
        match other {
            true => Err(StoreError::NotForBackup {
                to: to.to_owned(),
                why: "is the backup of another data folder: name another with --to",
            }),
            false => Ok(()),
        }
    }

    /// Writes the keys, those that differ beside the old ones; whether the master key is there.
    fn write_keys(&self, from: &dyn Disk, target: &dyn Disk) -> Result<bool, StoreError> {
        for (id, stream) in &self.streams {
            if let Some(wrapped) = &stream.wrapped_key {
                rotate::write_beside(target, &keys::path(*id), wrapped)?;
            }
        }
        let master = match disk::read_whole(from, MASTER_KEY_FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read.map_err(StoreError::io("read the master key"))?),
        };
        let is_it = |text: &Vec<u8>| {
            Key::from_hex(text).is_some_and(|key| key.mark() == self.facts.master_key_mark)
        };
        match master.filter(is_it) {
            Some(text) => {
                rotate::write_beside(target, MASTER_KEY_FILE, &text)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Takes away what only the backup before had.
    fn prune(&self, target: &dyn Disk) -> Result<(), StoreError> {
        keys::destroy_orphans(target, |stream| self.streams.contains_key(&stream))?;
        stream_files::settle(target, self.streams.values().map(|stream| &stream.stream))?;
        for segment in segments::list(target)? {
            let same = |extent: &Extent| extent.place.segment.cmp(&segment);
            if self.extents.binary_search_by(same).is_err() {
                let path = segments::path(segment);
                target
                    .unlink(&path)
                    .map_err(StoreError::io(format!("take {path} away")))?;
            }
        }
        Ok(())
    }
}

/// A frame, or why the store cannot say.
fn unless_failed(frame: Frame) -> Result<Frame, StoreError> {
    match frame {
        Frame::Failed(what) => Err(StoreError::BackupBroken(what)),
        frame => Ok(frame),
    }
}

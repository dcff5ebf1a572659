//! An index that is lost is made again: from the records, the streams' files and the keys.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::progress::Progress;
use crate::clock::{Clock, SystemClock};
use crate::store::disk::{self, Disk, FRESH};
use crate::store::engine::recovery::{self, Found};
use crate::store::error::StoreError;
use crate::store::folder::keys;
use crate::store::folder::master;
use crate::store::folder::rotate;
use crate::store::folder::stream_files::{self, Filed};
use crate::store::folder::{self, INDEX_FILE};
use crate::store::index::damage;
use crate::store::index::{Index, Reserved};
use crate::store::random::{Random, SystemRandom};
use crate::store::segments::{self, Place};
use crate::store::state::Shared;
use crate::store::stream::{NewStream, Stream, StreamId};

/// Numbers may have been given out of which no record is left. So many are skipped: at a thousand
/// a second those of 30 years, and a number holds a million times as many.
const NUMBERS_SKIPPED: u64 = 1 << 40;

/// What stands in the name of a stream of which a key is left, and no file.
const NAMELESS: &str = "recovered";
/// Its retention: nothing of it is to go before somebody has looked at it.
const NAMELESS_RETENTION_HOURS: u32 = 87_600;

/// What an index made again has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// The streams.
    pub streams: usize,
    /// Their fragments.
    pub fragments: u64,
    /// Records that may be whole, of streams whose key is missing or damaged.
    pub without_a_key: u64,
    /// The old index, in the data folder.
    pub old_index: Option<String>,
}

/// Makes the index of a data folder again, and moves the old one aside. Nobody may use the folder
/// meanwhile. Reads every record: blocks for long.
pub fn rebuild_index(
    data: &Path,
    master_key: Option<&Path>,
    progress: impl FnMut(Progress),
) -> Result<Rebuilt, StoreError> {
    let disk = Arc::new(folder::existing(data)?);
    let random = Arc::new(SystemRandom::new());
    let clock = Arc::new(SystemClock::new());
    rebuild_index_on(disk, (data, master_key), clock, random, progress)
}

/// The same on a disk of the caller's, with its clock and randomness. `data` and the file of the
/// master key are for messages and for a key outside of the disk.
pub fn rebuild_index_on(
    disk: Arc<dyn Disk>,
    (data, master_key): (&Path, Option<&Path>),
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    progress: impl FnMut(Progress),
) -> Result<Rebuilt, StoreError> {
    let folder = folder::open(disk.as_ref(), data, master_key, random.as_ref())?;
    let shared = Shared::new(disk, clock, random, folder);
    let disk = Arc::clone(&shared.disk);
    rotate::check_none(disk.as_ref())?;
    let fresh = format!("{INDEX_FILE}{FRESH}");
    let making = StoreError::io("make the index again");
    disk::unlink_if_there(disk.as_ref(), &fresh).map_err(&making)?;
    let mut rebuild = Rebuild::begin(&shared, &fresh)?;
    damage::caught(|| rebuild.records(progress))?;
    let mut rebuilt = rebuild.finish()?;
    // The index is closed, and the folder still ours.
    shared.close_index();
    rebuilt.old_index = move_aside(disk.as_ref())?;
    disk.rename(&fresh, INDEX_FILE)
        .and_then(|()| disk.sync_dir(""))
        .map_err(making)?;
    Ok(rebuilt)
}

/// The old index keeps its bytes under a name that nothing has.
fn move_aside(disk: &dyn Disk) -> Result<Option<String>, StoreError> {
    let moving = StoreError::io("move the old index aside");
    let names = disk.list("").map_err(&moving)?;
    if !names.iter().any(|name| name == INDEX_FILE) {
        return Ok(None);
    }
    let old = { 1.. }.map(|at| format!("{INDEX_FILE}.old-{at}"));
    let old = { old }.find(|old| !names.contains(old));
    let old = old.ok_or_else(|| moving(io::ErrorKind::AlreadyExists.into()))?;
    disk.rename(INDEX_FILE, &old).map_err(&moving)?;
    Ok(Some(old))
}

struct Rebuild<'a> {
    shared: &'a Shared,
    streams: BTreeMap<StreamId, Stream>,
    /// What each stream has given out, as far as records tell.
    seen: BTreeMap<StreamId, Reserved>,
    /// The highest id that anything has.
    stream_max: u32,
    rebuilt: Rebuilt,
}

impl<'a> Rebuild<'a> {
    /// An index with the streams alone.
    fn begin(shared: &'a Shared, path: &str) -> Result<Self, StoreError> {
        let disk = shared.disk.as_ref();
        let Filed {
            mut streams,
            deleted,
        } = stream_files::load_all(disk)?;
        let names = keys::names(disk)?;
        let keys: Vec<StreamId> = names
            .iter()
            .filter_map(|name| keys::stream_of(name))
            .collect();
        for &id in keys.iter().filter(|id| !deleted.contains(id)) {
            if !streams.contains_key(&id) && keys::load(disk, &shared.folder.master, id).is_ok() {
                streams.insert(id, nameless(id, &streams, shared.clock.now_ms()));
            }
        }
        let ids = streams.keys().chain(&keys).chain(&deleted);
        let stream_max = ids.map(|id| id.0).max().unwrap_or(0);
        Index::create(disk, path, shared.folder.master.mark())?;
        shared.open_index(path)?;
        shared.with_index(|index| {
            index.change(true, |changes| {
                let mut streams = streams.values();
                streams.try_for_each(|stream| changes.put_stream(stream))
            })
        })?;
        shared.load_streams()?;
        master::check_opens(shared)?;
        Ok(Self {
            shared,
            streams,
            seen: BTreeMap::new(),
            stream_max,
            rebuilt: Rebuilt::default(),
        })
    }

    /// Gives a row to every whole record, a segment at a time. No segment is changed.
    fn records(&mut self, mut progress: impl FnMut(Progress)) -> Result<(), StoreError> {
        let disk = Arc::clone(&self.shared.disk);
        let mut files = Vec::new();
        let mut state = Progress::default();
        for segment in segments::list(disk.as_ref())? {
            let path = segments::path(segment);
            let len = disk.open(&path).and_then(|file| file.len());
            let len = len.map_err(StoreError::io(format!("open {path}")))?;
            state.total_bytes += len;
            files.push((segment, len));
        }
        let next = segments::next(files.iter().map(|(segment, _)| *segment))?;
        for (segment, len) in files {
            progress(state);
            self.segment(segment)?;
            state.done_bytes += len;
        }
        progress(state);
        // Nothing that is there now is looked at again by a recovery.
        self.shared.with_index(|index| {
            index.change(true, |changes| {
                changes.set_checkpoint(Place {
                    segment: next,
                    block: 0,
                })
            })
        })
    }

    fn segment(&mut self, segment: u32) -> Result<(), StoreError> {
        let doing = StoreError::io(format!("read {}", segments::path(segment)));
        let file = self.shared.disk.open(&segments::path(segment));
        let file = file.map_err(&doing)?;
        let mut found = Found::default();
        let from = Place { segment, block: 0 };
        recovery::find_records(self.shared, file.as_ref(), from, &mut found).map_err(&doing)?;
        // The rows promise that the records are on the disk.
        file.sync_data().map_err(doing)?;
        self.stream_max = self.stream_max.max(found.stream_max);
        for (stream, newest) in found.newest() {
            let seen = self.seen.entry(stream).or_default();
            seen.sequence = seen.sequence.max(newest.sequence);
            seen.server_ms = seen.server_ms.max(newest.server_ms);
        }
        self.rebuilt.without_a_key += found.unproven.len() as u64;
        self.shared
            .with_index(|index| index.change(true, |changes| found.commit(changes)))
    }

    /// Numbers go on far behind all that can have been given out, and the streams' files say so.
    fn finish(mut self) -> Result<Rebuilt, StoreError> {
        for stream in self.streams.values_mut() {
            let seen = self.seen.get(&stream.id).copied().unwrap_or_default();
            stream.numbers_from = seen.sequence.max(stream.numbers_from) + NUMBERS_SKIPPED;
            stream.revision = stream.revision.wrapping_add(1);
            stream_files::write(self.shared.disk.as_ref(), stream)?;
        }
        let (streams, seen) = (&self.streams, &self.seen);
        self.shared.with_index(|index| {
            index.change(true, |changes| {
                changes.set_next_stream(u64::from(self.stream_max) + 1)?;
                for stream in streams.values() {
                    changes.put_stream(stream)?;
                    let server_ms = seen.get(&stream.id).map_or(0, |seen| seen.server_ms);
                    let sequence = stream.numbers_from;
                    changes.reserve(
                        stream.id,
                        Reserved {
                            sequence,
                            server_ms,
                        },
                    )?;
                }
                Ok(())
            })
        })?;
        self.rebuilt.streams = self.streams.len();
        self.rebuilt.fragments = self.shared.snapshot()?.rows()?.count() as u64;
        Ok(self.rebuilt)
    }
}

/// A stream of which nothing is left but its key and its records.
fn nameless(id: StreamId, others: &BTreeMap<StreamId, Stream>, now_ms: u64) -> Stream {
    let mut name = format!("{NAMELESS}-{:08x}", id.0);
    while others.values().any(|other| other.name.as_str() == name) {
        name.push('-');
    }
    let new = NewStream::named(
        name.parse().expect("it has plain characters, and few"),
        NAMELESS.parse().expect("letters are a version"),
        NAMELESS_RETENTION_HOURS,
    );
    Stream::new(id, now_ms, new)
}

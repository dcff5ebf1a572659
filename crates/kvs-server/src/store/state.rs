//! What the store's threads share: the disk, the index, the streams.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::disk::Disk;
use super::engine::holds::Holds;
use super::error::StoreError;
use super::folder::Folder;
use super::folder::keys::{self, Key};
use super::fragment::TimeOrigin;
use super::health::Health;
use super::index::{Index, Reserved, Snapshot};
use super::measures::Groups;
use super::random::Random;
use super::stream::{Stream, StreamId};
use super::trust::Trust;
use crate::clock::Clock;
use crate::lock::{lock, read, write};

/// Numbers are reserved so many at a time: one sync for each block, and none for each fragment.
pub(super) const RESERVED_NUMBERS: u64 = 1000;

/// Shared by the facade, the writer, the reclaimer and the readers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) folder: Folder,
    /// `None` while it cannot be opened again after a failure.
    index: RwLock<Option<Index>>,
    streams: RwLock<Streams>,
    pub(super) health: Health,
    pub(super) groups: Groups,
    pub(super) holds: Arc<Holds>,
    pub(super) trust: Trust,
}

#[derive(Debug, Default)]
struct Streams {
    by_id: HashMap<StreamId, Arc<StreamState>>,
    by_name: BTreeMap<String, Arc<StreamState>>,
}

/// A stream that exists, or did when it was looked up.
#[derive(Debug)]
pub(super) struct StreamState {
    info: RwLock<Arc<Stream>>,
    /// Or what is wrong with it.
    key: Result<Key, String>,
    pub(super) deleted: AtomicBool,
    /// Held while a number is given out, never while somebody waits.
    pub(super) numbers: Mutex<Numbers>,
    /// Numbers up to here may be given out.
    pub(super) reserved: AtomicU64,
}

/// What the next fragment of a stream gets.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) sequence: u64,
    pub(super) server_ms: u64,
}

impl StreamState {
    pub(super) fn info(&self) -> Arc<Stream> {
        Arc::clone(&read(&self.info))
    }

    pub(super) fn set_info(&self, info: Arc<Stream>) {
        *write(&self.info) = info;
    }

    /// The stream's key, without which nothing of it is read or written.
    pub(super) fn key(&self) -> Result<&Key, StoreError> {
        let key = self.key.as_ref();
        key.map_err(|what| StoreError::StreamKey(what.clone()))
    }

    /// The next fragment's number is behind this one, and its server time not before it.
    pub(super) fn goes_on_behind(&self, given: Reserved) {
        let mut numbers = lock(&self.numbers);
        numbers.sequence = numbers.sequence.max(given.sequence + 1);
        numbers.server_ms = numbers.server_ms.max(given.server_ms);
        self.reserved.fetch_max(given.sequence, Ordering::AcqRel);
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Fragments that arrived before this time are past their retention.
    pub(super) fn floor_ms(&self, expiry_ms: u64) -> u64 {
        const HOUR_MS: u64 = 3_600_000;
        match u64::from(read(&self.info).retention_hours) {
            // What was stored when there was one is past it whatever the time.
            0 => u64::MAX,
            hours => expiry_ms.saturating_sub(hours * HOUR_MS),
        }
    }
}

impl Shared {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        folder: Folder,
    ) -> Self {
        Self {
            disk,
            clock,
            random,
            folder,
            index: RwLock::new(None),
            streams: RwLock::default(),
            health: Health::default(),
            groups: Groups::default(),
            holds: Arc::default(),
            trust: Trust::default(),
        }
    }

    /// Works with the index, which cannot be exchanged meanwhile.
    pub(super) fn with_index<T>(
        &self,
        work: impl FnOnce(&Index) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &*read(&self.index) {
            Some(index) => work(index),
            None => Err(StoreError::Index("it could not be opened again".into())),
        }
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.with_index(Index::snapshot)
    }

    /// Opens the index of this file, in place of one that has failed.
    pub(super) fn open_index(&self, path: &str) -> Result<(), StoreError> {
        let mut index = write(&self.index);
        // The old one lets go of the file first.
        *index = None;
        *index = Some(Index::open(self.disk.as_ref(), path)?);
        Ok(())
    }

    /// Lets go of the index's file.
    pub(super) fn close_index(&self) {
        *write(&self.index) = None;
    }

    /// Makes the streams in memory those of the index.
    pub(super) fn load_streams(&self) -> Result<(), StoreError> {
        let snapshot = self.snapshot()?;
        let mut loaded = Streams::default();
        for stream in snapshot.streams()? {
            let live = match self.stream(stream.id) {
                Ok(live) => {
                    // A change of it may have been committed although it failed.
                    live.set_info(Arc::new(stream));
                    live
                }
                Err(_) => self.load_stream(&snapshot, stream)?,
            };
            loaded.insert(live);
        }
        let old = std::mem::replace(&mut *write(&self.streams), loaded);
        for (id, stream) in old.by_id {
            if self.stream(id).is_err() {
                stream.deleted.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    fn load_stream(
        &self,
        snapshot: &Snapshot,
        stream: Stream,
    ) -> Result<Arc<StreamState>, StoreError> {
        let key = keys::load(self.disk.as_ref(), &self.folder.master, stream.id);
        let key = key.map_err(|error| {
            let (name, error) = (&stream.name, error.to_string());
            tracing::error!(stream = %name, %error, "a stream can be neither read nor written");
            error
        });
        let reserved = snapshot.reserved(stream.id)?;
        let newest = snapshot.last(stream.id, TimeOrigin::Server, u64::MAX)?;
        let newest_ms = newest.map_or(0, |row| row.facts.number.server_ms);
        Ok(Arc::new(StreamState {
            info: RwLock::new(Arc::new(stream)),
            key,
            deleted: AtomicBool::new(false),
            // Those up to `reserved` may have been seen.
            numbers: Mutex::new(Numbers {
                sequence: reserved.sequence + 1,
                server_ms: reserved.server_ms.max(newest_ms),
            }),
            reserved: AtomicU64::new(reserved.sequence),
        }))
    }

    /// A stream that has just been made.
    pub(super) fn add_stream(&self, stream: Stream, key: Key) -> Arc<StreamState> {
        let live = Arc::new(StreamState {
            info: RwLock::new(Arc::new(stream)),
            key: Ok(key),
            deleted: AtomicBool::new(false),
            numbers: Mutex::new(Numbers {
                sequence: 1,
                server_ms: 0,
            }),
            reserved: AtomicU64::new(RESERVED_NUMBERS),
        });
        write(&self.streams).insert(Arc::clone(&live));
        live
    }

    /// From now on nothing of the stream can be read.
    pub(super) fn remove_stream(&self, id: StreamId) {
        let mut streams = write(&self.streams);
        if let Some(stream) = streams.by_id.remove(&id) {
            stream.deleted.store(true, Ordering::Release);
            streams.by_name.remove(stream.info().name.as_str());
        }
    }

    pub(super) fn stream(&self, id: StreamId) -> Result<Arc<StreamState>, StoreError> {
        let stream = read(&self.streams).by_id.get(&id).cloned();
        stream.ok_or(StoreError::NoStream)
    }

    /// The time that counts for retention; `None` where nothing expires.
    pub(super) fn expiry_ms(&self) -> Option<u64> {
        self.trust.expiry_ms(self.clock.as_ref())
    }

    /// The server time of the newest fragment of all streams, 0 where there is none.
    pub(super) fn newest_ms(&self) -> u64 {
        let streams = read(&self.streams);
        let newest = streams.by_id.values();
        let newest = newest.map(|stream| lock(&stream.numbers).server_ms);
        newest.max().unwrap_or(0)
    }

    /// Since when a stream's fragments are retained.
    pub(super) fn floor_ms(&self, stream: StreamId) -> u64 {
        let live = self.stream(stream).ok();
        let floor_ms = live.zip(self.expiry_ms());
        floor_ms.map_or(0, |(live, expiry_ms)| live.floor_ms(expiry_ms))
    }

    /// The same of all streams.
    pub(super) fn floors_ms(&self, expiry_ms: u64) -> BTreeMap<StreamId, u64> {
        let streams = read(&self.streams);
        let floors = streams.by_id.iter();
        floors
            .map(|(id, live)| (*id, live.floor_ms(expiry_ms)))
            .collect()
    }

    pub(super) fn stream_named(&self, name: &str) -> Option<Arc<StreamState>> {
        read(&self.streams).by_name.get(name).cloned()
    }

    /// What is wrong with each key that does not open.
    pub(super) fn key_errors(&self) -> Vec<StoreError> {
        let streams = read(&self.streams);
        let errors = streams.by_name.values().map(|stream| stream.key().err());
        errors.flatten().collect()
    }

    pub(super) fn stream_count(&self) -> usize {
        read(&self.streams).by_id.len()
    }

    /// In the order of their names.
    pub(super) fn streams(&self) -> Vec<Arc<Stream>> {
        read(&self.streams)
            .by_name
            .values()
            .map(|stream| stream.info())
            .collect()
    }
}

impl Streams {
    fn insert(&mut self, stream: Arc<StreamState>) {
        let info = stream.info();
        self.by_name
            .insert(info.name.as_str().to_owned(), Arc::clone(&stream));
        self.by_id.insert(info.id, stream);
    }
}

//! A store on the simulated disk, what it has promised, and the power cut that puts it to the test.

use std::path::Path;
use std::sync::Arc;

use kvs_server::clock::SimulatedClock;
use kvs_server::store::disk::Disk;
use kvs_server::store::disk::simulated::{SimulatedDisk, Skip};
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{
    Expiry, Store, StoreConfig, StoreError, Stream, StreamId, backup_on, rebuild_index_on,
    rotate_key_on,
};

use crate::fixtures::{NOW_MS, Persisted, append, clock, new_stream, read_all};

/// For messages; the master key lies in it.
fn folder() -> (&'static Path, Option<&'static Path>) {
    (Path::new("data"), None)
}

/// A store, its disk, and what it has promised.
pub(crate) struct Run {
    pub(crate) disk: SimulatedDisk,
    clock: Arc<SimulatedClock>,
    random: SeededRandom,
    pub(crate) bytes_max: Option<u64>,
    expiry: Expiry,
    pub(crate) store: Option<Store>,
    /// What `disk` is the backup of.
    source: Option<SimulatedDisk>,
    /// Nobody was told yet that there is anything.
    may_be_refused: bool,
    pub(crate) streams: Vec<StreamId>,
    /// Those whose deletion was confirmed.
    deleted: Vec<StreamId>,
    /// A change of the first stream that was confirmed.
    changed: Option<Stream>,
    persisted: Vec<Persisted>,
    unconfirmed: Option<Persisted>,
    /// Keys whose end was confirmed.
    destroyed: Vec<Vec<u8>>,
    /// Those that are to go with the next confirmation.
    replaced: Vec<Vec<u8>>,
    /// The highest number that was given out.
    pub(crate) seen: u64,
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            disk: SimulatedDisk::new(seed),
            clock: clock(),
            random: SeededRandom::new(seed),
            bytes_max: None,
            expiry: Expiry::Synchronized,
            store: None,
            source: None,
            may_be_refused: false,
            streams: Vec::new(),
            deleted: Vec::new(),
            changed: None,
            persisted: Vec::new(),
            unconfirmed: None,
            destroyed: Vec::new(),
            replaced: Vec::new(),
            seen: 0,
        }
    }

    pub(crate) fn open(&mut self) -> Result<(), StoreError> {
        let config = StoreConfig {
            bytes_max: self.bytes_max,
            expiry: self.expiry,
            segment_bytes: 64 << 10,
            reserve_bytes: 0,
            ..StoreConfig::in_memory()
        };
        let (disk, random) = self.drivers();
        self.store = Some(Store::open_on(&config, disk, self.clock.clone(), random)?);
        Ok(())
    }

    /// A store with one stream.
    pub(crate) fn begin(&mut self) -> Result<(), StoreError> {
        self.open()?;
        self.create()
    }

    /// The store; a procedure whose start failed has none, and goes no further.
    pub(crate) fn store(&self) -> Result<&Store, StoreError> {
        self.store.as_ref().ok_or(StoreError::Closed)
    }

    pub(crate) fn create(&mut self) -> Result<(), StoreError> {
        let name = format!("cam-{}", self.streams.len() + 1);
        let stream = self.store()?.create_stream(new_stream(&name))?.id;
        self.streams.push(stream);
        Ok(())
    }

    pub(crate) fn append(&mut self, len: usize) -> Result<(), StoreError> {
        let stream = self.streams[0];
        let persisted = append(self.store()?, stream, len)?;
        self.seen = persisted.number.sequence;
        self.persisted.push(persisted);
        Ok(())
    }

    /// Ends the process between a record and its sync.
    pub(crate) fn append_without_sync(&mut self) -> Result<(), StoreError> {
        let mut segments = self.disk.contents();
        segments.retain(|(name, _)| name.starts_with("segments/"));
        let (newest, _) = segments.pop().expect("there is one");
        self.disk.skip_syncs(Skip::One(newest, 0));
        self.append(5000)?;
        self.end_process(false);
        self.store = None;
        self.unconfirmed = self.persisted.pop();
        Ok(())
    }

    /// Stores what is promised when it is backed up.
    pub(crate) fn append_for_backup(&mut self) -> Result<(), StoreError> {
        let seen = self.seen;
        self.append(40_000)?;
        self.unconfirmed = self.persisted.pop();
        self.seen = seen;
        Ok(())
    }

    /// From here on that last one is promised, and the end of replaced keys.
    pub(crate) fn confirm(&mut self) {
        self.destroyed.append(&mut self.replaced);
        if let Some(persisted) = self.unconfirmed.take() {
            self.seen = persisted.number.sequence;
            self.persisted.push(persisted);
        }
    }

    /// The same for the same seed.
    pub(crate) fn flips(&self) -> bool {
        self.random.below(2) == 0
    }

    fn first_stream(&self) -> Result<Stream, StoreError> {
        let stream = self.store()?.stream_by_id(self.streams[0]);
        Ok(Stream::clone(&stream.expect("it was made")))
    }

    pub(crate) fn tag(&mut self) -> Result<(), StoreError> {
        let mut stream = self.first_stream()?;
        stream.tags.insert("room".into(), "attic".into());
        self.change(stream)
    }

    /// Lets nothing be kept, and waits until the room is back.
    pub(crate) fn lower_retention(&mut self) -> Result<(), StoreError> {
        self.persisted.clear();
        let mut stream = self.first_stream()?;
        stream.retention_hours = 0;
        self.change(stream)?;
        self.wait_until(Self::is_empty)
    }

    fn change(&mut self, stream: Stream) -> Result<(), StoreError> {
        self.store()?.update_stream(stream.clone())?;
        self.changed = Some(stream);
        Ok(())
    }

    /// Lets all that there is pass its retention, and waits until the room is back.
    pub(crate) fn expire(&mut self) -> Result<(), StoreError> {
        const PAST_RETENTION_MS: u64 = 2 * 3_600_000;
        self.persisted.clear();
        self.clock.advance_ms(PAST_RETENTION_MS);
        self.wait_until(Self::is_empty)
    }

    /// Stores one more than there is room for.
    pub(crate) fn evict(&mut self) -> Result<(), StoreError> {
        let first = |(name, _): &(String, Vec<u8>)| name == "segments/00000001";
        // They lie in the oldest segment.
        self.persisted.drain(..2);
        self.append(30_000)?;
        self.wait_until(|run| !run.disk.contents().iter().any(first))
    }

    /// Deletes the first stream and waits until its room is back.
    pub(crate) fn delete(&mut self) -> Result<(), StoreError> {
        // Begun is not done: it may be there after a power cut, or not.
        let stream = self.streams.remove(0);
        self.persisted.clear();
        let wrapped = self.file(&format!("keys/{:08x}", stream.0));
        self.store()?.delete_stream(stream)?;
        self.deleted.push(stream);
        // Behind the 32 bytes that say whose key it is.
        self.destroyed.push(wrapped[32..].to_vec());
        self.wait_until(Self::is_empty)
    }

    /// Exchanges the master key of what the backup is of.
    pub(crate) fn rotate_source(&mut self) -> Result<(), StoreError> {
        self.store = None;
        let source = self.source.take().expect("a backup was begun");
        let backup = std::mem::replace(&mut self.disk, source);
        self.rotate_key()?;
        self.replaced = std::mem::take(&mut self.destroyed);
        self.open()?;
        self.source = Some(std::mem::replace(&mut self.disk, backup));
        Ok(())
    }

    /// Exchanges the master key; nothing of the old one, or that it has wrapped, may be left.
    pub(crate) fn rotate_key(&mut self) -> Result<(), StoreError> {
        let old = [
            self.file("master.key"),
            self.file("keys/00000001")[32..].to_vec(),
        ];
        let (disk, random) = self.drivers();
        let rotated = rotate_key_on(disk, folder(), None, self.clock.clone(), random)?;
        match rotated.unfinished {
            Some(error) => Err(error),
            None => {
                self.destroyed.extend(old);
                Ok(())
            }
        }
    }

    pub(crate) fn rebuild_index(&mut self) -> Result<(), StoreError> {
        let (disk, random) = self.drivers();
        rebuild_index_on(disk, folder(), self.clock.clone(), random, |_| ()).map(drop)
    }

    /// Goes on with an empty disk, the backup of what there was.
    pub(crate) fn begin_backup(&mut self) {
        let empty = SimulatedDisk::new(self.random.next_u64());
        self.source = Some(std::mem::replace(&mut self.disk, empty));
        self.may_be_refused = true;
    }

    /// Makes the backup, or makes it again; the store in use is that on the source.
    pub(crate) fn back_up(&mut self) -> Result<(), StoreError> {
        let source = self.source.as_ref().expect("a backup was begun");
        backup_on(
            self.store()?,
            source,
            &self.disk,
            Path::new("backup"),
            |_| (),
        )?;
        self.may_be_refused = false;
        Ok(())
    }

    fn drivers(&self) -> (Arc<SimulatedDisk>, Arc<SeededRandom>) {
        let random = SeededRandom::new(self.random.next_u64());
        (Arc::new(self.disk.clone()), Arc::new(random))
    }

    fn file(&self, path: &str) -> Vec<u8> {
        let mut files = self.disk.contents().into_iter();
        let file = files.find(|(name, _)| name == path);
        file.expect("it has that file").1
    }

    /// Whether the segments hold nothing.
    fn is_empty(&self) -> bool {
        let files = self.disk.contents();
        let full = |(name, bytes): &(String, Vec<u8>)| {
            name.starts_with("segments/") && bytes.iter().any(|byte| *byte != 0)
        };
        !files.iter().any(full)
    }

    /// Gives the writer turns until something holds, or the disk is dead.
    fn wait_until(&self, holds: impl Fn(&Self) -> bool) -> Result<(), StoreError> {
        const TURNS_MAX: u32 = 100_000;
        let mut other = self.first_stream()?;
        other.revision += 1;
        for _ in 0..TURNS_MAX {
            // A change that is refused is a turn without a sync.
            let refused = self.store()?.update_stream(other.clone());
            assert!(refused.is_err());
            if holds(self) {
                return Ok(());
            }
            self.disk.list("segments").map_err(|_| StoreError::Closed)?;
            std::thread::yield_now();
        }
        panic!("the room does not come back");
    }

    /// Ends the process that uses the disk, by a power cut or not.
    pub(crate) fn end_process(&mut self, power_cut: bool) {
        let disk = match power_cut {
            true => self.disk.power_cut(),
            false => self.disk.kill(),
        };
        self.disk = disk;
        if power_cut && self.source.is_none() {
            // What nobody was told of may be gone.
            self.unconfirmed = None;
        }
    }

    /// Cuts the power, starts again, and says which promise is broken. The index may be lost, too.
    pub(crate) fn broken(&mut self, index_lost: bool) -> Option<String> {
        self.end_process(true);
        self.store = None;
        for platter in self.disk.platters() {
            let holds = |key: &Vec<u8>| platter.windows(key.len()).any(|bytes| bytes == *key);
            if self.destroyed.iter().any(holds) {
                return Some("a destroyed key can be read".into());
            }
        }
        if index_lost
            && self.disk.unlink("index.redb").is_ok()
            && let Err(error) = self.rebuild_index()
        {
            return Some(format!("the index cannot be made again: {error}"));
        }
        // What expires while it is checked is no violation.
        self.expiry = Expiry::Never;
        match self.open() {
            Err(_) if self.may_be_refused => None,
            Err(error) => Some(format!("it does not open: {error}")),
            Ok(()) if self.may_be_refused && self.store.as_ref()?.streams().is_empty() => None,
            Ok(()) => self.lost(self.store.as_ref()?),
        }
    }

    /// What the store that was opened again does not keep of what was promised.
    fn lost(&self, store: &Store) -> Option<String> {
        match store.check(true) {
            Ok(violations) if violations.is_empty() => {}
            other => return Some(format!("{other:?}")),
        }
        let named = |stream: &StreamId| {
            let name = format!("cam-{}", stream.0);
            { store.stream_by_id(*stream) }.is_some_and(|stream| stream.name.as_str() == name)
        };
        if let Some(stream) = self.streams.iter().find(|stream| !named(stream)) {
            return Some(format!("{stream:?} or its name is lost"));
        }
        let exists = |stream: &&StreamId| store.stream_by_id(**stream).is_some();
        if let Some(stream) = self.deleted.iter().find(exists) {
            return Some(format!("{stream:?} is there again"));
        }
        let members = |stream: &Stream| (stream.tags.clone(), stream.retention_hours);
        if let Some(changed) = &self.changed {
            let now = store.stream_by_id(changed.id);
            if now.is_none_or(|now| members(&now) != members(changed)) {
                return Some("a change is lost".into());
            }
        }
        let differs = |one: &&Persisted| {
            read_all(store, one.stream, one.number).map_or(true, |read| read != one.bytes)
        };
        if let Some(lost) = self.persisted.iter().find(differs) {
            return Some(format!("{:?} is lost", lost.number));
        }
        let next = self.streams.first().map(|stream| {
            let next = store.begin_fragment(*stream, NOW_MS);
            next.map(|number| number.sequence)
        });
        match next {
            Some(Ok(next)) if next <= self.seen => Some(format!("{next} was given out before")),
            Some(Err(error)) => Some(format!("no number: {error}")),
            _ => None,
        }
    }
}

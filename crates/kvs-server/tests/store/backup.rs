//! Backups: whole as of one moment, while the store is in use, and whatever cuts them short.

use std::path::Path;
use std::sync::Arc;

use kvs_server::store::disk::Disk;
use kvs_server::store::disk::simulated::{Fault, SimulatedDisk};
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{
    BackedUp, Progress, Store, StoreConfig, StoreError, StreamId, backup_on, rotate_key_on,
};

use crate::fixtures::{Persisted, append, clock, create};

const LOW_WATER: u64 = 64 << 10;

fn open(disk: &SimulatedDisk) -> Result<Store, StoreError> {
    let config = StoreConfig {
        bytes_max: None,
        segment_bytes: 128 << 10,
        free_bytes_min: LOW_WATER,
        ..StoreConfig::in_memory()
    };
    let random = Arc::new(SeededRandom::new(1 + disk.calls()));
    Store::open_on(&config, Arc::new(disk.clone()), clock(), random)
}

/// A store with fragments of some streams in some segments.
struct Source {
    disk: SimulatedDisk,
    store: Store,
    streams: Vec<StreamId>,
    persisted: Vec<Persisted>,
}

impl Source {
    fn new(seed: u64) -> Self {
        let disk = SimulatedDisk::new(seed);
        let store = open(&disk).expect("it is new");
        let streams = ["cam", "door", "gate"].map(|name| create(&store, name));
        let mut source = Self {
            disk,
            store,
            streams: streams.into(),
            persisted: Vec::new(),
        };
        source.append(4);
        source
    }

    fn append(&mut self, rounds: usize) {
        for _ in 0..rounds {
            for stream in &self.streams {
                let one = append(&self.store, *stream, 9000).expect("there is room");
                self.persisted.push(one);
            }
        }
    }

    fn delete(&mut self, stream: StreamId) {
        self.store.delete_stream(stream).expect("it exists");
        self.streams.retain(|kept| *kept != stream);
        self.persisted.retain(|one| one.stream != stream);
    }

    fn backup(&self, to: &SimulatedDisk) -> Result<BackedUp, StoreError> {
        self.backup_with(to, |_| ())
    }

    fn backup_with(
        &self,
        to: &SimulatedDisk,
        progress: impl FnMut(Progress),
    ) -> Result<BackedUp, StoreError> {
        backup_on(&self.store, &self.disk, to, Path::new("backup"), progress)
    }
}

/// It opens, no invariant is violated, and it has exactly these.
fn is_whole(backup: &SimulatedDisk, persisted: &[Persisted]) {
    let store = open(backup).expect("it is whole");
    assert_eq!(store.check(true).expect("it can be checked"), []);
    persisted.iter().for_each(|one| one.is_in(&store));
    let streams = store.streams();
    let count = |stream: StreamId| {
        let query = kvs_server::store::Query {
            origin: kvs_server::store::TimeOrigin::Server,
            from_ms: 0,
            to_ms: u64::MAX,
            after: None,
            limit: 10_000,
        };
        store
            .find(stream, query)
            .expect("the index works")
            .fragments
            .len()
    };
    let count: usize = streams.iter().map(|stream| count(stream.id)).sum();
    assert_eq!(count, persisted.len());
}

#[test]
fn a_backup_is_the_store_of_one_moment_while_that_goes_on() {
    let mut source = Source::new(1);
    let [cam, door, _] = source.streams[..] else {
        panic!("three streams")
    };
    source.delete(door);
    source.append(3);
    let target = SimulatedDisk::new(2);
    let segments = |disk: &SimulatedDisk| disk.list("segments").expect("the disk works").len();
    let before = segments(&source.disk);
    let mut during = Vec::new();
    let done = source.backup_with(&target, |_| {
        // All of it in the middle of the copying: what was said stays where it is.
        if source.store.stream_by_id(cam).is_some() {
            during.push(append(&source.store, cam, 9000).expect("there is room"));
            source.store.delete_stream(cam).expect("it exists");
            for _ in 0..3 {
                let stream = source.streams[1];
                during.push(append(&source.store, stream, 9000).expect("there is room"));
            }
            assert!(segments(&source.disk) >= before, "nothing is given back");
        }
    });
    let done = done.expect("the disks work");
    assert_eq!((done.streams, done.fragments), (2, source.persisted.len()));
    assert!(done.master_key && done.damaged == 0);
    assert!(!during.is_empty());
    is_whole(&target, &source.persisted);
    // Nothing of the stream that was deleted before is in it.
    assert!(target.open("keys/00000002").is_err());
    assert_eq!(source.store.check(true).expect("it can be checked"), []);
}

#[test]
fn a_second_backup_copies_what_is_new_and_forgets_what_is_gone() {
    let mut source = Source::new(1);
    let target = SimulatedDisk::new(2);
    let first = source.backup(&target).expect("the disks work");
    assert!(first.copied_bytes > 0);
    let again = source.backup(&target).expect("the disks work");
    assert_eq!((again.fragments, again.copied_bytes), (first.fragments, 0));
    let before = source.persisted.len() as u64;
    source.append(2);
    let more = source.backup(&target).expect("the disks work");
    let new = source.persisted.len() as u64 - before;
    assert_eq!(more.copied_bytes * before, first.copied_bytes * new);
    is_whole(&target, &source.persisted);
    let gone = source.streams[0];
    source.delete(gone);
    source.append(1);
    source.backup(&target).expect("the disks work");
    is_whole(&target, &source.persisted);
    assert!(target.open("keys/00000001").is_err());
}

#[test]
fn a_backup_that_is_cut_short_is_refused_or_the_one_before_and_goes_on() {
    let every = std::env::var_os("KVS_LONG_TESTS").map_or(17, |_| 1);
    for update in [false, true] {
        let (mut refused, mut before_it) = (0, 0);
        for after in (1..).step_by(every) {
            let mut source = Source::new(after);
            let mut target = SimulatedDisk::new(after + 1);
            let mut old = Vec::new();
            if update {
                source.backup(&target).expect("the disks work");
                let gone = source.streams[0];
                source.delete(gone);
                old.append(&mut source.persisted);
                source.append(2);
            }
            target.fault_after(after, Fault::PowerCut);
            let done = source.backup(&target).is_ok();
            target = target.power_cut();
            if target.open("BACKUP").is_err() {
                // It had not even begun.
                continue;
            }
            match open(&target) {
                Ok(store) => {
                    assert!(update || done, "after {after}: not all of it is there");
                    old.iter().for_each(|one| one.is_in(&store));
                    assert_eq!(store.check(true).expect("it can be checked"), []);
                    before_it += 1;
                }
                Err(StoreError::UnfinishedBackup(_)) if !update => refused += 1,
                Err(error) => panic!("after {after}: {error}"),
            }
            if !done {
                source.backup(&target).expect("it goes on");
            }
            old.append(&mut source.persisted);
            is_whole(&target, &old);
            if done {
                break;
            }
        }
        assert!(if update { before_it > 1 } else { refused > 1 });
    }
}

#[test]
fn a_backup_follows_its_store_to_another_master_key() {
    let mut source = Source::new(1);
    let target = SimulatedDisk::new(2);
    source.backup(&target).expect("the disks work");
    let disk = source.disk.clone();
    let persisted = std::mem::take(&mut source.persisted);
    drop(source);
    let random = Arc::new(SeededRandom::new(9));
    let shared = Arc::new(disk.clone());
    let place = (Path::new("data"), None);
    rotate_key_on(shared, place, None, clock(), random).expect("nobody uses it");
    let store = open(&disk).expect("it has a new key");
    let source = Source {
        disk,
        store,
        streams: Vec::new(),
        persisted,
    };
    source.backup(&target).expect("the disks work");
    is_whole(&target, &source.persisted);
    let names = target.contents().into_iter().map(|(name, _)| name);
    assert!(!{ names }.any(|name| name.contains("rotated")));
}

#[test]
fn what_a_backup_must_not_do_is_refused() {
    let source = Source::new(1);
    let says = |target: &SimulatedDisk, words: &str| {
        let refused = source.backup(target).expect_err(words).to_string();
        assert!(refused.contains(words), "{refused}");
    };
    // A store.
    let other = Source::new(2);
    let Source { disk, store, .. } = other;
    drop(store);
    says(&disk, "no backup");
    // The backup of another store.
    let other = Source::new(3);
    let target = SimulatedDisk::new(4);
    other
        .store
        .delete_stream(other.streams[0])
        .expect("it exists");
    let again = create(&other.store, "other");
    assert_eq!(again.0, 4);
    create(&source.store, "mine");
    other.backup(&target).expect("the disks work");
    says(&target, "another data folder");
    // One that somebody uses.
    let _used = open(&target).expect("it is a store");
    says(&target, "uses the data folder");
}

#[test]
fn room_that_the_server_needs_is_not_held() {
    let mut source = Source::new(1);
    let target = SimulatedDisk::new(2);
    let gone = source.streams[0];
    let refused = source.backup_with(&target, |_| {
        if source.store.stream_by_id(gone).is_some() {
            source.store.delete_stream(gone).expect("it exists");
            source.disk.set_free_bytes(LOW_WATER / 2);
            append(&source.store, source.streams[1], 9000)
                .map(drop)
                .expect_err("it is full");
            source.disk.set_free_bytes(u64::MAX / 2);
        }
    });
    let refused = refused.expect_err("it was broken").to_string();
    assert!(refused.contains("again"), "{refused}");
    assert!(matches!(
        open(&target),
        Err(StoreError::UnfinishedBackup(_))
    ));
    source.streams.remove(0);
    source.persisted.retain(|one| one.stream != gone);
    source.append(1);
    source.backup(&target).expect("it goes on");
    is_whole(&target, &source.persisted);
}

//! A stream whose key is missing or damaged: it alone is refused, and nothing of it is lost.

use std::sync::Arc;

use kvs_server::store::disk::Disk;
use kvs_server::store::disk::simulated::SimulatedDisk;
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Invariant, Store, StoreConfig, StoreError, StreamId};

use crate::fixtures::{Persisted, append, clock, create};

/// Of the first stream.
const KEY: &str = "keys/00000001";

fn open(disk: &SimulatedDisk) -> Result<Store, StoreError> {
    let config = StoreConfig {
        bytes_max: None,
        segment_bytes: 256 << 10,
        ..StoreConfig::in_memory()
    };
    let random = Arc::new(SeededRandom::new(1));
    Store::open_on(&config, Arc::new(disk.clone()), clock(), random)
}

/// A store that was killed with fragments of two streams behind its checkpoint and before it.
struct Killed {
    disk: SimulatedDisk,
    streams: [StreamId; 2],
    persisted: Vec<Persisted>,
    key: Vec<u8>,
}

impl Killed {
    fn new(seed: u64) -> Self {
        let disk = SimulatedDisk::new(seed);
        let store = open(&disk).expect("it is new");
        let streams = ["cam", "door"].map(|name| create(&store, name));
        let mut persisted = Vec::new();
        for at in 0..6 {
            for stream in streams {
                persisted.push(append(&store, stream, 10_000).expect("there is room"));
            }
            if at == 2 {
                store.checkpoint().expect("the index works");
            }
        }
        let disk = disk.power_cut();
        let keys = disk.contents().into_iter();
        let key = { keys }.find(|(name, _)| name == KEY);
        Self {
            disk,
            streams,
            persisted,
            key: key.expect("it is there").1,
        }
    }

    /// Leaves these bytes in the key's file, or no file.
    fn write_key(&self, bytes: Option<&[u8]>) {
        // It may be there or not.
        let _ = self.disk.unlink(KEY);
        if let Some(bytes) = bytes {
            let file = self.disk.create(KEY).expect("the name is free");
            file.write_at(0, bytes).expect("there is room");
            file.sync_data().expect("the disk works");
        }
        self.disk.sync_dir("keys").expect("the disk works");
    }

    fn all_there(&self, store: &Store, stream: StreamId) {
        let of = self.persisted.iter().filter(|one| one.stream == stream);
        of.for_each(|persisted| persisted.is_in(store));
    }
}

fn check_is_named(store: &Store) {
    for full in [false, true] {
        let found = store.check(full).expect("it can be checked");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].invariant, Invariant::Keys);
        assert!(found[0].what.contains(KEY), "{found:?}");
    }
}

#[test]
fn a_key_that_does_not_open_costs_its_stream_alone_and_nothing_for_ever() {
    for seed in 0..10 {
        let mut damaged = Killed::new(seed).key;
        damaged[40] ^= 1;
        for bytes in [None, Some(&[][..]), Some(&damaged[..])] {
            let mut killed = Killed::new(seed);
            let [cam, door] = killed.streams;
            killed.write_key(bytes);
            // More than one start, each of which recovers and then writes a checkpoint.
            for _ in 0..3 {
                let store = open(&killed.disk).expect("the others are well");
                let refused = append(&store, cam, 10_000)
                    .map(drop)
                    .expect_err("there is no key");
                assert!(matches!(refused, StoreError::StreamKey(_)), "{refused}");
                assert!(refused.to_string().contains(KEY), "{refused}");
                assert_eq!(refused.ack_error().id(), 4506);
                let oldest = store.oldest(cam).expect("the index works");
                let number = oldest.expect("it is listed").number;
                let refused = store.read(cam, number).expect_err("there is no key");
                assert_eq!(refused.chunk_error().id, 4506);
                assert_eq!(store.key_errors().len(), 1);
                check_is_named(&store);
                killed
                    .persisted
                    .push(append(&store, door, 10_000).expect("it is well"));
                killed.all_there(&store, door);
                drop(store);
                killed.disk = killed.disk.power_cut();
            }
            killed.write_key(Some(&killed.key));
            let store = open(&killed.disk).expect("all is well");
            assert_eq!(store.check(true).expect("it can be checked"), []);
            killed.all_there(&store, cam);
            killed.all_there(&store, door);
            append(&store, cam, 10_000).expect("it is well again");
        }
    }
}

#[test]
fn a_stream_without_its_key_is_deleted_whole() {
    let killed = Killed::new(1);
    let [cam, door] = killed.streams;
    killed.write_key(Some(b"damaged"));
    let store = open(&killed.disk).expect("the others are well");
    store.delete_stream(cam).expect("it exists");
    // The rows go with the groups that follow, until they are all out.
    for _ in 0..3 {
        append(&store, door, 10_000).expect("it is well");
    }
    assert_eq!(store.check(true).expect("it can be checked"), []);
    let names = killed.disk.contents().into_iter().map(|(name, _)| name);
    assert!(!{ names }.any(|name| name == KEY));
    drop(store);
    let store = open(&killed.disk).expect("all is well");
    assert_eq!(store.check(true).expect("it can be checked"), []);
    assert!(store.stream_by_id(cam).is_none());
    killed.all_there(&store, door);
}

#[test]
fn a_file_of_another_name_beside_the_keys_is_left_alone() {
    let killed = Killed::new(1);
    let backup = "keys/00000001.damaged";
    killed.disk.rename(KEY, backup).expect("it is there");
    let store = open(&killed.disk).expect("the others are well");
    drop(store);
    killed.disk.rename(backup, KEY).expect("it is still there");
    let store = open(&killed.disk).expect("all is well");
    killed.all_there(&store, killed.streams[0]);
}

#[test]
fn another_master_key_is_refused_and_not_taken_for_damage() {
    let folder = tempfile::tempdir().expect("there is a disk");
    let data = folder.path().join("data");
    let other = folder.path().join("other.key");
    std::fs::write(&other, "0f".repeat(32)).expect("writable");
    let open = |master_key| {
        let config = StoreConfig {
            free_bytes_min: 0,
            master_key,
            ..StoreConfig::on_disk(&data)
        };
        Store::open(&config, clock())
    };
    // Also where no stream's key could tell.
    drop(open(None).expect("it is new"));
    let refused = |when: &str| {
        let error = open(Some(other.clone())).expect_err(when).to_string();
        assert!(error.contains("--master-key"), "{when}: {error}");
    };
    refused("it is empty");
    let store = open(None).expect("it is the right one");
    let cam = create(&store, "cam");
    let persisted = append(&store, cam, 10_000).expect("there is room");
    drop(store);
    refused("it has a stream");
    let store = open(None).expect("it is the right one");
    persisted.is_in(&store);
}

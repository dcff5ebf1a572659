//! An index that is lost or old is made again from the records, the streams' files and the keys.

use std::path::Path;
use std::sync::Arc;

use kvs_server::store::disk::Disk;
use kvs_server::store::disk::simulated::{Fault, SimulatedDisk};
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Rebuilt, Store, StoreConfig, StoreError, StreamId, rebuild_index_on};

use crate::fixtures::{NOW_MS, Persisted, append, clock, create};

const INDEX: &str = "index.redb";

fn open(disk: &SimulatedDisk) -> Result<Store, StoreError> {
    let config = StoreConfig {
        bytes_max: None,
        segment_bytes: 256 << 10,
        ..StoreConfig::in_memory()
    };
    let random = Arc::new(SeededRandom::new(disk.calls()));
    Store::open_on(&config, Arc::new(disk.clone()), clock(), random)
}

fn rebuild(disk: &SimulatedDisk) -> Result<Rebuilt, StoreError> {
    let random = Arc::new(SeededRandom::new(disk.calls()));
    let disk = Arc::new(disk.clone());
    rebuild_index_on(disk, (Path::new("data"), None), clock(), random, |_| ())
}

/// A folder with all that the index alone would know: tags, a changed retention, a deleted stream.
struct Used {
    disk: SimulatedDisk,
    cam: StreamId,
    door: StreamId,
    persisted: Vec<Persisted>,
    /// The highest number that anyone has seen, of each of the two.
    seen: [u64; 2],
}

impl Used {
    fn new(seed: u64) -> Self {
        let disk = SimulatedDisk::new(seed);
        let store = open(&disk).expect("it is new");
        let [cam, gone, door] = ["cam", "gone", "door"].map(|name| create(&store, name));
        let mut changed = (*store.stream_by_id(door).expect("it was made")).clone();
        changed.retention_hours = 7;
        changed.version = "second".parse().expect("it is a version");
        changed.tags.insert("room".into(), "attic".into());
        store.update_stream(changed).expect("nobody was quicker");
        let mut persisted = Vec::new();
        for _ in 0..8 {
            for stream in [cam, gone, door] {
                persisted.push(append(&store, stream, 30_000).expect("there is room"));
            }
        }
        store.delete_stream(gone).expect("it exists");
        persisted.retain(|one| one.stream != gone);
        // A number that is seen, and of which no record is left.
        let seen = [cam, door].map(|stream| {
            let number = store.begin_fragment(stream, NOW_MS);
            number.expect("it exists").sequence
        });
        let disk = disk.power_cut();
        Self {
            disk,
            cam,
            door,
            persisted,
            seen,
        }
    }

    /// All that was there is there, and nothing else.
    fn is_whole(&self) {
        let store = open(&self.disk).expect("the index is whole");
        assert_eq!(store.check(true).expect("it can be checked"), []);
        self.persisted.iter().for_each(|one| one.is_in(&store));
        let streams = store.streams();
        let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
        assert_eq!(names, ["cam", "door"]);
        let door = store.stream_by_id(self.door).expect("it exists");
        assert_eq!((door.retention_hours, door.version.as_str()), (7, "second"));
        assert_eq!(door.tags.get("room").map(String::as_str), Some("attic"));
        for (stream, seen) in [self.cam, self.door].into_iter().zip(self.seen) {
            let next = store.begin_fragment(stream, 0).expect("it exists");
            assert!(next.sequence > seen && next.server_ms >= NOW_MS, "{next:?}");
            append(&store, stream, 1000).expect("there is room");
        }
        let new = create(&store, "new");
        assert!(new > self.door, "no id is given out again");
        store.delete_stream(new).expect("it exists");
    }
}

#[test]
fn an_index_is_made_again_whether_there_is_an_old_one_or_not() {
    for (seed, lost) in [(1, true), (2, false)] {
        let used = Used::new(seed);
        if lost {
            used.disk.unlink(INDEX).expect("it is there");
            open(&used.disk).expect_err("there is no index");
        }
        let rebuilt = rebuild(&used.disk).expect("all is there");
        assert_eq!((rebuilt.streams, rebuilt.without_a_key), (2, 0));
        assert_eq!(rebuilt.fragments, used.persisted.len() as u64);
        let old = "index.redb.old-1";
        assert_eq!(rebuilt.old_index.as_deref(), (!lost).then_some(old));
        assert_eq!(used.disk.open(old).is_ok(), !lost, "nothing is destroyed");
        used.is_whole();
        // And again, from what the first has left.
        let again = rebuild(&used.disk).expect("all is there");
        assert_eq!(again.streams, 2);
        used.is_whole();
    }
}

#[test]
fn numbers_go_on_behind_those_of_every_index_there_was() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk).expect("it is new");
    let cam = create(&store, "cam");
    drop(store);
    let mut before = 0;
    for _ in 0..3 {
        let store = open(&disk).expect("the index is whole");
        let next = store.begin_fragment(cam, NOW_MS).expect("it exists");
        assert!(next.sequence > before, "{next:?} after {before}");
        before = next.sequence;
        drop(store);
        // No record tells of that number.
        disk.unlink(INDEX).expect("it is there");
        rebuild(&disk).expect("all is there");
    }
}

#[test]
fn a_rebuild_whose_power_is_cut_leaves_a_folder_that_opens_or_can_be_rebuilt() {
    let every = std::env::var_os("KVS_LONG_TESTS").map_or(9, |_| 1);
    for after in (1..).step_by(every) {
        let mut used = Used::new(after);
        used.disk.fault_after(after, Fault::PowerCut);
        let whole = rebuild(&used.disk).is_ok();
        used.disk = used.disk.power_cut();
        match open(&used.disk) {
            Ok(store) => drop(store),
            Err(_) => drop(rebuild(&used.disk).expect("it can be done again")),
        }
        used.is_whole();
        if whole {
            break;
        }
    }
}

#[test]
fn a_deletion_that_was_cut_short_stays_one() {
    // From the moment at which the deletion is on the disk its stream is gone, index or not.
    for after in 1.. {
        let used = Used::new(after);
        let store = open(&used.disk).expect("the index is whole");
        used.disk.fault_after(after, Fault::PowerCut);
        let deleted = store.delete_stream(used.cam).is_ok();
        let disk = used.disk.power_cut();
        drop(store);
        let begun = disk.list("streams").expect("the disk works");
        let begun = begun.iter().any(|name| name == "00000001.deleted");
        disk.unlink(INDEX).expect("it is there");
        rebuild(&disk).expect("all is there");
        let store = open(&disk).expect("the index is whole");
        assert_eq!(store.check(true).expect("it can be checked"), []);
        if begun || deleted {
            assert!(store.stream_by_id(used.cam).is_none(), "it came back");
        }
        if deleted {
            break;
        }
    }
}

#[test]
fn what_is_missing_beside_the_index_is_said_or_kept() {
    // A key away: its records wait for it.
    let used = Used::new(1);
    let key = "keys/00000001";
    used.disk
        .rename(key, "keys/00000001.away")
        .expect("it is there");
    let rebuilt = rebuild(&used.disk).expect("the others are well");
    assert_eq!((rebuilt.streams, rebuilt.without_a_key), (2, 8));
    used.disk
        .rename("keys/00000001.away", key)
        .expect("it is there");
    used.is_whole();
    // A stream's file away: its fragments have a stream all the same.
    let used = Used::new(2);
    used.disk
        .unlink("streams/00000001-00000000")
        .expect("it is there");
    let rebuilt = rebuild(&used.disk).expect("the key is there");
    assert_eq!((rebuilt.streams, rebuilt.without_a_key), (2, 0));
    let store = open(&used.disk).expect("the index is whole");
    assert!(
        store
            .stream(&"recovered-00000001".parse().expect("it is a name"))
            .is_some()
    );
    used.persisted.iter().for_each(|one| one.is_in(&store));
    // A stream's file damaged: it is named.
    let used = Used::new(3);
    let file = used
        .disk
        .open("streams/00000001-00000000")
        .expect("it is there");
    file.write_at(20, b"x").expect("there is room");
    let refused = rebuild(&used.disk).expect_err("it is damaged").to_string();
    assert!(
        refused.starts_with("streams/00000001-00000000 is damaged"),
        "{refused}"
    );
}

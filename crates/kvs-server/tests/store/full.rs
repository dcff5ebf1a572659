//! The store on a disk without room: fragments are refused, deletes go on, and all by itself.

use std::sync::Arc;

use kvs_server::store::disk::Disk;
use kvs_server::store::disk::simulated::SimulatedDisk;
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Store, StoreConfig, StoreError, StreamId};

use crate::fixtures::{append, clock, create};

const FREE_BYTES_MIN: u64 = 1 << 20;
const RESERVE_BYTES: u64 = 512 << 10;

fn open(disk: &SimulatedDisk) -> Store {
    open_with(disk, RESERVE_BYTES)
}

fn open_with(disk: &SimulatedDisk, reserve_bytes: u64) -> Store {
    let config = StoreConfig {
        bytes_max: None,
        free_bytes_min: FREE_BYTES_MIN,
        reserve_bytes,
        segment_bytes: 1 << 20,
        ..StoreConfig::in_memory()
    };
    let random = Arc::new(SeededRandom::new(1));
    Store::open_on(&config, Arc::new(disk.clone()), clock(), random).expect("it can be opened")
}

fn reserve_bytes(disk: &SimulatedDisk) -> Option<u64> {
    let file = disk.open("RESERVE").ok()?;
    Some(file.len().expect("the disk works"))
}

/// Appends one after another, each of which gives the writer a turn, until something holds.
fn turns_until(store: &Store, stream: StreamId, what: &str, holds: impl Fn() -> bool) {
    const TURNS_MAX: usize = 10_000;
    for _ in 0..TURNS_MAX {
        if holds() {
            return;
        }
        // Refused or not: it has been its turn.
        let _ = append(store, stream, 10);
    }
    panic!("not within {TURNS_MAX} turns: {what}");
}

#[test]
fn a_nearly_full_disk_refuses_fragments_and_goes_on_by_itself() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk);
    let stream = create(&store, "cam");
    store.health().expect("there is room");
    disk.set_free_bytes(FREE_BYTES_MIN - 1);
    let refused = append(&store, stream, 10).map(drop);
    let refused = refused.expect_err("there is no room");
    assert_eq!(refused.ack_error().id(), 5001);
    assert!(matches!(store.health(), Err(StoreError::DiskFull)));
    disk.set_free_bytes(FREE_BYTES_MIN);
    store.health().expect("there is room again");
    append(&store, stream, 10).expect("there is room again");
    let kept = reserve_bytes(&disk);
    assert_eq!(kept, Some(RESERVE_BYTES), "no delete has needed it");
}

#[test]
fn on_a_disk_filled_to_its_end_a_delete_makes_room_and_ingest_goes_on() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk);
    let (old, cam) = (create(&store, "old"), create(&store, "cam"));
    for _ in 0..40 {
        append(&store, old, 100_000).expect("there is room");
    }
    let kept = append(&store, cam, 10_000).expect("there is room");
    assert_eq!(reserve_bytes(&disk), Some(RESERVE_BYTES));
    disk.set_free_bytes(0);
    let refused = append(&store, cam, 10).map(drop);
    let refused = refused.expect_err("there is no room");
    assert_eq!(refused.ack_error().id(), 5001);
    store.delete_stream(old).expect("the reserve makes way");
    // Rows, then their room: segments that are empty are unlinked, and then there is enough.
    turns_until(&store, cam, "ingest goes on", || {
        append(&store, cam, 10).is_ok()
    });
    turns_until(&store, cam, "the reserve is there again", || {
        reserve_bytes(&disk) == Some(RESERVE_BYTES)
    });
    store.health().expect("there is room again");
    assert_eq!(store.check(true).expect("it can be checked"), []);
    drop(store);
    let store = open(&disk);
    kept.is_in(&store);
}

#[test]
fn a_start_on_a_disk_filled_to_its_end_recovers_and_deletes() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk);
    let (old, cam) = (create(&store, "old"), create(&store, "cam"));
    for _ in 0..40 {
        append(&store, old, 100_000).expect("there is room");
    }
    disk.set_free_bytes(0);
    let disk = disk.kill();
    drop(store);
    let store = open(&disk);
    store.delete_stream(old).expect("the reserve makes way");
    turns_until(&store, cam, "ingest goes on", || {
        append(&store, cam, 10).is_ok()
    });
    assert_eq!(store.check(true).expect("it can be checked"), []);
}

#[test]
fn an_index_that_has_met_a_full_disk_is_opened_again_when_there_is_room() {
    let disk = SimulatedDisk::new(1);
    let store = open_with(&disk, 0);
    let (old, cam) = (create(&store, "old"), create(&store, "cam"));
    for _ in 0..40 {
        append(&store, old, 100_000).expect("there is room");
    }
    disk.set_free_bytes(0);
    let refused = store.delete_stream(old);
    assert!(refused.is_err(), "else this test shows nothing");
    store.health().expect_err("nothing can be stored");
    disk.set_free_bytes(2 * FREE_BYTES_MIN);
    turns_until(&store, cam, "ingest goes on", || {
        append(&store, cam, 10).is_ok()
    });
    store.health().expect("there is room again");
    // The first try may have been committed although it was refused.
    match store.delete_stream(old) {
        Ok(()) | Err(StoreError::NoStream) => {}
        Err(error) => panic!("{error}"),
    }
    append(&store, cam, 10).expect("there is room");
    assert_eq!(store.check(true).expect("it can be checked"), []);
}

#[test]
fn the_reserve_is_not_made_where_it_would_stop_ingest() {
    let disk = SimulatedDisk::new(1);
    disk.set_free_bytes(FREE_BYTES_MIN + RESERVE_BYTES);
    let store = open(&disk);
    let stream = create(&store, "cam");
    assert_eq!(reserve_bytes(&disk), None);
    append(&store, stream, 10).expect("there is room");
    disk.set_free_bytes(FREE_BYTES_MIN + 2 * RESERVE_BYTES + (64 << 10));
    turns_until(&store, stream, "the reserve is made", || {
        reserve_bytes(&disk) == Some(RESERVE_BYTES)
    });
    append(&store, stream, 10).expect("there is room");
}

#[test]
fn on_a_real_disk_the_reserve_takes_its_room() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().expect("there is a disk");
    let config = StoreConfig {
        free_bytes_min: 0,
        reserve_bytes: RESERVE_BYTES,
        ..StoreConfig::on_disk(folder.path())
    };
    let store = Store::open(&config, clock()).expect("a new folder");
    let file = std::fs::metadata(folder.path().join("RESERVE")).expect("it is there");
    assert_eq!(file.len(), RESERVE_BYTES);
    // In units of 512 bytes, whatever the file system's own.
    assert!(file.blocks() * 512 >= RESERVE_BYTES);
    drop(store);
}

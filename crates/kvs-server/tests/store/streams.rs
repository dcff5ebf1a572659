//! The streams' files: with every power cut they are there for each stream, and for no other.

use std::sync::Arc;

use kvs_server::store::disk::Disk;
use kvs_server::store::disk::simulated::{Fault, SimulatedDisk};
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Store, StoreConfig, StoreError};

use crate::fixtures::{append, clock, create, new_stream};

fn open(disk: &SimulatedDisk) -> Result<Store, StoreError> {
    let config = StoreConfig::in_memory();
    let random = Arc::new(SeededRandom::new(1));
    Store::open_on(&config, Arc::new(disk.clone()), clock(), random)
}

/// Changes a stream, makes one, and deletes one; stops where the disk fails.
fn work(store: &Store) -> Result<(), StoreError> {
    let stream = |name: &str| store.stream(&name.parse().expect("it is a name"));
    let mut cam = (*stream("cam").expect("it was made")).clone();
    cam.retention_hours = 7;
    cam.version = "second".parse().expect("it is a version");
    store.update_stream(cam)?;
    store.create_stream(new_stream("new"))?;
    store.delete_stream(stream("door").expect("it was made").id)
}

/// The names of the streams' files.
fn files(disk: &SimulatedDisk) -> Vec<String> {
    let mut names = disk.list("streams").expect("the disk works");
    names.sort();
    names
}

#[test]
fn every_stream_has_its_file_whenever_the_power_is_cut() {
    let mut whole = false;
    for after in 1.. {
        let disk = SimulatedDisk::new(after);
        let store = open(&disk).expect("it is new");
        for name in ["cam", "door"] {
            let stream = create(&store, name);
            append(&store, stream, 1000).expect("there is room");
        }
        disk.fault_after(after, Fault::PowerCut);
        let worked = work(&store).is_ok();
        let disk = disk.power_cut();
        drop(store);
        let store = open(&disk).expect("the disk works");
        assert_eq!(store.check(true).expect("it can be checked"), []);
        let streams = store.streams();
        assert_eq!(files(&disk).len(), streams.len());
        if worked {
            assert_eq!(files(&disk), ["00000001-00000001", "00000003-00000000"]);
            whole = true;
            break;
        }
    }
    assert!(whole, "it ends");
}

#[test]
fn a_folder_of_an_earlier_version_gets_its_files() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk).expect("it is new");
    create(&store, "cam");
    drop(store);
    disk.unlink("streams/00000001-00000000")
        .expect("it is there");
    let store = open(&disk).expect("nothing is missing");
    assert_eq!(files(&disk), ["00000001-00000000"]);
    assert_eq!(store.check(true).expect("it can be checked"), []);
}

#[test]
fn a_check_names_a_file_that_says_something_else() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk).expect("it is new");
    create(&store, "cam");
    let file = disk.open("streams/00000001-00000000").expect("it is there");
    file.write_at(20, b"x").expect("there is room");
    let found = store.check(false).expect("it can be checked");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].what.contains("streams/00000001-00000000"),
        "{found:?}"
    );
}

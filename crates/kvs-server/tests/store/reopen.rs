//! A change whose commit answers an error may have been made all the same: memory, index and files
//! agree once the index is open again, without a start.

use std::sync::Arc;

use kvs_server::store::disk::simulated::{Fault, SimulatedDisk};
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Store, StoreConfig, StoreError, Stream, StreamId};

use crate::fixtures::{append, clock, create};

const FAULTS: [Fault; 2] = [Fault::Error, Fault::SyncError];
const NEVER: u64 = 1 << 40;
/// What fails is tried again so often.
const TRIES_MAX: usize = 10;

fn open(disk: &SimulatedDisk) -> Store {
    let config = StoreConfig {
        bytes_max: None,
        ..StoreConfig::in_memory()
    };
    let random = Arc::new(SeededRandom::new(disk.calls()));
    let opened = Store::open_on(&config, Arc::new(disk.clone()), clock(), random);
    opened.expect("the disk works")
}

/// A store with two streams that have a fragment each.
fn begun() -> (SimulatedDisk, Store, [StreamId; 2]) {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk);
    let streams = ["cam", "door"].map(|name| create(&store, name));
    for stream in streams {
        append(&store, stream, 5000).expect("there is room");
    }
    store.checkpoint().expect("the disk works");
    (disk, store, streams)
}

/// Does something with each of its calls failing in turn, and tells what came of it.
fn with_each_call_failing(
    change: impl Fn(&Store, StreamId) -> Result<(), StoreError>,
    mut then: impl FnMut(&SimulatedDisk, &Store, [StreamId; 2], Result<(), StoreError>),
) {
    let (disk, store, streams) = begun();
    let before = disk.calls();
    change(&store, streams[0]).expect("nothing fails");
    let calls = disk.calls() - before;
    for fault in FAULTS {
        for at in 1..=calls {
            let (disk, store, streams) = begun();
            disk.fault_after(at, fault);
            let changed = change(&store, streams[0]);
            // What has not come yet does not come any more.
            disk.fault_after(NEVER, fault);
            let mut turns = (0..TRIES_MAX).map(|_| store.checkpoint());
            assert!(turns.any(|turn| turn.is_ok()), "{fault:?} at {at}");
            then(&disk, &store, streams, changed);
        }
    }
}

fn is_clean(store: &Store) {
    assert_eq!(store.check(true).expect("it can be checked"), []);
}

#[test]
fn a_deleted_stream_leaves_no_key() {
    let mut gone_with_an_error = 0;
    with_each_call_failing(
        Store::delete_stream,
        |disk, store, [cam, _], mut deleted| {
            let was_gone = store.stream_by_id(cam).is_none();
            gone_with_an_error += usize::from(was_gone && deleted.is_err());
            for _ in 0..TRIES_MAX {
                match deleted {
                    Ok(()) | Err(StoreError::NoStream) => break,
                    Err(_) => deleted = store.delete_stream(cam),
                }
            }
            assert!(store.stream_by_id(cam).is_none());
            let key = format!("keys/{:08x}", cam.0);
            let files = disk.contents();
            assert!(!files.iter().any(|(name, _)| *name == key), "{was_gone}");
            is_clean(store);
        },
    );
    assert!(gone_with_an_error > 0);
}

#[test]
fn memory_says_what_the_index_does() {
    let tag = |store: &Store, stream: StreamId| {
        let stream = store.stream_by_id(stream).expect("it exists");
        let mut changed = Stream::clone(&stream);
        changed.tags.insert("room".into(), "attic".into());
        store.update_stream(changed).map(drop)
    };
    let mut made_with_an_error = 0;
    with_each_call_failing(tag, |disk, store, [cam, _], changed| {
        let now = store.stream_by_id(cam).expect("it exists");
        let made = !now.tags.is_empty();
        assert!(made || changed.is_err());
        made_with_an_error += usize::from(made && changed.is_err());
        is_clean(store);
        let other = open(&disk.kill());
        assert_eq!(other.stream_by_id(cam), Some(now));
    });
    assert!(made_with_an_error > 0);
}

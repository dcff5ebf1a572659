//! Eviction takes segments of many small fragments in batches: nobody waits for a whole segment,
//! and a crash between two batches loses nothing else and keeps no room.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use kvs_server::store::disk::simulated::{Fault, SimulatedDisk};
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Query, Store, StoreConfig, StoreError, StreamId, TimeOrigin};

use crate::fixtures::{NOW_MS, append, clock, create, fragment, wait};

/// What the smallest record takes.
const BLOCK_BYTES: u64 = 4096;
/// The fragments of the first segment, and of that and the second.
const FIRST: usize = 2048;
const ALL: usize = 2600;
/// One block less than there is: the first segment has to go.
const BYTES_MAX: u64 = (ALL as u64 - 1) * BLOCK_BYTES;

fn open(disk: &SimulatedDisk, bytes_max: Option<u64>) -> Result<Store, StoreError> {
    let config = StoreConfig {
        bytes_max,
        segment_bytes: FIRST as u64 * BLOCK_BYTES,
        ..StoreConfig::in_memory()
    };
    let random = Arc::new(SeededRandom::new(1));
    Store::open_on(&config, Arc::new(disk.clone()), clock(), random)
}

/// A disk with more than a segment of fragments, each in a block.
fn filled() -> (SimulatedDisk, StreamId) {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk, None).expect("it is new");
    let stream = create(&store, "cam");
    // So few are asked for in their order.
    const AT_ONCE: usize = 20;
    for _ in 0..ALL / AT_ONCE {
        let appends = (0..AT_ONCE).map(|_| {
            let number = store.begin_fragment(stream, NOW_MS).expect("it exists");
            store.append(fragment(stream, number, 10))
        });
        let stored = wait(join_all(appends)).into_iter();
        stored.for_each(|stored| stored.expect("there is room"));
    }
    drop(store);
    (disk, stream)
}

/// The sequence numbers of all that is there.
fn sequences(store: &Store, stream: StreamId) -> Vec<u64> {
    let all = Query {
        origin: TimeOrigin::Server,
        from_ms: 0,
        to_ms: u64::MAX,
        after: None,
        limit: usize::MAX,
    };
    let found = store.find(stream, all).expect("the index works").fragments;
    found.iter().map(|found| found.number.sequence).collect()
}

/// Gives the writer turns until something holds; an error where it fails before.
fn turns_until(store: &Store, holds: impl Fn() -> bool) -> Result<(), StoreError> {
    const TURNS_MAX: usize = 300;
    for _ in 0..TURNS_MAX {
        if holds() {
            return Ok(());
        }
        store.checkpoint()?;
    }
    panic!("not within {TURNS_MAX} turns: {:?}", store.usage());
}

/// What all segments take, holes left out.
fn blocks(disk: &SimulatedDisk) -> usize {
    let files = disk.contents();
    let segments = files
        .iter()
        .filter(|(name, _)| name.starts_with("segments/"));
    let blocks = segments.flat_map(|(_, bytes)| bytes.chunks(BLOCK_BYTES as usize));
    { blocks }.filter(|block| block[0] != 0).count()
}

#[test]
fn a_crash_between_two_batches_loses_nothing_else_and_keeps_no_room() {
    const CRASHES: u64 = 24;
    let (full, stream) = filled();
    let evicts = |disk: &SimulatedDisk| {
        let store = open(disk, Some(BYTES_MAX))?;
        let gone = || sequences(&store, stream).len() == ALL - FIRST;
        turns_until(&store, || gone() && blocks(disk) == ALL - FIRST)
    };
    let whole = full.kill();
    evicts(&whole).expect("nothing fails");
    let mut seen = BTreeSet::new();
    for at in 1..=CRASHES {
        let disk = full.kill();
        disk.fault_after(whole.calls() * at / CRASHES, Fault::PowerCut);
        // It fails where the power goes; there may be power to its end.
        let _ = evicts(&disk);
        let disk = disk.power_cut();
        let store = open(&disk, None).expect("it survives");
        assert_eq!(store.check(false).expect("it can be checked"), []);
        let left = sequences(&store, stream);
        let gone = ALL - left.len();
        assert!(left.into_iter().eq(gone as u64 + 1..=ALL as u64), "{gone}");
        turns_until(&store, || blocks(&disk) == ALL - gone).expect("the disk works");
        seen.insert(gone);
    }
    println!("gone: {seen:?}");
    let batches = [0, 1000, 2000, FIRST];
    assert!(seen.iter().all(|gone| batches.contains(gone)), "{seen:?}");
    assert!(seen.contains(&1000) || seen.contains(&2000), "{seen:?}");
}

#[test]
fn a_damaged_segment_does_not_keep_the_next_from_going() {
    let (disk, stream) = filled();
    disk.cut_file("segments/00000001", 10 * BLOCK_BYTES);
    let store = open(&disk, Some(FIRST as u64 * BLOCK_BYTES)).expect("it opens");
    // What the cut has left goes; then there is only the second segment, which is whole.
    let there = || sequences(&store, stream);
    let gone = |sequence| !there().contains(&sequence);
    turns_until(&store, || gone(1) && gone(ALL as u64)).expect("the disk works");
    let newest = append(&store, stream, 10).expect("the newest finds room");
    newest.is_in(&store);
}

//! What is past its retention goes, and its room comes back; a clock that is wrong takes nothing.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use kvs_server::clock::SimulatedClock;
use kvs_server::store::disk::MemoryDisk;
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{ClockDoubt, Expiry, Store, StoreConfig, StoreError, Stream, StreamId};

use crate::fixtures::{NOW_MS, clock, fragment, new_stream, read_all, wait};

const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

fn open(disk: &Arc<MemoryDisk>, clock: &Arc<SimulatedClock>, expiry: Expiry) -> Store {
    let config = StoreConfig {
        bytes_max: None,
        segment_bytes: 1 << 20,
        expiry,
        ..StoreConfig::in_memory()
    };
    let random = Arc::new(SeededRandom::new(1));
    Store::open_on(&config, disk.clone(), clock.clone(), random).expect("it can be opened")
}

fn create(store: &Store, name: &str, retention_hours: u32) -> StreamId {
    let mut new = new_stream(name);
    new.retention_hours = retention_hours;
    store.create_stream(new).expect("it is new").id
}

/// Stores a fragment at a time of the server.
fn append(store: &Store, stream: StreamId, at_ms: u64, len: usize) -> kvs_protocol::FragmentParts {
    let number = store.begin_fragment(stream, at_ms).expect("it exists");
    wait(store.append(fragment(stream, number, len))).expect("there is room");
    number
}

fn set_retention(store: &Store, stream: StreamId, retention_hours: u32) {
    let old = store.stream_by_id(stream).expect("it exists");
    let new = Stream {
        retention_hours,
        ..(*old).clone()
    };
    let updated = store.update_stream(new);
    updated.expect("the version is right");
}

/// Gives the writer turns until something holds. Whatever it does between two turns takes no more
/// than some; the reclaimer has a thread of its own.
fn turns_until(store: &Store, what: &str, holds: impl Fn() -> bool) {
    const TURNS_MAX: usize = 100_000;
    for _ in 0..TURNS_MAX {
        if holds() {
            return;
        }
        store.checkpoint().expect("the disk works");
    }
    panic!("not within {TURNS_MAX} turns: {what}");
}

fn is_there(store: &Store, stream: StreamId, number: kvs_protocol::FragmentParts) -> bool {
    match read_all(store, stream, number) {
        Ok(_) => true,
        Err(StoreError::NoFragment) => false,
        Err(error) => panic!("{error}"),
    }
}

fn is_clean(store: &Store) {
    assert_eq!(store.check(true).expect("it can be checked"), []);
}

#[test]
fn rows_past_their_retention_go_within_a_minute_and_their_room_comes_back() {
    let (disk, clock) = (Arc::new(MemoryDisk::new()), clock());
    let store = open(&disk, &clock, Expiry::Synchronized);
    let [short, long] = [("short", 1), ("long", 2)].map(|(name, h)| create(&store, name, h));
    let empty = disk.allocated_bytes("segments/");
    let mut kept = Vec::new();
    for _ in 0..20 {
        append(&store, short, NOW_MS, 100_000);
        kept.push(append(&store, long, NOW_MS, 100_000));
    }
    let full = disk.allocated_bytes("segments/");
    clock.advance_ms(HOUR_MS + MINUTE_MS);
    let half = empty + (full - empty) / 2;
    turns_until(&store, "half of the room", || {
        disk.allocated_bytes("segments/") <= half
    });
    assert!(kept.iter().all(|number| is_there(&store, long, *number)));
    is_clean(&store);
    clock.advance_ms(HOUR_MS);
    turns_until(&store, "all of the room", || {
        disk.allocated_bytes("segments/") == empty
    });
    is_clean(&store);
}

#[test]
fn lowering_hides_at_once_and_frees_and_raising_keeps() {
    let (disk, clock) = (Arc::new(MemoryDisk::new()), clock());
    let store = open(&disk, &clock, Expiry::Synchronized);
    let stream = create(&store, "cam", 100);
    let old = append(&store, stream, NOW_MS - 50 * HOUR_MS, 200_000);
    let new = append(&store, stream, NOW_MS, 100_000);
    let full = disk.allocated_bytes("segments/");
    set_retention(&store, stream, 2);
    assert!(!is_there(&store, stream, old) && is_there(&store, stream, new));
    // No time passes: it does not wait for the next round.
    turns_until(&store, "its room", || {
        disk.allocated_bytes("segments/") < full / 2
    });
    set_retention(&store, stream, 5);
    clock.advance_ms(4 * HOUR_MS);
    store.checkpoint().expect("the disk works");
    assert!(is_there(&store, stream, new));
    set_retention(&store, stream, 0);
    assert!(!is_there(&store, stream, new));
    turns_until(&store, "all room", || {
        disk.allocated_bytes("segments/") == 0
    });
    is_clean(&store);
}

#[test]
fn a_reader_under_way_is_told_that_its_fragment_is_gone() {
    let (disk, clock) = (Arc::new(MemoryDisk::new()), clock());
    let store = open(&disk, &clock, Expiry::Synchronized);
    let stream = create(&store, "cam", 1);
    let number = append(&store, stream, NOW_MS, 300_000);
    let mut reader = store.read(stream, number).expect("it is there");
    reader.next_chunk().expect("it is whole");
    clock.advance_ms(2 * HOUR_MS);
    turns_until(&store, "its room", || {
        disk.allocated_bytes("segments/") == 0
    });
    // Another goes into the same segment, so that it is a hole that is read.
    append(&store, stream, NOW_MS + 2 * HOUR_MS, 10);
    let gone = reader.next_chunk();
    assert!(matches!(gone, Err(StoreError::NoFragment)), "{gone:?}");
}

#[test]
fn a_step_takes_nothing_until_it_is_believed() {
    let (disk, clock) = (Arc::new(MemoryDisk::new()), clock());
    let store = open(&disk, &clock, Expiry::Synchronized);
    let stream = create(&store, "cam", 1);
    let number = append(&store, stream, NOW_MS, 100_000);
    // Long enough for several rounds.
    let passes = |ms: u64| {
        for _ in 0..ms / 5000 {
            clock.advance_ms(5000);
            store.checkpoint().expect("the disk works");
        }
    };
    clock.set_synchronized(false);
    clock.step_to_ms(NOW_MS + 1000 * HOUR_MS);
    passes(2 * HOUR_MS);
    assert!(is_there(&store, stream, number));
    let doubt = store.clock_doubt();
    assert!(
        matches!(doubt, Some(ClockDoubt::Stepped { .. })),
        "{doubt:?}"
    );
    clock.set_synchronized(true);
    passes(20_000);
    assert!(is_there(&store, stream, number));
    passes(20_000);
    assert!(!is_there(&store, stream, number));
    turns_until(&store, "its room", || {
        disk.allocated_bytes("segments/") == 0
    });
    assert_eq!(store.clock_doubt(), None);
    // Back again: no number has an earlier time.
    let ahead = append(&store, stream, NOW_MS + 1000 * HOUR_MS, 10);
    clock.step_to_ms(NOW_MS);
    let back = append(&store, stream, NOW_MS, 10);
    assert!(back.server_ms >= ahead.server_ms && back > ahead);
    is_clean(&store);
}

#[test]
fn a_start_with_a_clock_that_nobody_set_takes_nothing() {
    let (disk, clock) = (Arc::new(MemoryDisk::new()), clock());
    let store = open(&disk, &clock, Expiry::Synchronized);
    let stream = create(&store, "cam", 1);
    let number = append(&store, stream, NOW_MS, 100_000);
    drop(store);
    for start_ms in [NOW_MS + 1000 * HOUR_MS, 0] {
        let clock = Arc::new(SimulatedClock::new(start_ms));
        clock.set_synchronized(false);
        for expiry in [Expiry::Synchronized, Expiry::Never] {
            let store = open(&disk, &clock, expiry);
            for _ in 0..10 {
                clock.advance_ms(MINUTE_MS);
                store.checkpoint().expect("the disk works");
            }
            assert!(is_there(&store, stream, number), "{start_ms} {expiry:?}");
            assert_eq!(
                store.clock_doubt().is_some(),
                expiry == Expiry::Synchronized
            );
        }
    }
    let clock = Arc::new(SimulatedClock::new(NOW_MS + 1000 * HOUR_MS));
    clock.set_synchronized(false);
    let store = open(&disk, &clock, Expiry::Confirmed);
    assert!(!is_there(&store, stream, number));
    turns_until(&store, "its room", || {
        disk.allocated_bytes("segments/") == 0
    });
    is_clean(&store);
}

#[test]
fn a_data_folder_stays_within_its_bound_and_the_oldest_go_first() {
    const BYTES_MAX: u64 = 80 << 20;
    let folder = tempfile::tempdir().expect("there is a disk");
    let clock = clock();
    let open = |bytes_max| {
        let config = StoreConfig {
            bytes_max,
            free_bytes_min: 0,
            reserve_bytes: 0,
            segment_bytes: 2 << 20,
            ..StoreConfig::on_disk(folder.path())
        };
        Store::open(&config, clock.clone()).expect("nobody else has it")
    };
    let used = || -> u64 {
        let files = std::fs::read_dir(folder.path().join("segments")).expect("it is there");
        let files = files.flatten().filter_map(|file| file.metadata().ok());
        let index = std::fs::metadata(folder.path().join("index.redb")).expect("it is there");
        files.chain([index]).map(|file| file.blocks() * 512).sum()
    };
    let store = open(Some(BYTES_MAX));
    let streams = ["one", "two"].map(|name| create(&store, name, 24));
    let mut stored = Vec::new();
    for at in 0..120_usize {
        let stream = streams[at % 2];
        stored.push((stream, append(&store, stream, NOW_MS, 1_000_000)));
        assert!(used() <= BYTES_MAX, "{} after {at}", used());
    }
    let there = |store: &Store| -> Vec<bool> {
        let stored = stored.iter();
        stored
            .map(|(stream, number)| is_there(store, *stream, *number))
            .collect()
    };
    let kept = there(&store);
    assert!(kept.is_sorted(), "a newer one went before an older one");
    assert!(kept.iter().filter(|there| **there).count() > 30);
    is_clean(&store);
    drop(store);
    // A start with less takes more, also while nobody appends.
    let store = open(Some(BYTES_MAX - (20 << 20)));
    turns_until(&store, "less", || used() <= BYTES_MAX - (20 << 20));
    assert!(there(&store).is_sorted());
    is_clean(&store);
}

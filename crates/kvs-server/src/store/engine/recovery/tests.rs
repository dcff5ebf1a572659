//! A start reads what lies behind the checkpoint, and nothing for each of the segments before it.

use std::sync::Arc;

use kvs_protocol::FragmentParts;

use crate::clock::SimulatedClock;
use crate::store::disk::Disk;
use crate::store::disk::simulated::SimulatedDisk;
use crate::store::folder::INDEX_FILE;
use crate::store::index::{Index, Row};
use crate::store::random::SeededRandom;
use crate::store::record::RecordFacts;
use crate::store::segments::{self, Place};
use crate::store::stream::{NewStream, StreamId};
use crate::store::{Store, StoreConfig, StoreError};

const SEGMENT_BYTES: u64 = 256 << 20;
/// With 256 MiB each: a terabyte.
const SEGMENTS: u32 = 4096;
const NOW_MS: u64 = 1_700_000_000_000;

fn open(disk: &SimulatedDisk) -> Result<Store, StoreError> {
    let config = StoreConfig {
        bytes_max: None,
        segment_bytes: SEGMENT_BYTES,
        ..StoreConfig::in_memory()
    };
    let clock = Arc::new(SimulatedClock::new(NOW_MS));
    let random = Arc::new(SeededRandom::new(1));
    Store::open_on(&config, Arc::new(disk.clone()), clock, random)
}

fn row(stream: StreamId, segment: u32, quarter: u32) -> Row {
    let sequence = u64::from(segment * 4 + quarter);
    Row {
        facts: RecordFacts {
            stream,
            number: FragmentParts {
                sequence,
                server_ms: NOW_MS + sequence,
                random: 0,
            },
            producer_ms: NOW_MS + sequence,
            length_ms: 1000,
            header_bytes: 0,
            cluster_bytes: 1000,
            tags_bytes: 0,
        },
        place: Place {
            segment,
            block: quarter << 14,
        },
    }
}

/// A store killed with so many full segments, of which the disk has holes alone, and a record that
/// the index does not know yet.
fn killed(segments: u32) -> SimulatedDisk {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk).expect("it is new");
    let new = NewStream::named(
        "cam".parse().expect("it is a name"),
        "first".parse().expect("it is a version"),
        24,
    );
    let stream = store.create_stream(new).expect("it is new").id;
    let shared = &store.0.shared;
    let rows = (1..=segments).flat_map(|at| (0..4).map(move |quarter| row(stream, at, quarter)));
    let filled = shared.with_index(|index| {
        index.change(true, |changes| {
            { rows }.try_for_each(|row| changes.insert(&row))?;
            changes.set_checkpoint(Place {
                segment: segments + 1,
                block: 0,
            })
        })
    });
    filled.expect("the index works");
    for segment in 1..=segments {
        let file = disk.create(&segments::path(segment));
        let file = file.expect("the name is free");
        file.set_len(SEGMENT_BYTES).expect("a hole takes no room");
    }
    let killed = disk.kill();
    drop(store);
    killed
}

#[test]
fn a_start_costs_the_same_with_a_terabyte_as_with_a_gigabyte() {
    let calls = |segments: u32| {
        // With its own debug assertions redb walks through all pages when it opens a database.
        let disk = killed(segments);
        let before = disk.calls();
        drop(Index::open(&disk, INDEX_FILE).expect("it was killed, no more"));
        let opening = disk.calls() - before;
        let disk = killed(segments);
        let before = disk.calls();
        let store = open(&disk).expect("it was killed, no more");
        let starting = disk.calls() - before;
        let counted = store.0.shared.snapshot().and_then(|index| index.segments());
        assert_eq!(counted.expect("the index works").len() as u32, segments);
        starting - opening
    };
    let (few, many) = (calls(4), calls(SEGMENTS));
    // The accounts of the segments have some pages of the index, and that is all.
    assert!(
        many < few + u64::from(SEGMENTS) / 64,
        "{few}, then {many} calls"
    );
}

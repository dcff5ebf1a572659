//! A data folder of format version 1, written once, opens for ever.
//!
//! `KVS_WRITE_GOLDEN=1` writes it into `tests/golden/v1`, where there is none yet: what is there is
//! never written again, as it stands for the folders that people have.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvs_protocol::FragmentParts;
use kvs_protocol::api::StorageTier;
use kvs_server::clock::SimulatedClock;
use kvs_server::store::disk::RealDisk;
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Store, StoreConfig, StoreError, StreamId};
use serde_json::{Value, json};

use crate::fixtures::{NOW_MS, body, create, fragment, new_stream, read_all, wait};

const HOUR_MS: u64 = 3_600_000;
/// The clusters of each stream's fragments: none, some, and more than a chunk.
const LENS: [usize; 3] = [0, 3000, 66_000];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn open(data: &Path, now_ms: u64) -> Result<Store, StoreError> {
    let config = StoreConfig {
        free_bytes_min: 0,
        reserve_bytes: 0,
        ..StoreConfig::on_disk(data)
    };
    let disk = Arc::new(RealDisk::new(data).expect("a folder"));
    let random = Arc::new(SeededRandom::new(1));
    let clock = Arc::new(SimulatedClock::new(now_ms));
    Store::open_on(&config, disk, clock, random)
}

/// Stores a fragment that arrives at a time; its number and its bytes.
fn append(store: &Store, stream: StreamId, at_ms: u64, len: usize) -> (FragmentParts, Vec<u8>) {
    let number = store.begin_fragment(stream, at_ms).expect("it exists");
    let new = fragment(stream, number, len);
    let bytes = body(&new);
    wait(store.append(new)).expect("there is room");
    (number, bytes)
}

/// What the folder is made of; the fragments' numbers and sizes are what the test expects.
fn write(data: &Path) {
    let store = open(data, NOW_MS - 2 * HOUR_MS).expect("it is new");
    let mut new = new_stream("cam");
    new.device_name = Some("device".parse().expect("it is one"));
    new.media_type = Some("video/h264,audio/aac".parse().expect("it is one"));
    new.kms_key_id = Some("alias/key".parse().expect("it is one"));
    new.storage_tier = StorageTier::Warm;
    let mut changed = (*store.create_stream(new).expect("it is new")).clone();
    let cam = changed.id;
    let [door, gone] = ["door", "gone"].map(|name| create(&store, name));
    changed.retention_hours = 24;
    changed.version = "second".parse().expect("it is a version");
    changed.tags.insert("room".into(), "attic".into());
    changed.image_generation = serde_json::from_value(images()).expect("it is one");
    changed.notification = serde_json::from_value(notification()).expect("it is one");
    store.update_stream(changed).expect("nobody else does");
    append(&store, door, NOW_MS - 2 * HOUR_MS, 1000);
    append(&store, gone, NOW_MS - 2 * HOUR_MS, 1000);
    for len in LENS {
        append(&store, cam, NOW_MS, len);
        append(&store, door, NOW_MS, len / 100);
    }
    store.delete_stream(gone).expect("it exists");
    drop(store);
    fs::remove_file(data.join("LOCK")).expect("it is there");
}

/// A configuration as a client sends it.
fn notification() -> Value {
    let uri = "arn:aws:sns:us-west-2:000000000000:topic";
    json!({ "Status": "ENABLED", "DestinationConfig": { "Uri": uri } })
}

/// Another, with every member that there is.
fn images() -> Value {
    json!({
        "Status": "DISABLED", "ImageSelectorType": "PRODUCER_TIMESTAMP", "SamplingInterval": 3000,
        "DestinationConfig": { "Uri": "s3://bucket", "DestinationRegion": "us-west-2" },
        "Format": "JPEG", "FormatConfig": { "JPEGQuality": "80" },
        "WidthPixels": 320, "HeightPixels": 240,
    })
}

/// All that is kept of the stream that was changed.
fn cam() -> Value {
    json!({
        "id": 1, "name": "cam", "created_ms": NOW_MS - 2 * HOUR_MS, "version": "second",
        "retention_hours": 24, "device_name": "device", "media_type": "video/h264,audio/aac",
        "kms_key_id": "alias/key", "tags": { "room": "attic" }, "storage_tier": "WARM",
        "image_generation": images(), "notification": notification(),
        "revision": 1, "numbers_from": 0,
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("writable");
    for entry in fs::read_dir(from).expect("the golden folder is there") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("writable")),
        }
    }
}

#[test]
fn the_golden_store_opens_and_has_every_byte() {
    if std::env::var_os("KVS_WRITE_GOLDEN").is_some() && !golden().exists() {
        write(&golden());
    }
    let folder = tempfile::tempdir().expect("a folder");
    copy(&golden(), folder.path());
    let store = open(folder.path(), NOW_MS).expect("it opens for ever");
    assert_eq!(store.check(true).expect("it can be checked"), []);
    let names = store.streams();
    let names: Vec<&str> = names.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["cam", "door"]);
    let stream = |name: &str| store.stream(&name.parse().expect("it is a name"));
    let (cam, door) = (
        stream("cam").expect("there"),
        stream("door").expect("there"),
    );
    let kept = serde_json::to_value(&*cam).expect("it is JSON");
    assert_eq!(kept, self::cam());
    assert_eq!((door.retention_hours, door.revision), (1, 0));
    for (stream, first, shorter) in [(&cam, 1, 1), (&door, 2, 100)] {
        let query = kvs_server::store::Query {
            origin: kvs_server::store::TimeOrigin::Server,
            from_ms: 0,
            to_ms: u64::MAX,
            after: None,
            limit: 10,
        };
        // The first of `door` is past its retention.
        let found = store
            .find(stream.id, query)
            .expect("the index works")
            .fragments;
        assert_eq!(found.len(), LENS.len());
        for ((info, len), sequence) in found.iter().zip(LENS).zip(first..) {
            assert_eq!(
                (info.number.sequence, info.number.server_ms),
                (sequence, NOW_MS)
            );
            let whole = body(&fragment(stream.id, info.number, len / shorter));
            let read = read_all(&store, stream.id, info.number).expect("it is there");
            assert!(read == whole, "{:?} has other bytes", info.number);
        }
    }
    // It goes on: behind all numbers that were reserved.
    let (number, bytes) = append(&store, cam.id, NOW_MS, 10);
    assert_eq!(number.sequence, 1001);
    assert_eq!(
        read_all(&store, cam.id, number).expect("it is there"),
        bytes
    );
}

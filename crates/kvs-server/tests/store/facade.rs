//! The store by its facade, on a disk in memory and on a real one.

use std::sync::Arc;

use kvs_server::clock::SimulatedClock;
use kvs_server::store::disk::Disk;
use kvs_server::store::disk::simulated::SimulatedDisk;
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Query, Store, StoreConfig, StoreError, TimeOrigin};

use crate::fixtures::{NOW_MS, append, body, clock, create, fragment, new_stream, read_all, wait};

fn in_memory() -> (Store, Arc<SimulatedClock>) {
    let clock = clock();
    let store = Store::open(&StoreConfig::in_memory(), clock.clone()).expect("it is new");
    (store, clock)
}

#[test]
fn a_fragment_comes_back_byte_for_byte() {
    let (store, _) = in_memory();
    let stream = store.create_stream(new_stream("cam")).expect("it is new");
    for len in [0, 1, 70_000, 1_000_000] {
        let number = store.begin_fragment(stream.id, NOW_MS).expect("it exists");
        let new = fragment(stream.id, number, len);
        let expected = body(&new);
        wait(store.append(new)).expect("there is room");
        assert_eq!(
            read_all(&store, stream.id, number).expect("it is there"),
            expected
        );
        let info = store.fragment(stream.id, number).expect("the index works");
        assert_eq!(info.expect("it is there").number, number);
    }
    let usage = store.usage().expect("the index works")[&stream.id];
    assert_eq!(usage.fragments, 4);
    assert!((1_070_000..1_100_000).contains(&usage.bytes), "{usage:?}");
    assert_eq!(store.check(true).expect("it can be checked"), []);
}

#[test]
fn pages_follow_one_another_by_either_time() {
    let (store, _) = in_memory();
    let stream = create(&store, "cam");
    for at in 0..10_u64 {
        let number = store
            .begin_fragment(stream, NOW_MS + 1000 * at)
            .expect("it exists");
        let mut new = fragment(stream, number, 10);
        // The producer's clock runs backwards, two fragments to each of its times.
        new.producer_ms = 5000 - at / 2 * 1000;
        new.length_ms = 500;
        wait(store.append(new)).expect("there is room");
    }
    for origin in [TimeOrigin::Server, TimeOrigin::Producer] {
        let mut query = Query {
            origin,
            from_ms: 0,
            to_ms: u64::MAX,
            after: None,
            limit: 3,
        };
        let mut times = Vec::new();
        loop {
            let page = store.find(stream, query).expect("the index works");
            let page = page.fragments;
            times.extend(page.iter().map(|info| (info.start_ms(origin), info.number)));
            query.after = page.last().copied();
            if page.len() < query.limit {
                break;
            }
        }
        assert_eq!(times.len(), 10);
        assert!(times.is_sorted_by(|a, b| a < b));
    }
    let query = Query {
        origin: TimeOrigin::Producer,
        from_ms: 2000,
        to_ms: 3000,
        after: None,
        limit: 100,
    };
    let page = store.find(stream, query).expect("the index works");
    assert_eq!(page.fragments.len(), 4);

    let at = |origin, at_ms| {
        let found = store
            .containing(stream, origin, at_ms)
            .expect("the index works");
        found.map(|info| info.start_ms(origin))
    };
    assert_eq!(at(TimeOrigin::Server, NOW_MS + 2400), Some(NOW_MS + 2000));
    assert_eq!(at(TimeOrigin::Server, NOW_MS + 2600), Some(NOW_MS + 3000));
    assert_eq!(at(TimeOrigin::Server, NOW_MS + 9600), None);
    assert_eq!(at(TimeOrigin::Producer, 0), Some(1000));

    let oldest = store
        .oldest(stream)
        .expect("the index works")
        .expect("there are some");
    let newest = store
        .newest(stream)
        .expect("the index works")
        .expect("there are some");
    assert_eq!((oldest.number.sequence, newest.number.sequence), (1, 10));
    let next = store.after(stream, oldest.number).expect("the index works");
    assert_eq!(next.map(|info| info.number.sequence), Some(2));
    assert_eq!(
        store.after(stream, newest.number).expect("the index works"),
        None
    );
}

#[test]
fn what_is_past_its_retention_is_hidden() {
    let (store, clock) = in_memory();
    let stream = create(&store, "cam");
    let old = store.begin_fragment(stream, NOW_MS).expect("it exists");
    wait(store.append(fragment(stream, old, 10))).expect("there is room");
    clock.advance_ms(2 * 3_600_000);
    assert_eq!(store.oldest(stream).expect("the index works"), None);
    assert_eq!(store.newest(stream).expect("the index works"), None);
    assert!(matches!(
        store.read(stream, old),
        Err(StoreError::NoFragment)
    ));
    for origin in [TimeOrigin::Server, TimeOrigin::Producer] {
        let query = Query {
            origin,
            from_ms: 0,
            to_ms: u64::MAX,
            after: None,
            limit: 10,
        };
        let page = store.find(stream, query).expect("the index works");
        assert_eq!(page.fragments, []);
    }
}

#[test]
fn numbers_and_times_never_go_back() {
    let (store, _) = in_memory();
    let stream = create(&store, "cam");
    let times = [5, 7, 6, 1, 8].map(|ms| {
        let number = store.begin_fragment(stream, ms).expect("it exists");
        (number.sequence, number.server_ms)
    });
    assert_eq!(times, [(1, 5), (2, 7), (3, 7), (4, 7), (5, 8)]);
    for sequence in 6..=2500 {
        let number = store.begin_fragment(stream, 9).expect("it exists");
        assert_eq!(number.sequence, sequence);
    }
}

#[test]
fn on_a_disk_that_hangs_nobody_waits_for_a_number_unasked() {
    let (store, _) = in_memory();
    let stream = create(&store, "cam");
    let hangs = store.pause_writer();
    let try_begin = || store.try_begin_fragment(stream, NOW_MS).expect("it exists");
    let reserved = std::iter::from_fn(try_begin).count();
    assert_eq!(reserved, 1000);
    assert_eq!(try_begin(), None);
    drop(hangs);
    store.prepare(stream).expect("the disk answers");
    let next = try_begin().expect("there are more");
    assert_eq!(next.sequence, 1001);
}

#[test]
fn times_never_go_back_behind_what_recovery_finds() {
    let disk = SimulatedDisk::new(1);
    let open = |disk: &SimulatedDisk| {
        let clock = clock();
        let random = Arc::new(SeededRandom::new(1));
        Store::open_on(
            &StoreConfig::in_memory(),
            Arc::new(disk.clone()),
            clock,
            random,
        )
    };
    let store = open(&disk).expect("it is new");
    let stream = store.create_stream(new_stream("cam")).expect("it is new");
    let late = NOW_MS + 10_000;
    let number = store.begin_fragment(stream.id, late).expect("it exists");
    wait(store.append(fragment(stream.id, number, 10))).expect("there is room");
    // The row is not durable yet, and the clock is set back.
    let disk = disk.power_cut();
    drop(store);
    let store = open(&disk).expect("it survives");
    let next = store.begin_fragment(stream.id, NOW_MS).expect("it exists");
    assert!(next.server_ms >= late, "{next:?}");
    wait(store.append(fragment(stream.id, next, 10))).expect("there is room");
    assert_eq!(store.check(true).expect("it can be checked"), []);
}

#[test]
fn a_stream_made_again_has_nothing_of_the_old_one() {
    let (store, _) = in_memory();
    let old = store
        .create_stream(new_stream("cam"))
        .expect("it is new")
        .id;
    assert!(matches!(
        store.create_stream(new_stream("cam")),
        Err(StoreError::Exists)
    ));
    let number = store.begin_fragment(old, NOW_MS).expect("it exists");
    wait(store.append(fragment(old, number, 200_000))).expect("there is room");
    let mut reader = store.read(old, number).expect("it is there");
    reader.next_chunk().expect("it is whole");
    store.delete_stream(old).expect("it exists");
    assert!(matches!(reader.next_chunk(), Err(StoreError::NoStream)));
    assert!(matches!(store.read(old, number), Err(StoreError::NoStream)));
    assert!(matches!(
        store.begin_fragment(old, NOW_MS),
        Err(StoreError::NoStream)
    ));
    let late = wait(store.append(fragment(old, number, 10)));
    assert!(matches!(late, Err(StoreError::NoStream)));
    let new = store
        .create_stream(new_stream("cam"))
        .expect("the name is free")
        .id;
    assert_ne!(new, old);
    assert_eq!(store.oldest(new).expect("the index works"), None);
    assert_eq!(store.check(true).expect("it can be checked"), []);
}

#[test]
fn metadata_changes_on_top_of_what_was_read_only() {
    let (store, _) = in_memory();
    let old = store.create_stream(new_stream("cam")).expect("it is new");
    let mut new = (*old).clone();
    new.retention_hours = 7;
    new.version = "second".parse().expect("it is a version");
    store
        .update_stream(new.clone())
        .expect("nobody was quicker");
    let again = store.update_stream(new);
    assert!(matches!(again, Err(StoreError::Changed)));
    let found = store.stream(&old.name).expect("it exists");
    assert_eq!(found.retention_hours, 7);
}

#[test]
fn memory_is_bounded_and_the_oldest_goes_first() {
    let clock = clock();
    let config = StoreConfig {
        bytes_max: Some(4 << 20),
        segment_bytes: 1 << 20,
        ..StoreConfig::in_memory()
    };
    let store = Store::open(&config, clock).expect("it is new");
    let stream = create(&store, "cam");
    let mut numbers = Vec::new();
    for _ in 0..100 {
        let number = store.begin_fragment(stream, NOW_MS).expect("it exists");
        wait(store.append(fragment(stream, number, 100_000))).expect("the oldest makes room");
        numbers.push(number);
    }
    let oldest = store
        .oldest(stream)
        .expect("the index works")
        .expect("there are some");
    let kept = numbers.iter().filter(|number| **number >= oldest.number);
    assert!(
        (25..=41).contains(&kept.clone().count()),
        "{} are kept",
        kept.count()
    );
    for number in kept {
        read_all(&store, stream, *number).expect("it is kept");
    }
    assert_eq!(store.check(true).expect("it can be checked"), []);
}

#[test]
fn a_real_folder_is_opened_again_and_by_one_at_a_time() {
    let folder = tempfile::tempdir().expect("there is a disk");
    let data = folder.path().join("data");
    let config = StoreConfig {
        free_bytes_min: 0,
        ..StoreConfig::on_disk(&data)
    };
    let clock = clock();
    let open = || Store::open(&config, clock.clone());
    let store = open().expect("it is new");
    let stream = create(&store, "cam");
    let number = store.begin_fragment(stream, NOW_MS).expect("it exists");
    let new = fragment(stream, number, 300_000);
    let expected = body(&new);
    wait(store.append(new)).expect("there is room");
    assert!(matches!(open(), Err(StoreError::InUse(_))));
    drop(store);

    let store = open().expect("it is free");
    assert_eq!(
        read_all(&store, stream, number).expect("it is durable"),
        expected
    );
    assert!(store.begin_fragment(stream, 0).expect("it exists") > number);
    drop(store);

    let checked = kvs_server::store::check(data.clone(), None, true).expect("it is free");
    assert_eq!(checked.violations, []);
    assert_eq!((checked.streams, checked.fragments), (1, 1));
    let key = data.join("master.key");
    let moved = folder.path().join("elsewhere.key");
    std::fs::rename(&key, &moved).expect("it is there");
    let lost = open().expect_err("the key is gone").to_string();
    assert!(lost.contains("--master-key") && !key.exists(), "{lost}");
    let config = StoreConfig {
        master_key: Some(moved),
        ..config.clone()
    };
    let store = Store::open(&config, clock.clone()).expect("the key is given");
    assert_eq!(
        read_all(&store, stream, number).expect("it is durable"),
        expected
    );
    drop(store);

    std::fs::write(data.join("FORMAT"), "kvs-server store 2\n").expect("it is there");
    let newer = open().expect_err("it is of another version").to_string();
    assert!(
        newer.contains("format 2") && !newer.contains('\n'),
        "{newer}"
    );
}

#[test]
fn an_index_with_a_page_of_zeros_is_an_error_and_no_panic() {
    const PAGE_BYTES: usize = 4096;
    let folder = tempfile::tempdir().expect("a folder");
    let config = StoreConfig::on_disk(folder.path());
    let open = || {
        let clock = clock();
        let store = Store::open(&config, clock)?;
        let found = store.check(true)?;
        let stream = store.stream(&"cam".parse().expect("a name"));
        let stream = stream.ok_or(StoreError::NoStream)?.id;
        let number = store.begin_fragment(stream, NOW_MS + 60_000)?;
        wait(store.append(fragment(stream, number, 10)))?;
        Ok::<_, StoreError>(found)
    };
    let clock = clock();
    let store = Store::open(&config, clock).expect("a new folder");
    let stream = store.create_stream(new_stream("cam")).expect("it is new");
    for at in 0..50 {
        let number = store.begin_fragment(stream.id, NOW_MS + at);
        let new = fragment(stream.id, number.expect("it exists"), 10);
        wait(store.append(new)).expect("there is room");
    }
    drop(store);
    assert_eq!(open().expect("it is whole"), []);
    let path = folder.path().join("index.redb");
    let key = folder.path().join("keys/00000001");
    let whole = std::fs::read(&path).expect("it is there");
    for at in (0..whole.len()).step_by(PAGE_BYTES) {
        let mut damaged = whole.clone();
        let end = whole.len().min(at + PAGE_BYTES);
        damaged[at..end].fill(0);
        std::fs::write(&path, damaged).expect("writable");
        if let Err(error) = open() {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        assert!(
            key.exists(),
            "a page of zeros at {at} cost the stream its key"
        );
    }
    // As a file system may leave it that was not shut down.
    std::fs::write(&path, "").expect("writable");
    let error = open().expect_err("it cannot be made anew");
    assert!(error.to_string().contains("rebuild-index"), "{error}");
    assert!(key.exists());
    std::fs::write(&path, whole).expect("writable");
    open().expect("it is whole again");
}

#[test]
fn a_stray_file_is_no_segment() {
    let disk = SimulatedDisk::new(1);
    let stray = ["1", "+7", "notes.txt", "0000000001"].map(|name| format!("segments/{name}"));
    let open = || {
        let random = Arc::new(SeededRandom::new(1));
        Store::open_on(
            &StoreConfig::in_memory(),
            Arc::new(disk.clone()),
            clock(),
            random,
        )
    };
    let store = open().expect("it is new");
    let stream = create(&store, "cam");
    let persisted = append(&store, stream, 5000).expect("there is room");
    drop(store);
    for name in &stray {
        disk.create(name).expect("nothing has that name");
    }
    let store = open().expect("it looks at its own");
    persisted.is_in(&store);
    assert_eq!(store.check(true).expect("it can be checked"), []);
    append(&store, stream, 5000).expect("there is room");
    drop(store);
    let contents = disk.contents();
    assert!(
        stray
            .iter()
            .all(|name| contents.iter().any(|(there, _)| there == name))
    );
    // One whose number is the last of all leaves none for the next.
    disk.create("segments/4294967295")
        .expect("nothing has that name");
    let error = open().expect_err("no number is left").to_string();
    assert!(error.contains("no numbers of segments"), "{error}");
}

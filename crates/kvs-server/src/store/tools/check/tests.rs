use bytes::Bytes;

use super::*;
use crate::clock::SimulatedClock;
use crate::store::disk::{Disk, MemoryDisk};
use crate::store::fragment::NewFragment;
use crate::store::index::Changes;
use crate::store::random::SeededRandom;
use crate::store::record;
use crate::store::stream::NewStream;

const NOW_MS: u64 = 1_700_000_000_000;

struct Broken {
    disk: Arc<MemoryDisk>,
    store: Store,
    stream: StreamId,
    rows: Vec<Row>,
}

fn new_stream(name: &str) -> NewStream {
    NewStream::named(
        name.parse().expect("it is a name"),
        "first".parse().expect("it is a version"),
        1,
    )
}

/// A sound store with one stream of three fragments.
async fn sound() -> Broken {
    let disk = Arc::new(MemoryDisk::new());
    let clock = Arc::new(SimulatedClock::new(NOW_MS));
    let random = Arc::new(SeededRandom::new(1));
    let config = StoreConfig::in_memory();
    let store = Store::open_on(&config, disk.clone(), clock, random).expect("it is new");
    let stream = store
        .create_stream(new_stream("cam"))
        .expect("it is new")
        .id;
    for _ in 0..3 {
        let number = store.begin_fragment(stream, NOW_MS).expect("it exists");
        let new = NewFragment {
            stream,
            number,
            producer_ms: NOW_MS,
            length_ms: 1000,
            header: Bytes::from_static(b"header"),
            cluster_bytes: 100_000,
            body: vec![Bytes::from(vec![7; 100_000])],
        };
        store.append(new).await.expect("there is room");
    }
    store.checkpoint().expect("the index works");
    assert_eq!(store.check(true).expect("it can be checked"), []);
    let snapshot = store.0.shared.snapshot().expect("the index works");
    let rows = snapshot.rows().expect("the index works");
    let rows = rows.map(|row| row.expect("it can be read")).collect();
    Broken {
        disk,
        store,
        stream,
        rows,
    }
}

impl Broken {
    fn change(&self, change: impl FnOnce(&mut Changes<'_>) -> Result<(), StoreError>) {
        let shared = &self.store.0.shared;
        shared
            .with_index(|index| index.change(true, change))
            .expect("the index works");
    }

    /// Flips a bit of a record.
    fn damage(&self, row: &Row, at: u64) {
        let file = self.disk.open(&segments::path(row.place.segment));
        let file = file.expect("it is there");
        let mut byte = [0];
        file.read_at(row.place.offset() + at, &mut byte)
            .expect("it is that long");
        file.write_at(row.place.offset() + at, &[byte[0] ^ 1])
            .expect("there is room");
    }

    /// The invariants that are named, by the fast and by the full check.
    fn named(&self) -> [Vec<Invariant>; 2] {
        [false, true].map(|full| {
            let violations = self.store.check(full).expect("it can be checked");
            for violation in &violations {
                assert!(!violation.to_string().contains('\n'), "{violation}");
            }
            let mut named: Vec<_> = violations.iter().map(|found| found.invariant).collect();
            named.sort_unstable();
            named.dedup();
            named
        })
    }
}

#[tokio::test]
async fn a_damaged_body_is_not_whole() {
    let broken = sound().await;
    broken.damage(&broken.rows[1], 90_000);
    assert_eq!(broken.named(), [vec![], vec![Invariant::Whole]]);
    let number = broken.rows[1].facts.number;
    let mut reader = broken
        .store
        .read(broken.stream, number)
        .expect("its header is whole");
    let mut read = || -> Result<(), StoreError> {
        while reader.next_chunk()?.is_some() {}
        Ok(())
    };
    let error = read().expect_err("it is damaged").to_string();
    assert!(
        error.contains(FragmentNumber::from_parts(number).as_str()),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_header_is_not_whole() {
    let broken = sound().await;
    broken.damage(&broken.rows[1], 40);
    assert_eq!(
        broken.named(),
        [vec![Invariant::Whole], vec![Invariant::Whole]]
    );
    assert!(
        broken
            .store
            .read(broken.stream, broken.rows[1].facts.number)
            .is_err()
    );
}

#[tokio::test]
async fn a_segment_that_is_gone_is_not_whole() {
    let broken = sound().await;
    let path = segments::path(broken.rows[0].place.segment);
    broken.disk.unlink(&path).expect("it is there");
    assert_eq!(
        broken.named(),
        [vec![Invariant::Whole], vec![Invariant::Whole]]
    );
}

#[tokio::test]
async fn a_whole_record_without_a_row_is_to_be_found() {
    let broken = sound().await;
    let row = broken.rows[2];
    broken.change(|changes| {
        changes.remove(&row)?;
        // As a checkpoint that came too late leaves it: behind the checkpoint, and without a row.
        changes.set_checkpoint(row.place)
    });
    assert_eq!(
        broken.named(),
        [vec![Invariant::Found], vec![Invariant::Found]]
    );
}

#[tokio::test]
async fn garbage_is_accounted() {
    let broken = sound().await;
    let place = broken.rows[0].place;
    broken.change(|changes| changes.add_free(&[(place, 1)]));
    assert_eq!(
        broken.named(),
        [vec![Invariant::Garbage], vec![Invariant::Garbage]]
    );

    let broken = sound().await;
    broken.change(|changes| changes.remove_segment(1));
    assert_eq!(
        broken.named(),
        [vec![Invariant::Garbage], vec![Invariant::Garbage]]
    );

    let broken = sound().await;
    let twice = Row {
        place: broken.rows[0].place,
        ..broken.rows[1]
    };
    broken.change(|changes| changes.insert(&twice));
    let both = vec![Invariant::Whole, Invariant::Garbage];
    assert_eq!(broken.named(), [both.clone(), both]);
}

#[tokio::test]
async fn numbers_are_reserved_and_in_order() {
    let broken = sound().await;
    let (stream, reserved) = (broken.stream, crate::store::index::Reserved::default());
    broken.change(|changes| changes.reserve(stream, reserved));
    assert_eq!(
        broken.named(),
        [vec![Invariant::Numbers], vec![Invariant::Numbers]]
    );

    let broken = sound().await;
    let mut later = broken.rows[0];
    later.facts.number.server_ms += 1000;
    broken.change(|changes| {
        changes.remove(&broken.rows[0])?;
        changes.insert(&later)
    });
    let both = vec![Invariant::Whole, Invariant::Numbers];
    assert_eq!(broken.named(), [both.clone(), both]);
}

#[tokio::test]
async fn both_orders_hold_the_same() {
    let broken = sound().await;
    let row = broken.rows[1];
    broken.change(|changes| changes.break_order(&row));
    assert_eq!(
        broken.named(),
        [vec![Invariant::Orders], vec![Invariant::Orders]]
    );
}

#[tokio::test]
async fn every_stream_has_its_key_and_every_key_its_stream() {
    let broken = sound().await;
    keys::destroy(broken.disk.as_ref(), broken.stream).expect("it is there");
    assert_eq!(
        broken.named(),
        [vec![Invariant::Keys], vec![Invariant::Keys]]
    );

    let broken = sound().await;
    broken.disk.create("keys/000000ff").expect("there is room");
    assert_eq!(
        broken.named(),
        [vec![Invariant::Keys], vec![Invariant::Keys]]
    );
}

#[tokio::test]
async fn every_row_has_a_stream() {
    let broken = sound().await;
    let mut foreign = broken.rows[0];
    foreign.facts.stream = StreamId(99);
    foreign.place.block += 10 * record::blocks(100_006);
    broken.change(|changes| changes.insert(&foreign));
    assert_eq!(
        broken.named(),
        [vec![Invariant::Streams], vec![Invariant::Streams]]
    );
}

#[tokio::test]
async fn a_stream_is_not_made_in_the_place_of_another() {
    let broken = sound().await;
    broken.change(|changes| changes.set_next_stream(u64::from(broken.stream.0)));
    assert_eq!(broken.named(), [[Invariant::Streams]; 2]);
    let created = broken.store.create_stream(new_stream("second"));
    let error = created.expect_err("its id is taken").to_string();
    assert!(error.contains("rebuild-index"), "{error}");
    let mut reader = {
        broken
            .store
            .read(broken.stream, broken.rows[0].facts.number)
    }
    .expect("the key is the first stream's still");
    while reader.next_chunk().expect("it opens").is_some() {}
}

#[tokio::test]
async fn a_folder_without_counts_gets_them_and_wrong_ones_are_named() {
    let broken = sound().await;
    let counted = broken.store.usage().expect("the index works");
    assert_eq!(counted[&broken.stream].fragments, 3);
    broken.change(|changes| {
        changes.forget_usage()?;
        Ok(())
    });
    let named = broken.store.check(false).expect("it can be checked");
    assert!(
        named.iter().any(|v| v.invariant == Invariant::Garbage),
        "{named:?}"
    );
    let Broken { disk, store, .. } = broken;
    drop(store);
    let clock = Arc::new(SimulatedClock::new(NOW_MS));
    let random = Arc::new(SeededRandom::new(1));
    let store = Store::open_on(&StoreConfig::in_memory(), disk, clock, random);
    let store = store.expect("it was sound");
    assert_eq!(store.usage().expect("the index works"), counted);
    assert_eq!(store.check(false).expect("it can be checked"), []);
}

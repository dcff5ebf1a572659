//! Damage of the index is found by a check, or it does no harm.

use std::sync::Arc;

use kvs_server::store::disk::Disk;
use kvs_server::store::disk::simulated::SimulatedDisk;
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Expiry, Store, StoreConfig, StoreError, StreamId};

use crate::fixtures::{Persisted, append, clock, create};

const INDEX: &str = "index.redb";

/// Opens the store as a check does.
fn open(disk: &SimulatedDisk) -> Result<Store, StoreError> {
    let config = StoreConfig {
        bytes_max: None,
        segment_bytes: 256 << 10,
        expiry: Expiry::Never,
        verify_index: true,
        ..StoreConfig::in_memory()
    };
    let random = Arc::new(SeededRandom::new(1));
    Store::open_on(&config, Arc::new(disk.clone()), clock(), random)
}

/// A store that was closed.
struct Closed {
    disk: SimulatedDisk,
    index: Vec<u8>,
    streams: [StreamId; 2],
    persisted: Vec<Persisted>,
}

impl Closed {
    fn new() -> Self {
        let disk = SimulatedDisk::new(1);
        let store = open(&disk).expect("it is new");
        let streams = ["cam", "door"].map(|name| create(&store, name));
        let append = |at: usize| append(&store, streams[at % 2], 3000).expect("there is room");
        let persisted = (0..100).map(append).collect();
        drop(store);
        let mut files = disk.contents().into_iter();
        let index = files.find(|(name, _)| name == INDEX);
        Self {
            disk,
            index: index.expect("it is there").1,
            streams,
            persisted,
        }
    }

    /// Whether a check finds these bytes in the index. If not, all is as it was.
    fn finds(&self, at: usize, bytes: &[u8]) -> bool {
        let disk = self.disk.kill();
        let file = disk.open(INDEX).expect("it is there");
        file.write_at(at as u64, bytes).expect("there is room");
        let Ok(store) = open(&disk) else {
            return true;
        };
        assert_eq!(store.check(true).expect("it can be checked"), [], "at {at}");
        self.persisted.iter().for_each(|one| one.is_in(&store));
        assert!(!self.streams.contains(&create(&store, "third")));
        false
    }
}

#[test]
fn a_flipped_bit_is_found_or_does_no_harm() {
    let flips = match std::env::var_os("KVS_LONG_TESTS") {
        Some(_) => 5000,
        None => 200,
    };
    let closed = Closed::new();
    let index = &closed.index;
    let used: Vec<usize> = (0..index.len()).filter(|at| index[*at] != 0).collect();
    let random = SeededRandom::new(7);
    let flip = |_: &usize| {
        let at = used[random.below(used.len() as u64) as usize];
        closed.finds(at, &[index[at] ^ 1 << random.below(8)])
    };
    // Most of the file is pages that nothing uses any more.
    let found = (0..flips).filter(flip).count();
    assert!(found > flips / 50, "{found} of {flips}");
}

#[test]
fn a_page_of_zeros_is_found_or_does_no_harm() {
    const PAGE_BYTES: usize = 4096;
    let closed = Closed::new();
    let pages = closed.index.chunks(PAGE_BYTES).enumerate();
    let used = { pages }.filter(|(_, page)| page.iter().any(|byte| *byte != 0));
    let found = used.filter(|(at, page)| closed.finds(at * PAGE_BYTES, &vec![0; page.len()]));
    assert!(found.count() > 3);
}

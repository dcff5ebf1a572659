//! A week of server time: what lies on the disk follows what is retained.
//!
//! `KVS_SEED=N` tries another week.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use kvs_protocol::FragmentParts;
use kvs_server::clock::{Clock, SimulatedClock};
use kvs_server::store::disk::MemoryDisk;
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Query, Store, StoreConfig, StreamId, TimeOrigin};

use crate::fixtures::{clock, fragment, new_stream, wait};

const HOUR_MS: u64 = 3_600_000;
const STEP_MS: u64 = HOUR_MS / 2;
const STEPS: u64 = 7 * 24 * 2;
const STREAMS: usize = 20;
const TURNS_MAX: usize = 20_000;
const RETENTION_HOURS: [u32; 6] = [1, 3, 12, 24, 48, 100];

/// What is the matter with the clock, for how many steps yet.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    None,
    Unsynchronized(u64),
    Ahead(u64),
    Back(u64),
}

struct Week {
    disk: Arc<MemoryDisk>,
    store: Store,
    clock: Arc<SimulatedClock>,
    random: SeededRandom,
    /// Each stream's retention, and what of it was stored, with what it takes on the disk.
    streams: BTreeMap<StreamId, (u32, Vec<(FragmentParts, u64)>)>,
    trouble: Trouble,
    /// The time that may expire.
    trusted_ms: u64,
    names: u64,
}

/// What a record of so many bytes takes: whole blocks, with its header and a tag for each chunk.
fn record_bytes(plain_bytes: u64) -> u64 {
    (96 + plain_bytes + 16 * plain_bytes.div_ceil(65_536)).next_multiple_of(4096)
}

impl Week {
    fn begin(seed: u64) -> Self {
        let (disk, clock) = (Arc::new(MemoryDisk::new()), clock());
        let config = StoreConfig {
            bytes_max: None,
            segment_bytes: 8 << 20,
            ..StoreConfig::in_memory()
        };
        let random = Arc::new(SeededRandom::new(seed));
        let store = Store::open_on(&config, disk.clone(), clock.clone(), random);
        let mut week = Self {
            disk,
            store: store.expect("it is new"),
            trusted_ms: clock.now_ms(),
            clock,
            random: SeededRandom::new(seed),
            streams: BTreeMap::new(),
            trouble: Trouble::None,
            names: 0,
        };
        (0..STREAMS).for_each(|_| week.create());
        week
    }

    fn hours(&self) -> u32 {
        RETENTION_HOURS[self.random.below(RETENTION_HOURS.len() as u64) as usize]
    }

    fn any(&self) -> StreamId {
        let at = self.random.below(self.streams.len() as u64) as usize;
        *self.streams.keys().nth(at).expect("there are some")
    }

    fn create(&mut self) {
        self.names += 1;
        // Names come again.
        let mut new = new_stream(&format!("cam-{}", self.names % 30));
        while self.store.stream(&new.name).is_some() {
            self.names += 1;
            new = new_stream(&format!("cam-{}", self.names % 30));
        }
        new.retention_hours = self.hours();
        let made = self.store.create_stream(new).expect("it is new");
        self.streams
            .insert(made.id, (made.retention_hours, Vec::new()));
    }

    fn change_streams(&mut self) {
        let id = self.any();
        if self.random.below(3) == 0 {
            self.store.delete_stream(id).expect("it exists");
            self.streams.remove(&id);
            return self.create();
        }
        // What is past the old retention does not come back with a longer one.
        self.forget();
        let hours = self.hours();
        let mut stream = (*self.store.stream_by_id(id).expect("it exists")).clone();
        stream.retention_hours = hours;
        self.store.update_stream(stream).expect("nobody else does");
        self.streams.get_mut(&id).expect("it exists").0 = hours;
        self.forget();
        self.wait_until_swept(id);
    }

    /// What a lowered retention takes goes at once, and does not come back with an earlier clock.
    fn wait_until_swept(&self, id: StreamId) {
        let kept = self.streams[&id].1.len() as u64;
        let left = || {
            let usage = self.store.usage().expect("the index works");
            usage.get(&id).map_or(0, |usage| usage.fragments)
        };
        let swept = (0..TURNS_MAX).any(|_| {
            self.store.checkpoint().expect("the disk works");
            left() <= kept
        });
        assert!(swept, "{} are left, and {kept} retained", left());
    }

    /// The clock goes wrong, or right again.
    fn trouble(&mut self) {
        let ahead_ms = 5 * HOUR_MS;
        let now_ms = self.clock.now_ms();
        let steps = 1 + self.random.below(6);
        self.trouble = match self.trouble {
            Trouble::Unsynchronized(0) => {
                self.clock.set_synchronized(true);
                Trouble::None
            }
            Trouble::Ahead(0) => {
                self.clock.step_to_ms(now_ms - ahead_ms);
                self.clock.set_synchronized(true);
                Trouble::None
            }
            Trouble::Back(0) => {
                self.clock.step_to_ms(now_ms + ahead_ms);
                Trouble::None
            }
            Trouble::Unsynchronized(left) => Trouble::Unsynchronized(left - 1),
            Trouble::Ahead(left) => Trouble::Ahead(left - 1),
            Trouble::Back(left) => Trouble::Back(left - 1),
            Trouble::None => match self.random.below(24) {
                0 => {
                    self.clock.set_synchronized(false);
                    Trouble::Unsynchronized(steps)
                }
                1 => {
                    self.clock.step_to_ms(now_ms + ahead_ms);
                    self.clock.set_synchronized(false);
                    Trouble::Ahead(steps)
                }
                2 => {
                    self.clock.step_to_ms(now_ms - ahead_ms);
                    Trouble::Back(steps)
                }
                _ => Trouble::None,
            },
        };
        // The store sees the step, also one that it will believe by the next.
        self.store.checkpoint().expect("the disk works");
    }

    fn append(&mut self) {
        let body = Bytes::from(vec![7; 60_000]);
        let mut appends = Vec::new();
        for (id, (_, stored)) in &mut self.streams {
            let number = self.store.begin_fragment(*id, self.clock.now_ms());
            let number = number.expect("it exists");
            let mut new = fragment(*id, number, 0);
            let len = 20_000 + self.random.below(40_000) as usize;
            new.cluster_bytes = len as u64;
            new.body = vec![body.slice(..len)];
            stored.push((number, record_bytes((new.header.len() + len) as u64)));
            appends.push(self.store.append(new));
        }
        for stored in wait(join_all(appends)) {
            stored.expect("there is room");
        }
    }

    /// What is past its retention is no more.
    fn forget(&mut self) {
        for (hours, stored) in self.streams.values_mut() {
            let floor_ms = self.trusted_ms - u64::from(*hours) * HOUR_MS;
            stored.retain(|(number, _)| number.server_ms >= floor_ms);
        }
    }

    fn verify(&mut self, step: u64) {
        self.forget();
        let stored = self.streams.values().flat_map(|(_, stored)| stored);
        let retained: u64 = stored.map(|(_, bytes)| bytes).sum();
        let usage = self.store.usage().expect("the index works");
        for (id, (_, stored)) in &self.streams {
            let all = Query {
                origin: TimeOrigin::Server,
                from_ms: 0,
                to_ms: u64::MAX,
                after: None,
                limit: usize::MAX,
            };
            let found = self.store.find(*id, all).expect("the index works");
            let found: Vec<_> = found.fragments.iter().map(|found| found.number).collect();
            let expected: Vec<_> = stored.iter().map(|(number, _)| *number).collect();
            // More where what is past its retention is not deleted yet.
            let used = usage.get(id).copied().unwrap_or_default();
            assert!(used.fragments >= stored.len() as u64);
            assert!(used.bytes >= stored.iter().map(|(_, bytes)| bytes).sum());
            assert!(found == expected, "step {step}, {:?}", self.trouble);
        }
        let mut used = 0_u64;
        for _ in 0..TURNS_MAX {
            used = self.disk.allocated_bytes("");
            if used.abs_diff(retained) <= retained / 10 {
                return;
            }
            self.store.checkpoint().expect("the disk works");
        }
        panic!("step {step}: {used} bytes are used, and {retained} retained");
    }

    fn pass(&mut self, step: u64) {
        if self.random.below(4) == 0 {
            self.change_streams();
        }
        self.trouble();
        self.clock.advance_ms(STEP_MS);
        if matches!(self.trouble, Trouble::None | Trouble::Back(_)) {
            self.trusted_ms = self.clock.now_ms();
        }
        self.forget();
        self.append();
        // The first fragments are small beside an index.
        if step >= 24 && step.is_multiple_of(4) {
            self.verify(step);
        }
    }
}

#[test]
fn in_a_week_disk_use_follows_what_is_retained() {
    let seed = std::env::var("KVS_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("seed {seed}");
    let mut week = Week::begin(seed);
    for step in 0..STEPS {
        week.pass(step);
    }
    let violations = week.store.check(false).expect("it can be checked");
    assert_eq!(violations, []);
}

//! The store on a disk that loses power, fails calls, and keeps only what was synced.
//!
//! `KVS_LONG_TESTS=1` tries twenty times as many seeds; `KVS_SEED=N` just this one.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};

use futures_util::future::maybe_done;
use kvs_protocol::FragmentParts;
use kvs_server::clock::{Clock, SimulatedClock};
use kvs_server::store::disk::simulated::{Fault, SimulatedDisk};
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Store, StoreConfig, StoreError, StreamId};

use crate::fixtures::{append, body, clock, create, fragment, new_stream, read_all, wait};

const HOUR_MS: u64 = 3_600_000;
/// Small segments, so that many are begun and unlinked.
const SEGMENT_BYTES: u64 = 256 << 10;
/// What a store keeps that evicts.
const BYTES_MAX: u64 = 4 * SEGMENT_BYTES;
/// Four of the largest fragments.
const GROUP_BYTES_MAX: u64 = 4 * (80 << 10);
/// The oldest make room for a group, a segment at a time, and the group may then fail.
const SURELY_KEPT_BYTES: u64 = BYTES_MAX - GROUP_BYTES_MAX - SEGMENT_BYTES;

fn open(disk: &SimulatedDisk, clock: &Arc<SimulatedClock>, seed: u64) -> Result<Store, StoreError> {
    open_bounded(disk, clock, seed, None)
}

fn open_bounded(
    disk: &SimulatedDisk,
    clock: &Arc<SimulatedClock>,
    seed: u64,
    bytes_max: Option<u64>,
) -> Result<Store, StoreError> {
    let config = StoreConfig {
        bytes_max,
        segment_bytes: SEGMENT_BYTES,
        reserve_bytes: 8 << 10,
        ..StoreConfig::in_memory()
    };
    let random = Arc::new(SeededRandom::new(seed));
    Store::open_on(&config, Arc::new(disk.clone()), clock.clone(), random)
}

/// What the clients of a store remember of it.
#[derive(Default)]
struct Clients {
    /// Streams whose creation was confirmed; `false` once a deletion was begun.
    streams: BTreeMap<StreamId, bool>,
    /// Fragments whose PERSISTED was sent, with their bytes.
    persisted: BTreeMap<(StreamId, FragmentParts), Vec<u8>>,
    /// All that were sent, confirmed or not, in the order in which they became durable, with what
    /// they take at most: each may have pushed out an older one.
    order: Vec<(StreamId, FragmentParts, u64)>,
    /// The shortest retention that each stream may have now, and the longest.
    hours: BTreeMap<StreamId, (u32, u32)>,
    /// What arrived before may be gone.
    gone_ms: BTreeMap<StreamId, u64>,
    /// The oldest may be gone although they are retained.
    evicts: bool,
    /// Every number that was given out.
    seen: BTreeSet<(StreamId, u64)>,
    names: u64,
}

impl Clients {
    /// Uses the store until it fails, or for so many steps.
    fn work(&mut self, store: &Store, clock: &SimulatedClock, random: &SeededRandom, steps: u64) {
        for _ in 0..steps {
            let kept = self
                .streams
                .iter()
                .filter(|(_, kept)| **kept)
                .map(|(id, _)| *id);
            let kept: Vec<StreamId> = kept.collect();
            let done = match random.below(20) {
                _ if kept.is_empty() => self.create(store),
                0 if kept.len() < 5 => self.create(store),
                1 if kept.len() > 1 => {
                    self.delete(store, kept[random.below(kept.len() as u64) as usize])
                }
                2 => {
                    clock.advance_ms(700);
                    Ok(())
                }
                3 => store.checkpoint(),
                4 => {
                    clock.advance_ms(HOUR_MS / 3);
                    Ok(())
                }
                5 => {
                    let stream = kept[random.below(kept.len() as u64) as usize];
                    self.keep(store, stream, 1 + random.below(3) as u32)
                }
                _ => self.append(store, clock, &kept, random),
            };
            self.time_passes(clock);
            if done.is_err() {
                return;
            }
        }
    }

    fn create(&mut self, store: &Store) -> Result<(), StoreError> {
        self.names += 1;
        let stream = store.create_stream(new_stream(&format!("cam-{}", self.names)))?;
        self.streams.insert(stream.id, true);
        self.hours.insert(stream.id, (1, 1));
        Ok(())
    }

    /// Changes a retention.
    fn keep(&mut self, store: &Store, id: StreamId, hours: u32) -> Result<(), StoreError> {
        let (least, most) = self.hours[&id];
        self.hours.insert(id, (least.min(hours), most.max(hours)));
        let mut stream = (*store.stream_by_id(id).ok_or(StoreError::NoStream)?).clone();
        stream.retention_hours = hours;
        store.update_stream(stream)?;
        self.hours.insert(id, (hours, hours));
        Ok(())
    }

    fn time_passes(&mut self, clock: &SimulatedClock) {
        for (stream, (least, _)) in &self.hours {
            let floor_ms = clock.now_ms() - u64::from(*least) * HOUR_MS;
            let gone_ms = self.gone_ms.entry(*stream).or_default();
            *gone_ms = floor_ms.max(*gone_ms);
        }
    }

    fn delete(&mut self, store: &Store, stream: StreamId) -> Result<(), StoreError> {
        self.streams.insert(stream, false);
        store.delete_stream(stream)
    }

    /// Some fragments in one group.
    fn append(
        &mut self,
        store: &Store,
        clock: &SimulatedClock,
        streams: &[StreamId],
        random: &SeededRandom,
    ) -> Result<(), StoreError> {
        let mut news = Vec::new();
        for _ in 0..=random.below(4) {
            let stream = streams[random.below(streams.len() as u64) as usize];
            let number = store.begin_fragment(stream, clock.now_ms())?;
            let new = self.seen.insert((stream, number.sequence));
            assert!(new, "{number:?} of {stream:?} was given out before");
            let lens = [0, 10, 3000, 5000, 70_000];
            news.push(fragment(stream, number, lens[random.below(5) as usize]));
        }
        let paused = store.pause_writer();
        let appends = news
            .iter()
            .map(|new| Box::pin(maybe_done(store.append(new.clone()))));
        let mut appends: Vec<_> = appends.collect();
        for append in &mut appends {
            // Each is asked for before the writer goes on.
            let _ = append
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
        }
        drop(paused);
        let mut stored = Vec::new();
        for append in &mut appends {
            wait(append.as_mut());
            stored.push(append.as_mut().take_output().expect("it has ended"));
        }
        for (new, stored) in news.iter().zip(&stored) {
            let bytes = body(new);
            let taken_bytes = bytes.len() as u64 + 8192;
            self.order.push((new.stream, new.number, taken_bytes));
            if stored.is_ok() {
                self.persisted.insert((new.stream, new.number), bytes);
            }
        }
        stored.into_iter().collect()
    }

    /// What was confirmed is there, and nothing that was given out is again.
    fn verify(&mut self, store: &Store, clock: &SimulatedClock) {
        self.time_passes(clock);
        let violations = store.check(true).expect("it can be checked");
        assert_eq!(violations, []);
        // A deletion under way may have become durable or not.
        self.streams.retain(|stream, kept| {
            *kept && {
                assert!(store.stream_by_id(*stream).is_some(), "{stream:?} is lost");
                true
            }
        });
        self.persisted
            .retain(|(stream, _), _| self.streams.contains_key(stream));
        let mut newer_bytes = 0;
        for (stream, number, taken_bytes) in self.order.iter().rev() {
            newer_bytes += taken_bytes;
            let Some(bytes) = self.persisted.get(&(*stream, *number)) else {
                continue;
            };
            let surely = number.server_ms >= self.gone_ms[stream]
                && !(self.evicts && newer_bytes > SURELY_KEPT_BYTES);
            let longest_ms = u64::from(self.hours[stream].1) * HOUR_MS;
            let expired = number.server_ms < clock.now_ms() - longest_ms;
            match read_all(store, *stream, *number) {
                Ok(read) => {
                    assert!(read == *bytes, "{number:?} of {stream:?} has other bytes");
                    assert!(!expired, "{number:?} of {stream:?} is past its retention");
                }
                Err(StoreError::NoFragment) => {
                    assert!(!surely, "{number:?} of {stream:?} is lost");
                }
                Err(error) => panic!("{error}"),
            }
        }
        for stream in self.streams.keys() {
            let number = store.begin_fragment(*stream, 0).expect("it exists");
            let new = self.seen.insert((*stream, number.sequence));
            assert!(new, "{number:?} of {stream:?} was given out before");
        }
    }
}

fn seeds(short: u64) -> Vec<u64> {
    if let Some(seed) = std::env::var("KVS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        return vec![seed];
    }
    let long = std::env::var_os("KVS_LONG_TESTS").is_some();
    (0..if long { 20 * short } else { short }).collect()
}

/// The power is cut some times at any call, the recovery's calls among them.
fn survive(seed: u64, bytes_max: Option<u64>) {
    let random = SeededRandom::new(seed);
    let clock = clock();
    let open = |disk: &SimulatedDisk, clock, seed| open_bounded(disk, clock, seed, bytes_max);
    let mut disk = SimulatedDisk::new(seed);
    let mut clients = Clients {
        evicts: bytes_max.is_some(),
        ..Clients::default()
    };
    for round in 0..4 {
        if round > 0 || random.below(4) == 0 {
            disk.fault_after(1 + random.below(400), Fault::PowerCut);
        }
        if let Ok(store) = open(&disk, &clock, random.next_u64()) {
            if round == 0 {
                disk.fault_after(1 + random.below(600), Fault::PowerCut);
            }
            clients.work(&store, &clock, &random, 60);
        }
        disk = if random.below(3) == 0 {
            disk.kill()
        } else {
            disk.power_cut()
        };
    }
    disk = disk.power_cut();
    let store = open(&disk, &clock, random.next_u64()).expect("it survives");
    clients.verify(&store, &clock);
    clients.work(&store, &clock, &random, 5);
    clients.verify(&store, &clock);
}

#[test]
fn what_was_persisted_survives_power_cuts_at_any_call() {
    for seed in seeds(100) {
        println!("seed {seed}");
        survive(seed, None);
    }
}

#[test]
fn what_is_evicted_is_gone_and_nothing_else_at_any_call() {
    for seed in seeds(12) {
        println!("seed {seed}");
        survive(seed, Some(BYTES_MAX));
    }
}

#[test]
fn a_first_start_that_loses_power_begins_again() {
    const CALLS: u64 = 120;
    for seed in seeds(5) {
        for call in 1..CALLS {
            let (disk, clock) = (SimulatedDisk::new(seed * CALLS + call), clock());
            disk.fault_after(call, Fault::PowerCut);
            // It fails where the power goes; there may be power to its end.
            let _first = open(&disk, &clock, seed);
            let disk = disk.power_cut();
            let again = open(&disk, &clock, seed);
            assert!(again.is_ok(), "seed {seed}, call {call}: {again:?}");
        }
    }
}

/// A call fails now and then, the process goes on, is killed or loses power.
fn endure(seed: u64) {
    let random = SeededRandom::new(!seed);
    let clock = clock();
    let mut disk = SimulatedDisk::new(seed);
    let mut clients = Clients::default();
    let mut store = open(&disk, &clock, random.next_u64()).expect("nothing fails yet");
    for _ in 0..6 {
        let fault = if random.below(2) == 0 {
            Fault::Error
        } else {
            Fault::SyncError
        };
        disk.fault_after(1 + random.below(60), fault);
        for _ in 0..3 {
            clients.work(&store, &clock, &random, 10);
        }
        disk.fault_after(u64::MAX / 2, Fault::Error);
        if random.below(3) == 0 {
            disk = disk.power_cut();
            drop(store);
            store = open(&disk, &clock, random.next_u64()).expect("nothing fails now");
            clients.verify(&store, &clock);
        }
    }
    drop(store);
    let store = open(&disk, &clock, random.next_u64()).expect("nothing fails now");
    clients.verify(&store, &clock);
}

#[test]
fn what_was_persisted_survives_failing_calls() {
    for seed in seeds(40) {
        println!("seed {seed}");
        endure(seed);
    }
}

#[test]
fn a_failed_sync_is_not_retried_on_that_file() {
    let clock = clock();
    let disk = SimulatedDisk::new(1);
    let store = open(&disk, &clock, 1).expect("it is new");
    let stream = create(&store, "cam");
    let segments = || {
        let files = disk.contents().into_iter().map(|(name, _)| name);
        files
            .filter(|name| name.starts_with("segments/"))
            .collect::<BTreeSet<_>>()
    };
    let mut persisted = Vec::new();
    for fails in [false, true, false] {
        if fails {
            disk.fault_after(1, Fault::SyncError);
        }
        let before = segments();
        persisted.push(append(&store, stream, 5000).expect("it goes elsewhere"));
        let fresh = segments().difference(&before).count();
        assert_eq!(fresh, usize::from(fails || before.is_empty()));
    }
    let disk = disk.power_cut();
    drop(store);
    let store = open(&disk, &clock, 1).expect("it survives");
    persisted
        .iter()
        .for_each(|persisted| persisted.is_in(&store));
    assert_eq!(store.check(true).expect("it can be checked"), []);
}

#[test]
fn a_record_torn_at_any_block_is_cut_and_what_was_persisted_stays() {
    for torn_bytes in (0..80_000)
        .step_by(4096)
        .chain([1, 95, 96, 97, 511, 70_200])
    {
        let clock = clock();
        let disk = SimulatedDisk::new(1);
        let store = open(&disk, &clock, 1).expect("it is new");
        let stream = create(&store, "cam");
        let [first, second] =
            [(); 2].map(|()| append(&store, stream, 70_000).expect("there is room"));
        let disk = disk.power_cut();
        drop(store);
        disk.cut_file("segments/00000001", 73_728 + torn_bytes);
        let store = open(&disk, &clock, 1).expect("it survives");
        first.is_in(&store);
        let second = read_all(&store, stream, second.number);
        assert_eq!(second.is_ok(), torn_bytes >= 73_728, "{torn_bytes}");
        assert_eq!(store.check(true).expect("it can be checked"), []);
    }
}

#[test]
fn a_deleted_streams_key_occurs_nowhere() {
    let clock = clock();
    let disk = SimulatedDisk::new(1);
    let store = open(&disk, &clock, 1).expect("it is new");
    let stream = create(&store, "cam");
    append(&store, stream, 70_000).expect("there is room");
    let keys = disk.contents();
    let keys = keys.iter().filter(|(name, _)| name.starts_with("keys/"));
    let keys: Vec<&[u8]> = keys.map(|(_, wrapped)| &wrapped[32..]).collect();
    assert_eq!(keys.len(), 1);
    store.delete_stream(stream).expect("it exists");
    let names = disk.contents().into_iter().map(|(name, _)| name);
    assert_eq!(names.filter(|name| name.starts_with("keys/")).count(), 0);
    for platter in disk.platters() {
        let holds = platter
            .windows(keys[0].len())
            .any(|window| window == keys[0]);
        assert!(!holds, "the wrapped key is there");
    }
}

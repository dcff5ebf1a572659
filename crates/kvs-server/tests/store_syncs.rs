//! Every sync of the store's procedures is needed: with any one of them taken out, some power cut
//! breaks a promise.
//!
//! Each procedure of `docs/store.md` runs on the simulated disk with one of its syncs doing
//! nothing, each in turn, and the power goes somewhere in it or just after it. A durable commit of
//! the index is some syncs of redb's own making, so all of them are taken out together.

use std::sync::Arc;

use kvs_server::clock::SimulatedClock;
use kvs_server::store::disk::Disk;
use kvs_server::store::disk::simulated::{Fault, SimulatedDisk, Skip};
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Store, StoreConfig, StoreError, Stream, StreamId};

mod store;

use store::{NOW_MS, Persisted, append, clock, new_stream};

/// How often the power goes at each call.
const CUTS_A_CALL: u64 = 10;

const INDEX: &str = "index.redb";

/// Syncs without which nothing breaks.
const SPARE: &[&str] = &[
    // The folder is synced once more before FORMAT says that anything has begun.
    "1 first start: / 1",
    // The next start makes the streams' files what the index says. Only together with the loss of
    // the index would the file be missed.
    "1 first start: streams/ 1",
    "2 create a stream: streams/ 1",
    "9, 10 delete a stream, give its room back: streams/ 1",
    // A name that comes back is that of a key that was overwritten; the next start takes it away.
    "9, 10 delete a stream, give its room back: keys/ 1",
];

/// A store, its disk, and what it has promised.
struct Run {
    disk: SimulatedDisk,
    clock: Arc<SimulatedClock>,
    random: SeededRandom,
    store: Option<Store>,
    streams: Vec<StreamId>,
    persisted: Vec<Persisted>,
    unconfirmed: Option<Persisted>,
    /// Wrapped keys of streams whose deletion was confirmed.
    destroyed: Vec<Vec<u8>>,
    /// The highest number that was given out.
    seen: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            disk: SimulatedDisk::new(seed),
            clock: clock(),
            random: SeededRandom::new(seed),
            store: None,
            streams: Vec::new(),
            persisted: Vec::new(),
            unconfirmed: None,
            destroyed: Vec::new(),
            seen: 0,
        }
    }

    fn open(&mut self) -> Result<(), StoreError> {
        let config = StoreConfig {
            bytes_max: None,
            segment_bytes: 64 << 10,
            reserve_bytes: 0,
            ..StoreConfig::in_memory()
        };
        let random = Arc::new(SeededRandom::new(self.random.next_u64()));
        let disk = Arc::new(self.disk.clone());
        self.store = Some(Store::open_on(&config, disk, self.clock.clone(), random)?);
        Ok(())
    }

    /// The store; a procedure whose start failed has none, and goes no further.
    fn store(&self) -> Result<&Store, StoreError> {
        self.store.as_ref().ok_or(StoreError::Closed)
    }

    fn create(&mut self) -> Result<(), StoreError> {
        let name = format!("cam-{}", self.streams.len());
        let stream = self.store()?.create_stream(new_stream(&name))?.id;
        self.streams.push(stream);
        Ok(())
    }

    fn append(&mut self, len: usize) -> Result<(), StoreError> {
        let stream = self.streams[0];
        let persisted = append(self.store()?, stream, len)?;
        self.seen = persisted.number.sequence;
        self.persisted.push(persisted);
        Ok(())
    }

    /// Deletes the first stream and waits until its room is back.
    fn delete(&mut self) -> Result<(), StoreError> {
        // Begun is not done: it may be there after a power cut, or not.
        let stream = self.streams.remove(0);
        self.persisted.clear();
        let path = format!("keys/{:08x}", stream.0);
        let mut files = self.disk.contents().into_iter();
        let wrapped = files
            .find(|(name, _)| *name == path)
            .expect("it has a key")
            .1;
        self.store()?.delete_stream(stream)?;
        // Behind the 32 bytes that say whose key it is.
        self.destroyed.push(wrapped[32..].to_vec());
        self.wait_until_empty()
    }

    /// Gives the writer turns until the segments hold nothing, or the disk is dead.
    fn wait_until_empty(&self) -> Result<(), StoreError> {
        const TURNS_MAX: u32 = 100_000;
        let mut other = Stream::clone(
            &self
                .store()?
                .stream_by_id(self.streams[0])
                .expect("it is kept"),
        );
        other.revision += 1;
        for _ in 0..TURNS_MAX {
            // A change that is refused is a turn without a sync.
            let refused = self.store()?.update_stream(other.clone());
            assert!(refused.is_err());
            let full = |(name, bytes): &(String, Vec<u8>)| {
                name.starts_with("segments/") && bytes.iter().any(|byte| *byte != 0)
            };
            if !self.disk.contents().iter().any(full) {
                return Ok(());
            }
            self.disk.list("segments").map_err(|_| StoreError::Closed)?;
            std::thread::yield_now();
        }
        panic!("the room does not come back");
    }

    /// Cuts the power, starts again, and says which promise is broken.
    fn broken(&mut self) -> Option<String> {
        let disk = self.disk.power_cut();
        self.store = None;
        self.disk = disk;
        for platter in self.disk.platters() {
            let holds = |key: &&Vec<u8>| platter.windows(key.len()).any(|bytes| bytes == **key);
            if self.destroyed.iter().any(|key| holds(&key)) {
                return Some("a destroyed key can be read".into());
            }
        }
        if let Err(error) = self.open() {
            return Some(format!("it does not open: {error}"));
        }
        let store = self.store().ok()?;
        match store.check(true) {
            Ok(violations) if violations.is_empty() => {}
            other => return Some(format!("{other:?}")),
        }
        let gone = |stream: &&StreamId| store.stream_by_id(**stream).is_none();
        if let Some(stream) = self.streams.iter().find(gone) {
            return Some(format!("{stream:?} is lost"));
        }
        let differs = |one: &&Persisted| {
            store::read_all(store, one.stream, one.number).map_or(true, |read| read != one.bytes)
        };
        if let Some(lost) = self.persisted.iter().find(differs) {
            return Some(format!("{:?} is lost", lost.number));
        }
        let next = self.streams.first().map(|stream| {
            let next = store.begin_fragment(*stream, NOW_MS);
            next.map(|number| number.sequence)
        });
        match next {
            Some(Ok(next)) if next <= self.seen => Some(format!("{next} was given out before")),
            Some(Err(error)) => Some(format!("no number: {error}")),
            _ => None,
        }
    }
}

/// What is done before, undisturbed, and what loses a sync.
struct Procedure {
    name: &'static str,
    before: fn(&mut Run) -> Result<(), StoreError>,
    run: fn(&mut Run) -> Result<(), StoreError>,
}

const PROCEDURES: &[Procedure] = &[
    Procedure {
        name: "1 first start",
        before: |_| Ok(()),
        run: |run| {
            run.open()?;
            run.create()
        },
    },
    Procedure {
        name: "2 create a stream",
        before: Run::open,
        run: Run::create,
    },
    Procedure {
        name: "3 number fragments",
        before: |run| {
            run.open()?;
            run.create()
        },
        run: |run| {
            for _ in 0..1001 {
                let number = run.store()?.begin_fragment(run.streams[0], NOW_MS)?;
                run.seen = number.sequence;
            }
            Ok(())
        },
    },
    Procedure {
        name: "4 append",
        before: |run| {
            run.open()?;
            run.create()?;
            run.append(5000)
        },
        run: |run| run.append(20_000),
    },
    Procedure {
        name: "6 new segment",
        before: |run| {
            run.open()?;
            run.create()?;
            run.append(40_000)
        },
        run: |run| run.append(40_000),
    },
    Procedure {
        name: "7 a sync fails",
        before: |run| {
            run.open()?;
            run.create()?;
            run.append(5000)
        },
        run: |run| {
            run.disk.fault_after(1, Fault::SyncError);
            run.append(5000)
        },
    },
    Procedure {
        name: "9, 10 delete a stream, give its room back",
        before: |run| {
            run.open()?;
            run.create()?;
            run.create()?;
            for _ in 0..4 {
                run.append(30_000)?;
            }
            Ok(())
        },
        run: Run::delete,
    },
    Procedure {
        name: "12 recovery",
        before: |run| {
            run.open()?;
            run.create()?;
            run.append(5000)?;
            // The process ends between the record and its sync.
            run.disk.skip_syncs(Skip::Number(run.disk.syncs().len()));
            run.append(5000)?;
            let disk = run.disk.kill();
            run.store = None;
            run.disk = disk;
            run.unconfirmed = run.persisted.pop();
            Ok(())
        },
        run: |run| {
            run.open()?;
            // From now on readers see it.
            let recovered = run.unconfirmed.take();
            run.persisted.extend(recovered);
            Ok(())
        },
    },
];

fn prepared(procedure: &Procedure, seed: u64) -> Run {
    let mut run = Run::new(seed);
    (procedure.before)(&mut run).expect("nothing is wrong yet");
    run
}

/// What a procedure does when nothing goes wrong.
struct Course {
    calls: u64,
    /// What there is to be taken out, with its name.
    skips: Vec<(String, Skip)>,
}

fn course(procedure: &Procedure) -> Course {
    let mut run = prepared(procedure, 1);
    let (calls, before) = (run.disk.calls(), run.disk.syncs().len());
    (procedure.run)(&mut run).expect("nothing goes wrong");
    let calls = run.disk.calls() - calls;
    let syncs = run.disk.syncs().split_off(before);
    let mut skips = Vec::new();
    for (at, path) in syncs.iter().enumerate() {
        let nth = syncs[..=at].iter().filter(|other| *other == path).count();
        let name = format!("{}: {path} {nth}", procedure.name);
        match path.as_str() {
            INDEX if nth > 1 => {}
            INDEX => skips.push((name, Skip::AllOf(path.clone()))),
            _ => skips.push((name, Skip::Number(before + at))),
        }
    }
    Course { calls, skips }
}

/// What harm a power cut at one of the procedure's calls, or after the last one, does.
fn harm(procedure: &Procedure, calls: u64, skip: Option<&Skip>, seed: u64) -> Option<String> {
    let mut run = prepared(procedure, seed);
    if let Some(skip) = skip {
        run.disk.skip_syncs(skip.clone());
    }
    if seed.is_multiple_of(2) {
        // Each call has its turn.
        run.disk.fault_after(1 + seed / 2 % calls, Fault::PowerCut);
    }
    // It fails where the power goes.
    let _ = (procedure.run)(&mut run);
    run.broken()
}

#[test]
fn each_sync_of_each_procedure_is_needed() {
    // That a sync is spare takes all the tries to show.
    let long = std::env::var_os("KVS_LONG_TESTS").is_some();
    let mut spare = Vec::new();
    for procedure in PROCEDURES {
        let Course { calls, skips } = course(procedure);
        let tries = 2 * CUTS_A_CALL * calls;
        for seed in 0..tries / CUTS_A_CALL {
            let harm = harm(procedure, calls, None, seed);
            assert_eq!(harm, None, "{} with all syncs, seed {seed}", procedure.name);
        }
        for (name, skip) in skips {
            if !long && SPARE.contains(&name.as_str()) {
                spare.push(name);
                continue;
            }
            let harm = (0..tries).find_map(|seed| harm(procedure, calls, Some(&skip), seed));
            println!("without {name}: {harm:?}");
            if harm.is_none() {
                spare.push(name);
            }
        }
    }
    assert_eq!(spare, SPARE);
}

//! Many seeds on all cores: how far it is, which ones fail, and how to run one of them again.

use std::io::Write;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// How often a run tells how far it is. A short one ends before.
const PROGRESS_SEEDS: u64 = 5_000;
/// A run goes on after a failure, so that a rare fault can be told from a common one. After so
/// many the rest would say nothing new.
const FAILURES_MAX: usize = 10;

/// The seeds of a run: the one of `KVS_SEED=n`, or all `long` ones with `KVS_LONG_TESTS=1`, or the
/// `short` sample.
pub(super) fn seeds(short: u64, long: u64) -> Range<u64> {
    if let Ok(seed) = std::env::var("KVS_SEED") {
        let seed = seed.parse().expect("KVS_SEED is a number");
        return seed..seed + 1;
    }
    match std::env::var_os("KVS_LONG_TESTS") {
        Some(_) => 0..long,
        None => 0..short,
    }
}

/// Tries each seed; fails with the list of those that panicked.
pub(super) fn each(seeds: Range<u64>, attempt: impl Fn(u64) + Sync) {
    let failed = failing(seeds, attempt, |line| {
        // Past the test harness, which shows nothing before the end.
        let _gone = writeln!(std::io::stderr(), "{line}");
    });
    assert!(failed.is_empty(), "these seeds fail: {failed:?}");
}

fn failing(seeds: Range<u64>, attempt: impl Fn(u64) + Sync, say: impl Fn(&str) + Sync) -> Vec<u64> {
    let next = AtomicU64::new(seeds.start);
    let done = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    let count = |failed: &Mutex<Vec<u64>>| failed.lock().expect("nobody panics with it").len();
    let work = || {
        while count(&failed) < FAILURES_MAX {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if panic::catch_unwind(AssertUnwindSafe(|| attempt(seed))).is_err() {
                say(&format!(
                    "seed {seed} fails; again: KVS_SEED={seed} cargo test -p kvs-client --lib \
                     producer::session::tests::faults"
                ));
                failed.lock().expect("nobody panics with it").push(seed);
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(PROGRESS_SEEDS) {
                let all = seeds.end - seeds.start;
                say(&format!("{done} of {all} seeds, {} failed", count(&failed)));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    failed.into_inner().expect("nobody panics with it")
}

#[test]
fn a_seed_that_fails_is_named_and_the_others_run() {
    let ran = AtomicU64::new(0);
    let said = Mutex::new(String::new());
    let attempt = |seed| {
        ran.fetch_add(1, Ordering::Relaxed);
        assert_ne!(seed, 7, "a seed that fails");
    };
    let say = |line: &str| said.lock().expect("nobody panics with it").push_str(line);
    assert_eq!(failing(0..20, attempt, say), [7]);
    assert_eq!(ran.into_inner(), 20);
    let said = said.into_inner().expect("nobody panics with it");
    assert!(said.contains("KVS_SEED=7 cargo test"), "{said}");
}

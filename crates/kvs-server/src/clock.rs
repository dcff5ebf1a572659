//! Wall time: the one place of the server that reads a clock, and the one tests set.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rtime_clock::adjtime::{Timex, adjtimex};

/// Where the server's times come from.
///
/// Timeouts are not here: those run on tokio's timer, which tests pause.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Milliseconds since 1970. May step either way, as wall clocks do.
    fn now_ms(&self) -> u64;

    /// Milliseconds since some fixed moment. Never goes back.
    fn monotonic_ms(&self) -> u64;

    /// Whether the wall clock agrees with a time server, as far as the machine knows.
    fn synchronized(&self) -> bool;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The machine's clocks, the monotonic one from now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        // A clock before 1970 is a clock that was never set.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
    }

    fn monotonic_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn synchronized(&self) -> bool {
        // What the kernel answers of a clock that nobody disciplines (adjtimex(2): TIME_ERROR).
        const UNSYNCHRONIZED: i32 = 5;
        // A machine that does not answer says nothing for its clock.
        adjtimex(&mut Timex::new()).is_ok_and(|state| state != UNSYNCHRONIZED)
    }
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug)]
pub struct SimulatedClock {
    now_ms: AtomicU64,
    monotonic_ms: AtomicU64,
    synchronized: AtomicBool,
}

impl SimulatedClock {
    /// A synchronised clock that shows `now_ms` since 1970.
    pub fn new(now_ms: u64) -> Self {
        Self {
            now_ms: AtomicU64::new(now_ms),
            monotonic_ms: AtomicU64::new(0),
            synchronized: AtomicBool::new(true),
        }
    }

    /// Time passes.
    pub fn advance_ms(&self, by_ms: u64) {
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    /// The wall clock is stepped; the monotonic one does not notice.
    pub fn step_to_ms(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// The machine finds its time server, or loses it.
    pub fn set_synchronized(&self, synchronized: bool) {
        self.synchronized.store(synchronized, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }

    fn synchronized(&self) -> bool {
        self.synchronized.load(Ordering::SeqCst)
    }
}

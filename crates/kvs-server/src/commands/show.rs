//! How far a tool has come, on stderr.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use kvs_server::store::Progress;

/// Often enough to see that it goes on, seldom enough for a log.
const EVERY: Duration = Duration::from_secs(1);

/// Shows a line now and then, and one at the end.
#[derive(Debug)]
pub(super) struct Shown {
    what: &'static str,
    last: Instant,
}

impl Shown {
    /// `what` is being done to the bytes: `read`, `copied`.
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            last: Instant::now(),
        }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        if self.last.elapsed() < EVERY && progress.done_bytes < progress.total_bytes {
            return;
        }
        self.last = Instant::now();
        let mib = |bytes: u64| bytes >> 20;
        let (done, total) = (mib(progress.done_bytes), mib(progress.total_bytes));
        // Nobody looks if stderr is closed.
        let _ = writeln!(io::stderr(), "{} {done} of {total} MiB", self.what);
    }
}

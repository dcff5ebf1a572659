//! The tokio runtime that all elements of this process share.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads for all elements together. The work is network I/O and muxing without copies, of which
/// one thread does several Gb/s. A second one costs each frame the futex calls with which the two
/// agree who sleeps: half of what a live stream costs in all (`cargo bench --bench live`).
const WORKER_THREADS: usize = 1;
/// Threads for what blocks: names that are looked up, files that are read.
const BLOCKING_THREADS_MAX: usize = 2;

/// A handle of the runtime, which is made at the first call.
///
/// Its threads only ever await: nothing that waits on a lock for long, and no code of the
/// application (messages, signals), may run on them, since that would stall all elements.
///
/// Fails only if the system gives no more threads or descriptors.
pub(crate) fn handle() -> io::Result<Handle> {
    static RUNTIME: OnceCell<Runtime> = OnceCell::new();
    RUNTIME
        .get_or_try_init(|| {
            let threads = AtomicUsize::new(0);
            Builder::new_multi_thread()
                .worker_threads(WORKER_THREADS)
                .max_blocking_threads(BLOCKING_THREADS_MAX)
                .thread_name_fn(move || {
                    format!("gst-kvs-{}", threads.fetch_add(1, Ordering::Relaxed))
                })
                .enable_all()
                .build()
        })
        .map(|runtime| runtime.handle().clone())
}

//! The thread on which elements post messages.
//!
//! A message may run the application's code (a sync handler, a signal callback), which may take
//! as long as it likes. On the runtime's threads it would stall the uploads of all elements, on a
//! streaming thread the pipeline.

use std::io;
use std::sync::mpsc;
use std::thread;

use once_cell::sync::OnceCell;

type Job = Box<dyn FnOnce() + Send>;

/// Hands jobs to the thread, in order. There is one thread per process.
///
/// The queue has no bound of its own: whoever hands jobs over counts those of its own that wait.
#[derive(Clone, Debug)]
pub(crate) struct ReportThread(mpsc::Sender<Job>);

impl ReportThread {
    /// The thread, which is made at the first call. Fails only if the system gives no more.
    pub(crate) fn get() -> io::Result<Self> {
        static THREAD: OnceCell<ReportThread> = OnceCell::new();
        THREAD
            .get_or_try_init(|| {
                let (jobs, queue) = mpsc::channel::<Job>();
                thread::Builder::new()
                    .name("gst-kvs-report".to_owned())
                    .spawn(move || queue.into_iter().for_each(|job| job()))?;
                Ok(Self(jobs))
            })
            .cloned()
    }

    /// Runs a job after those that wait already.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        // Fails only if a job has panicked, which GStreamer's own code does not.
        let _thread_is_gone = self.0.send(Box::new(job));
    }
}

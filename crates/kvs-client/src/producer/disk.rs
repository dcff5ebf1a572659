//! The work on the spool, job after job, on a thread where it may block.

use std::collections::VecDeque;
use std::io;

use tokio::task::JoinHandle;

use super::session::{Input, Output, SpoolFault};
use crate::spool::{Beginning, Spool};

/// The jobs of one upload.
pub(super) struct Disk {
    spool: Spool,
    /// The number by which the spool knows this upload.
    first: u64,
    /// Bounded by the session: it writes one file and reads two at a time; a removal is a number.
    jobs: VecDeque<Output>,
    running: Option<JoinHandle<Option<Input>>>,
}

impl Disk {
    pub(super) fn new(spool: Spool, beginning: &Beginning) -> Self {
        Self {
            spool,
            first: beginning.first,
            jobs: VecDeque::new(),
            running: None,
        }
    }

    /// Adds a job: [`Output::Save`], `Fetch`, `Release` or `Remove`.
    pub(super) fn add(&mut self, job: Output) {
        self.jobs.push_back(job);
    }

    /// What the next job that has something to say says. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Input {
        loop {
            match self.run().await {
                Some(Some(input)) => return input,
                Some(None) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Runs one job; `None` if there is none.
    async fn run(&mut self) -> Option<Option<Input>> {
        if self.running.is_none() {
            let (spool, job) = (self.spool.clone(), self.jobs.pop_front()?);
            let work = move || work(&spool, job);
            self.running = Some(tokio::task::spawn_blocking(work));
        }
        let done = self.running.as_mut()?.await;
        self.running = None;
        // It fails only where the runtime ends, and then nobody asks.
        Some(done.ok().flatten())
    }

    /// Does what is left, and gives the spool back.
    pub(super) async fn finish(mut self) {
        while self.run().await.is_some() {}
        self.spool.end(self.first);
    }
}

/// One job.
fn work(spool: &Spool, job: Output) -> Option<Input> {
    match job {
        Output::Save(file, media) => {
            let saved = spool.write(file, &media).map_err(|error| fault(&error));
            Some(Input::Saved(file, saved))
        }
        Output::Fetch(file) => {
            let media = spool.read(file);
            let media = media.map_err(|error| format!("fragment {file}: {error}"));
            Some(Input::Fetched(file, media))
        }
        Output::Release(file) => {
            if let Err(error) = spool.release(file) {
                tracing::warn!(%error, "a file of the spool keeps its name: it may not go up");
            }
            None
        }
        Output::Remove(file) => {
            if let Err(error) = spool.remove(file) {
                // It will be sent again at the next start, and the service knows it by its time.
                tracing::warn!(%error, "a file of the spool that is not needed cannot be removed");
            }
            None
        }
        _ => None,
    }
}

fn fault(error: &io::Error) -> SpoolFault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SpoolFault::Full,
        io::ErrorKind::InvalidData => SpoolFault::Unfit(error.to_string()),
        _ => SpoolFault::Disk(error.to_string()),
    }
}

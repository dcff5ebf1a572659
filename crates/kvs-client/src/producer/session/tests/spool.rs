//! A disk that is slow, fails, and outlives the producer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kvs_media::Frame;

use super::super::{Input, Output, SpoolFault, SpoolLimits};
use super::pair::number;
use super::source;
use crate::jitter::Jitter;
use crate::spool::{Found, Media};

/// What goes wrong, each out of 1000 jobs.
#[derive(Clone, Debug, Default)]
pub(super) struct DiskFaults {
    pub(super) slow_ms: u64,
    pub(super) save_fails: u64,
    pub(super) fetch_fails: u64,
    /// When the producer is killed.
    pub(super) crashes: Vec<Duration>,
}

/// The folder.
pub(super) struct Spool {
    pub(super) limits: SpoolLimits,
    pub(super) faults: DiskFaults,
    pub(super) files: BTreeMap<u64, Media>,
    /// What is written now. It may be there after a crash.
    unsynced: Option<(u64, Media)>,
    first: u64,
    /// When the job before is done.
    free_at: Option<Instant>,
}

impl Spool {
    pub(super) fn new(limits: SpoolLimits, faults: DiskFaults) -> Self {
        Self {
            limits,
            faults,
            files: BTreeMap::new(),
            unsynced: None,
            first: 0,
            free_at: None,
        }
    }

    /// A session begins.
    pub(super) fn begin(&mut self) -> (u64, Vec<Found>) {
        self.first += 1 << 32;
        let found = |(number, media): (&u64, &Media)| Found {
            number: *number,
            bytes: size(media),
            frames: media.news,
            start: media.start,
            end: media.end,
            held: media.held,
        };
        (self.first, self.files.iter().map(found).collect())
    }

    /// Does a job; gives how long that takes, and what comes of it.
    pub(super) fn work(
        &mut self,
        job: Output,
        now: Instant,
        jitter: &mut Jitter,
    ) -> Option<(Duration, Input)> {
        let took = Duration::from_millis(1 + jitter.number() % (1 + self.faults.slow_ms));
        let done = self.free_at.map_or(now, |at| at.max(now)) + took;
        let delay = done - now;
        let mut fails = |of: u64| jitter.number() % 1000 < of;
        match job {
            Output::Save(file, media) => {
                assert!(self.unsynced.is_none(), "one file at a time");
                self.free_at = Some(done);
                let result = match fails(self.faults.save_fails) {
                    true if fails(300) => Err(SpoolFault::Unfit("odd".to_owned())),
                    true if fails(500) => Err(SpoolFault::Disk("broken".to_owned())),
                    true => Err(SpoolFault::Full),
                    false => Ok(size(&media)),
                };
                if result.is_ok() {
                    self.unsynced = Some((file, *media));
                }
                Some((delay, Input::Saved(file, result)))
            }
            Output::Fetch(file) => {
                self.free_at = Some(done);
                let media = self.files.get(&file).cloned();
                let media = media.filter(|_| !fails(self.faults.fetch_fails));
                let media = media.ok_or_else(|| "damaged".to_owned());
                Some((delay, Input::Fetched(file, media)))
            }
            Output::Release(file) => {
                let media = self.files.get_mut(&file).expect("it is there");
                media.held = false;
                None
            }
            Output::Remove(file) => {
                assert!(self.files.remove(&file).is_some(), "{file} is there");
                None
            }
            other => panic!("{other:?} is no job for a disk"),
        }
    }

    /// The input is given to the session: what was written is synced.
    pub(super) fn told(&mut self, input: &Input) {
        if let Input::Saved(_, Ok(_)) = input {
            self.files.extend(self.unsynced.take());
        }
    }

    /// The producer is gone.
    pub(super) fn crash(&mut self, jitter: &mut Jitter) {
        let landed = self.unsynced.take();
        self.files
            .extend(landed.filter(|_| jitter.number().is_multiple_of(2)));
        self.free_at = None;
    }

    /// Whether the producer is killed at that time.
    pub(super) fn crashes_at(&mut self, elapsed: Duration) -> bool {
        let due = self.faults.crashes.iter().position(|&at| at <= elapsed);
        due.map(|at| self.faults.crashes.remove(at)).is_some()
    }

    /// The numbers of all frames.
    pub(super) fn frames(&self) -> BTreeSet<u64> {
        let frames = self.files.values().flat_map(|media| &media.frames);
        // A repeat is not the value itself.
        let is_news = |frame: &&Frame| frame.key || frame.track != source::track(3);
        frames.filter(is_news).map(number).collect()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(size).sum()
    }
}

fn size(media: &Media) -> u64 {
    let bytes = media.frames.iter().map(|frame| frame.data.len() as u64);
    bytes.sum()
}

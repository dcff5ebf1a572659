//! The producer as its owner holds it: callable from any thread, never waiting but for space.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kvs_media::mkv::Tag;
use kvs_media::{Frame, ProducerTime, TrackNumber};
use kvs_protocol::tag::{self, TagError};
use tokio::runtime::Handle;

use super::config::ProducerConfig;
use super::disk::Disk;
use super::driver;
use super::event::ProducerEvent;
use super::sample::{PushOutcome, Sample, TRACKS_MAX, TooManyTracks, TrackFormat};
use super::session::{Input, Session, SpoolLimits};
use super::shared::{Shared, now};
use super::stats::Stats;
use crate::spool::Spool;
use crate::{Service, clock, random};

/// An upload to one stream.
///
/// No method is async, and none waits, but [`push`](Self::push) where the source can. Dropping the
/// producer is [`stop`](Self::stop).
pub struct Producer {
    shared: Arc<Shared>,
    spools: bool,
}

/// Where an upload keeps on disk what is not confirmed.
#[derive(Clone, Debug)]
pub struct Spooling {
    /// The folder.
    pub spool: Spool,
    /// How much it may hold.
    pub limits: SpoolLimits,
}

/// How long a stop waits until what is in memory is on disk.
const SAVE_MAX: Duration = Duration::from_secs(1);

impl Producer {
    /// Starts an upload and returns at once; the connection is made in the background, on
    /// `runtime`.
    ///
    /// Events come one after the other, on the runtime: hand them over and return. What is found
    /// in the spool is sent first.
    pub fn start(
        service: Service,
        config: ProducerConfig,
        spooling: Option<Spooling>,
        runtime: &Handle,
        on_event: impl FnMut(ProducerEvent) + Send + 'static,
    ) -> Self {
        let create = config.create.clone().unwrap_or_default();
        let tags = config.tags.clone();
        let mut session = Session::new(config, random::number());
        let spools = spooling.is_some();
        let disk = spooling.map(|Spooling { spool, limits }| {
            let beginning = spool.begin();
            let (first, found) = (beginning.first, &beginning.found);
            session.use_spool(
                limits,
                first,
                found,
                ProducerTime::from_ms(clock::wall_ms().as_ms()),
                now(),
            );
            Disk::new(spool, &beginning)
        });
        let shared = Shared::new(session);
        let driven = Arc::clone(&shared);
        runtime.spawn(driver::run(service, create, tags, driven, disk, on_event));
        Self { shared, spools }
    }

    /// Declares a track; its number is the lowest that is free.
    ///
    /// # Errors
    /// The service takes no more tracks than there are.
    pub fn add_track(&self, format: TrackFormat) -> Result<TrackNumber, TooManyTracks> {
        let mut core = self.shared.lock();
        let number = (1..=TRACKS_MAX as u64)
            .filter_map(TrackNumber::new)
            .find(|&number| !core.session.has_track(number))
            .ok_or(TooManyTracks)?;
        core.flushing.remove(&number);
        core.session.add_track(format.numbered(number));
        Ok(number)
    }

    /// Says how many tracks there will be, so that the first fragment has all of them.
    ///
    /// It waits for those that are not declared yet, as it waits for a track that is silent.
    pub fn expect_tracks(&self, count: usize) {
        self.change(|session, now| session.expect_tracks(count, now));
    }

    /// Frames of the track that are pushed from now on have that format; they open a session.
    pub fn set_format(&self, track: TrackNumber, format: TrackFormat) {
        let mut core = self.shared.lock();
        core.session.set_format(format.numbered(track));
    }

    /// The track is no more. Its frames are still sent.
    pub fn remove_track(&self, track: TrackNumber) {
        self.change(|session, now| session.remove_track(track, now));
    }

    /// Hands a frame over. A source that can wait (offline) does so here while the buffer is full.
    pub fn push(&self, track: TrackNumber, sample: Sample) -> PushOutcome {
        let mut core = self.shared.lock();
        loop {
            if core.session.has_failed() {
                return PushOutcome::Failed;
            }
            if core.stopped || core.session.is_over() || core.flushing.contains(&track) {
                return PushOutcome::Flushing;
            }
            if !core.session.is_full() {
                break;
            }
            core = self
                .shared
                .space
                .wait(core)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let now = now();
        core.session.push(sample.on(track), now);
        self.shared.release(core, now);
        PushOutcome::Accepted
    }

    /// The track has nothing before `until`: nobody needs to wait for it.
    pub fn gap(&self, track: TrackNumber, until: ProducerTime) {
        self.change(|session, now| session.gap(track, until, now));
    }

    /// Describes the fragment that is open, or else the next one; with `persist` all that follow as
    /// well, which an empty value ends.
    ///
    /// # Errors
    /// The service takes no such name or value.
    pub fn add_metadata(&self, name: &str, value: &str, persist: bool) -> Result<(), TagError> {
        if name == tag::END_OF_FRAGMENT {
            return Err(TagError::Reserved(name.to_owned()));
        }
        tag::check(name, value)?;
        let tag = Tag::new(name, value);
        self.change(|session, _| session.add_metadata(tag, persist));
        Ok(())
    }

    /// Sends what is `before` older than the latest frame at most, and `after` newer, from the key
    /// frame before. It means something only with [`ProducerConfig::on_trigger`].
    pub fn trigger(&self, before: Duration, after: Duration) {
        self.change(|session, now| session.trigger(before, after, now));
    }

    /// The next frame's time has nothing to do with those before: it opens a session. A track that
    /// had ended goes on.
    pub fn discontinuity(&self, track: TrackNumber) {
        self.shared.lock().session.discontinuity(track);
    }

    /// While a track is flushing, [`push`](Self::push) takes nothing; one that waits returns.
    pub fn set_flushing(&self, track: TrackNumber, flushing: bool) {
        let mut core = self.shared.lock();
        if flushing {
            core.flushing.insert(track);
        } else {
            core.flushing.remove(&track);
        }
        drop(core);
        self.shared.space.notify_all();
    }

    /// The track has no more frames. When none has, the upload ends as with
    /// [`finish`](Self::finish).
    pub fn end_track(&self, track: TrackNumber) {
        self.change(|session, now| session.end_track(track, now));
    }

    /// No more frames come: what is there is sent, and the event
    /// [`Drained`](ProducerEvent::Drained) tells when the last ack is there.
    pub fn finish(&self) {
        self.shared.handle(Input::Finish);
    }

    /// Ends the upload at once. What is not confirmed is told as dropped, unless it is on disk.
    ///
    /// With a spool it waits, 1 s at most, until what is in memory is on disk as well. May be
    /// called twice.
    pub fn stop(&self) {
        self.cancel();
        if self.spools {
            self.shared.wait_until_gone(SAVE_MAX);
        }
    }

    fn cancel(&self) {
        self.shared.lock().stopped = true;
        self.shared.handle(Input::Stop);
        self.shared.space.notify_all();
    }

    /// Figures, of this moment.
    pub fn stats(&self) -> Stats {
        self.shared.lock().session.stats()
    }

    fn change(&self, change: impl FnOnce(&mut Session, std::time::Instant)) {
        let now = now();
        let mut core = self.shared.lock();
        change(&mut core.session, now);
        self.shared.release(core, now);
    }
}

impl Sample {
    fn on(self, track: TrackNumber) -> Frame {
        Frame {
            track,
            time: self.time,
            decode_time: self.decode_time,
            duration_ns: self.duration_ns,
            key: self.key,
            data: self.data,
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // Maybe on a thread that must not wait.
        self.cancel();
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

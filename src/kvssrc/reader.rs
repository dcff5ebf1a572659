//! The reader: awaits what the client gives, and hands it on to the queues.

use std::convert::Infallible;
use std::sync::Arc;

use kvs_client::{ArchiveReader, Item, LiveReader, Service, ServiceError, Timestamp};

use super::KvsSrc;
use super::progress::State;
use super::queue::Stale;
use super::report;
use super::route::{self, Route};
use super::session::{Run, Segment, Session};
use super::settings::{Config, SourceConfig};
use super::timeline::Timeline;
use super::tracks;

/// How often the first connection may fail before the user is told: a wrong endpoint would
/// otherwise be tried for ever without a word. It takes some seconds with back-off. A connection
/// that was there once is tried again for ever.
const FIRST_FAILURES_MAX: u32 = 5;

/// Reads one stream. It outlives seeks, so that what was listed of the archive is kept.
pub(super) struct Reader {
    source: Source,
    route: Route,
    /// Failures so far; `None` once the service has answered.
    first_failures: Option<u32>,
}

enum Source {
    Live(LiveReader),
    Archive(ArchiveReader),
}

/// Why reading ends.
enum End {
    /// There is a later epoch.
    Stale,
    /// The range is over.
    Over,
    /// The archive has nothing in the range.
    Empty,
    Failed(ServiceError),
}

impl From<Stale> for End {
    fn from(_: Stale) -> Self {
        Self::Stale
    }
}

impl From<ServiceError> for End {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error)
    }
}

impl Reader {
    pub(super) fn new(config: &Config) -> Self {
        let service = Service::new(config.connection.clone());
        let mut route = Route::new(Timeline::live());
        let source = match &config.source {
            SourceConfig::Live(live) => {
                route.stop_at(config.time_base, config.stop_time);
                Source::Live(LiveReader::new(service, live.clone()))
            }
            SourceConfig::Archive(range) => Source::Archive(
                ArchiveReader::new(service, *range).with_retry_attempts(config.retry_attempts),
            ),
        };
        Self {
            source,
            route,
            first_failures: Some(0),
        }
    }

    /// Reads until the epoch or the range ends, and tells how it ended.
    pub(super) async fn run(&mut self, run: &Run, target: Option<Timestamp>) {
        let ended = match self.read(run, target).await {
            Ok(never) => match never {},
            Err(End::Stale) => Ok(()),
            Err(End::Over) => self.over(run).await,
            Err(End::Empty) => {
                fail(run, |session, element| {
                    report::nothing_in_range(element, &session.config);
                })
                .await
            }
            Err(End::Failed(error)) => {
                fail(run, move |session, element| {
                    report::failed(element, &session.config, &error);
                })
                .await
            }
        };
        // Stale: whoever began the next epoch tells about it.
        let _told = ended;
    }

    async fn read(&mut self, run: &Run, target: Option<Timestamp>) -> Result<Infallible, End> {
        run.set_state(State::Connecting, None).await?;
        if let Source::Archive(archive) = &mut self.source {
            if run.session.extent.get().is_none() {
                self.route = Route::new(survey(run, archive).await?);
            }
            if let Some(target) = target {
                archive.seek(target);
                run.set_state(State::Streaming, None).await?;
            }
            self.route.restart(run.session.segment().segment.stop());
        }
        loop {
            let item = match &mut self.source {
                Source::Live(live) => live.next().await?,
                Source::Archive(archive) => archive.next().await?,
            };
            self.handle(run, item).await?;
        }
    }

    async fn handle(&mut self, run: &Run, item: Item) -> Result<(), End> {
        match item {
            Item::Connected => {
                self.first_failures = None;
                run.set_state(State::Streaming, None).await?;
            }
            Item::Disconnected { error, .. } => self.disconnected(run, error).await?,
            Item::Tracks(tracks) => {
                let epoch = run.epoch;
                let queues = run
                    .on_element(move |session, element| {
                        tracks::expose(session, element, epoch, &tracks)
                    })
                    .await??;
                self.route.set_tracks(&queues);
            }
            Item::Fragment(info) => {
                let is_within_range = self.route.begin_fragment(run, &info)?;
                if !is_within_range {
                    return Err(End::Over);
                }
            }
            Item::Frame { frame, fragment } => self.route.frame(run, frame, fragment).await?,
            Item::FragmentEnd(end) => self.route.end_fragment(run, Some(end))?,
            Item::Lost { fragment, why } => {
                self.route.end_fragment(run, None)?;
                let number = fragment.number.to_string();
                run.on_element(move |_, element| report::lost(element, &number, &why))
                    .await?;
            }
            Item::End => return Err(End::Over),
            _ => {}
        }
        Ok(())
    }

    async fn disconnected(&mut self, run: &Run, error: Option<ServiceError>) -> Result<(), End> {
        match (&mut self.first_failures, error) {
            (Some(failures), Some(error)) => {
                *failures += 1;
                if *failures >= FIRST_FAILURES_MAX {
                    return Err(End::Failed(error));
                }
            }
            (_, error) => {
                run.session.progress.reconnect();
                run.set_state(State::Reconnecting, error).await?;
            }
        }
        Ok(())
    }

    async fn over(&mut self, run: &Run) -> Result<(), Stale> {
        route::announce_segment(run, None)?;
        run.set_state(State::Ended, None).await?;
        run.session.finish(Some(run.epoch)).map(drop)
    }
}

/// Finds out what the range spans, which is what positions and the duration refer to.
async fn survey(run: &Run, archive: &mut ArchiveReader) -> Result<Timeline, End> {
    let extent = archive.extent().await?.ok_or(End::Empty)?;
    let start = extent.start;
    let config = &run.session.config;
    let stop = config.stop_time;
    let since_start = move |time: Timestamp| {
        gst::ClockTime::from_mseconds(time.as_ms().saturating_sub(start.as_ms()))
    };
    let mut told = Segment::default();
    told.segment.set_duration(since_start(extent.end));
    // The millisecond of stop-time belongs to the range, the stop of a segment does not.
    told.segment
        .set_stop(stop.map(|stop| since_start(stop) + gst::ClockTime::from_mseconds(1)));
    run.session.set_segment(told);
    let base = config.time_base;
    run.on_element(move |session, element| {
        let _known_before = session.extent.set(extent);
        report::duration_changed(element);
    })
    .await?;
    Ok(Timeline::archive(base, start))
}

async fn fail(
    run: &Run,
    tell: impl FnOnce(&Arc<Session>, &KvsSrc) + Send + 'static,
) -> Result<(), Stale> {
    run.set_state(State::Failed, None).await?;
    run.on_element(tell).await?;
    run.session.finish(Some(run.epoch)).map(drop)
}

//! `--seed`: a stream that has data when the server starts, out of a file.

mod cut;
mod mkv;
mod mp4;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use kvs_media::mkv::{MuxError, Muxer, MuxerSettings};
use kvs_media::{ProducerTime, Track};
use kvs_protocol::StreamName;

use cut::{Cut, Cuts};

use crate::app::App;
use crate::ids;
use crate::ingest::TRACKS_MAX;
use crate::store::{NewFragment, NewStream, Store, StoreError, Stream};

/// A day: a stream to try things with is seeded again by the next start after that.
const RETENTION_HOURS: u32 = 24;
/// Fragments on their way to the disk, so that they share its syncs.
const UNSTORED_FRAGMENTS_MAX: usize = 8;

/// A file, and the stream that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Matroska or MP4.
    pub file: PathBuf,
    /// The stream; `None` names it after the file.
    pub stream: Option<String>,
}

/// Why a file makes no stream.
#[derive(Debug, thiserror::Error)]
enum SeedError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Mux(#[from] MuxError),
    #[error("{0}")]
    Wrong(String),
}

impl SeedError {
    fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(what.into())
    }
}

/// What a first look at the whole file tells.
struct Extent {
    fragments: usize,
    earliest: ProducerTime,
    latest: ProducerTime,
}

impl Seed {
    /// Gives the stream the file's fragments, unless it has some; the last frame is of now. Blocks.
    ///
    /// # Errors
    /// What is wrong with the file, the name or the stream. Nothing has been stored then, but for
    /// an error of the disk.
    pub(crate) fn sow(&self, app: &App) -> Result<(), String> {
        self.try_sow(app).map_err(|error| error.to_string())
    }

    fn try_sow(&self, app: &App) -> Result<(), SeedError> {
        let name = self.name()?;
        let store = app.store();
        let stream = store.stream(&name);
        if let Some(stream) = &stream {
            if stream.retention_hours == 0 {
                return Err(SeedError::wrong(format!("stream {name} keeps nothing")));
            }
            if store.newest(stream.id)?.is_some() {
                tracing::info!(%name, "not seeded: the stream has data");
                return Ok(());
            }
        }
        let extent = Extent::of(&self.file)?;
        let stream = match stream {
            Some(stream) => stream,
            None => store.create_stream(NewStream::named(
                name.clone(),
                ids::version(app.random()),
                RETENTION_HOURS,
            ))?,
        };
        let cuts = Cuts::open(&self.file)?;
        let now = ProducerTime::from_ms(app.clock().now_ms());
        let sower = Sower::new(store, &stream, cuts.tracks(), &extent, now)?;
        sower.sow(cuts)?;
        tracing::info!(%name, fragments = extent.fragments, "seeded");
        Ok(())
    }

    fn name(&self) -> Result<StreamName, SeedError> {
        let stem = self.file.file_stem().and_then(|stem| stem.to_str());
        let name = self.stream.as_deref().or(stem).unwrap_or_default();
        name.parse().map_err(|_| {
            SeedError::wrong(format!(
                "{name:?} is no name of a stream; give one as --seed FILE=STREAM"
            ))
        })
    }
}

impl Extent {
    /// Reads it all, so that a bad file has no part of it stored.
    fn of(file: &Path) -> Result<Self, SeedError> {
        let mut cuts = Cuts::open(file)?;
        let mut extent: Option<Self> = None;
        while let Some(cut) = cuts.next()? {
            let so_far = extent.unwrap_or(Self {
                fragments: 0,
                earliest: cut.earliest,
                latest: cut.latest,
            });
            extent = Some(Self {
                fragments: so_far.fragments + 1,
                earliest: so_far.earliest.min(cut.earliest),
                latest: so_far.latest.max(cut.latest),
            });
        }
        extent.ok_or_else(|| SeedError::wrong("it has no key frame"))
    }
}

/// Stores fragments under times of today.
struct Sower<'a> {
    store: &'a Store,
    stream: &'a Arc<Stream>,
    muxer: Muxer,
    /// The file's first time, and what becomes of it.
    from: ProducerTime,
    to: ProducerTime,
}

impl<'a> Sower<'a> {
    fn new(
        store: &'a Store,
        stream: &'a Arc<Stream>,
        tracks: &[Track],
        extent: &Extent,
        now: ProducerTime,
    ) -> Result<Self, SeedError> {
        let settings = MuxerSettings::default();
        let muxer = Muxer::new(tracks, &settings)?;
        let lasts_ns = extent.latest.saturating_ns_since(extent.earliest);
        Ok(Self {
            store,
            stream,
            muxer,
            from: extent.earliest,
            to: ProducerTime::from_ns(now.as_ns().saturating_sub(lasts_ns)),
        })
    }

    fn sow(mut self, mut cuts: Cuts) -> Result<(), SeedError> {
        let store = self.store.clone();
        let fragments = std::iter::from_fn(|| {
            let cut = cuts.next().transpose()?;
            Some(cut.and_then(|cut| self.fragment(cut)))
        });
        let stored = stream::iter(fragments)
            .map(|fragment| {
                let store = store.clone();
                async move { Ok::<_, SeedError>(store.append(fragment?).await?) }
            })
            .buffered(UNSTORED_FRAGMENTS_MAX)
            .try_collect::<()>();
        tokio::runtime::Handle::current().block_on(stored)
    }

    fn fragment(&mut self, cut: Cut) -> Result<NewFragment, SeedError> {
        let (start, end) = (self.of_today(cut.earliest), self.of_today(cut.latest));
        let mut body = Vec::new();
        self.muxer.begin_cluster(start, &mut body);
        for mut frame in cut.frames {
            frame.time = self.of_today(frame.time);
            self.muxer.frame(&frame, &mut body)?;
        }
        Ok(NewFragment {
            stream: self.stream.id,
            // It arrived when its last frame was captured.
            number: self.store.begin_fragment(self.stream.id, end.as_ms())?,
            producer_ms: start.as_ms(),
            length_ms: end.as_ms() - start.as_ms(),
            header: self.muxer.header(),
            cluster_bytes: body.iter().map(|bytes| bytes.len() as u64).sum(),
            body,
        })
    }

    fn of_today(&self, time: ProducerTime) -> ProducerTime {
        self.to
            .saturating_add_ns(time.saturating_ns_since(self.from))
    }
}

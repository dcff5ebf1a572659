//! A fragment of media, to and from the bytes of its file.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use kvs_media::mkv::{
    DemuxError, Demuxer, END_OF_FRAGMENT, Event, Limits, MuxError, Muxer, MuxerSettings, Tag,
};
use kvs_media::{Frame, ProducerTime, Track};

use super::SpoolReadError;
use crate::producer::ProducerConfig;

/// A fragment as the spool keeps it. Of its frames' times only what Matroska carries is kept: the
/// presentation time, rounded down to a unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Media {
    /// Of its cluster. No frame is earlier.
    pub(crate) start: ProducerTime,
    /// The greatest time of its frames.
    pub(crate) end: ProducerTime,
    /// How many of its frames count in its file's name: repeats of data tracks do not.
    pub(crate) news: u64,
    /// Nanoseconds a unit of time.
    pub(crate) scale_ns: u32,
    /// All that its frames may be of.
    pub(crate) tracks: Arc<[Track]>,
    /// At least one.
    pub(crate) frames: Vec<Frame>,
    /// Its metadata.
    pub(crate) tags: Vec<Tag>,
    /// Nobody has asked for it yet. It is the file's name that says so.
    pub(crate) held: bool,
}

/// What cannot be a fragment's file.
#[derive(Debug, thiserror::Error)]
enum Damage {
    #[error(transparent)]
    Demux(#[from] DemuxError),
    #[error("{0}")]
    Other(&'static str),
}

impl From<Damage> for SpoolReadError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage.to_string())
    }
}

impl Media {
    /// A whole Matroska document, in the pieces in which the frames lie in memory.
    ///
    /// # Errors
    /// `InvalidData` for what could not be read back. It is refused now, while somebody still has
    /// the frames.
    pub(super) fn to_pieces(&self) -> io::Result<Vec<Bytes>> {
        let pieces = self.mux().map_err(invalid)?;
        Self::demux(pieces.iter().cloned()).map_err(invalid)?;
        Ok(pieces)
    }

    /// What [`to_pieces`](Self::to_pieces) made a file of. Frames are slices of it.
    pub(super) fn from_bytes(file: Bytes) -> Result<Self, SpoolReadError> {
        Ok(Self::demux([file])?)
    }

    fn mux(&self) -> Result<Vec<Bytes>, MuxError> {
        let ProducerConfig {
            title, writing_app, ..
        } = ProducerConfig::default();
        let settings = MuxerSettings {
            timecode_scale_ns: self.scale_ns,
            title,
            writing_app,
            ..MuxerSettings::default()
        };
        let mut muxer = Muxer::new(&self.tracks, &settings)?;
        let mut pieces = vec![muxer.header()];
        muxer.begin_cluster(self.start, &mut pieces);
        for frame in &self.frames {
            muxer.frame(frame, &mut pieces)?;
        }
        // The cluster is of unknown size: by this tag a whole file is told from one cut short.
        let mut tags = self.tags.clone();
        tags.push(Tag::new(END_OF_FRAGMENT, ""));
        muxer.tags(&tags, &mut pieces);
        Ok(pieces)
    }

    fn demux(pieces: impl IntoIterator<Item = Bytes>) -> Result<Self, Damage> {
        let mut demuxer = Demuxer::new(Limits::default());
        for piece in pieces {
            demuxer.push(piece);
        }
        let mut found = Parts::default();
        while let Some(event) = demuxer.finish()? {
            found.take(event)?;
        }
        found.media()
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// What a file has been found to hold so far.
#[derive(Default)]
struct Parts {
    scale_ns: u64,
    tracks: Option<Arc<[Track]>>,
    start: Option<ProducerTime>,
    frames: Vec<Frame>,
    /// The last that a whole file has.
    tags: Option<Vec<Tag>>,
}

impl Parts {
    fn take(&mut self, event: Event) -> Result<(), Damage> {
        if self.tags.is_some() {
            return Err(Damage::Other("something follows its fragment"));
        }
        match event {
            Event::Info(info) => self.scale_ns = info.timecode_scale_ns,
            Event::Tracks(tracks) if self.tracks.is_none() => self.tracks = Some(tracks),
            Event::ClusterStart { time, .. } if self.start.is_none() => self.start = Some(time),
            Event::Frame(frame) => self.frames.push(frame),
            Event::Tags { mut tags, .. } => {
                let last = tags.pop();
                if last.is_none_or(|tag| tag.name != END_OF_FRAGMENT) {
                    return Err(Damage::Other("its tags do not end it"));
                }
                self.tags = Some(tags);
            }
            Event::Document { .. } | Event::Segment { .. } | Event::ClusterEnd { .. } => {}
            _ => return Err(Damage::Other("it is more than one fragment")),
        }
        Ok(())
    }

    fn media(self) -> Result<Media, Damage> {
        let (Some(tracks), Some(start), Some(tags)) = (self.tracks, self.start, self.tags) else {
            return Err(Damage::Other("it is cut short"));
        };
        let Some(end) = self.frames.iter().map(|frame| frame.time).max() else {
            return Err(Damage::Other("it has no frames"));
        };
        let scale_ns = u32::try_from(self.scale_ns);
        Ok(Media {
            start,
            end,
            news: self.frames.len() as u64,
            scale_ns: scale_ns.map_err(|_| Damage::Other("its unit of time is too long"))?,
            tracks,
            frames: self.frames,
            tags,
            held: false,
        })
    }
}

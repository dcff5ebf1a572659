//! What a source hands to the producer.

use bytes::Bytes;
use kvs_media::{FrameData, ProducerTime, Track, TrackKind, TrackNumber};

/// One coded frame of one track, in the order in which the source made it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it is to be presented.
    pub time: ProducerTime,
    /// When it is to be decoded, where the source says so.
    pub decode_time: Option<ProducerTime>,
    /// How long it is shown, in nanoseconds, where known.
    pub duration_ns: Option<u64>,
    /// Whether decoding can start here.
    pub key: bool,
    /// The coded bytes, in the form that the track's codec id names.
    pub data: FrameData,
}

/// What a decoder has to know of a track: a [`Track`] that has no number yet.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackFormat {
    /// Video, audio or data.
    pub kind: TrackKind,
    /// A name for people.
    pub name: Option<String>,
    /// Matroska's codec id.
    pub codec_id: String,
    /// What the decoder needs first.
    pub codec_private: Option<Bytes>,
}

impl TrackFormat {
    pub(super) fn numbered(self, number: TrackNumber) -> Track {
        Track {
            number,
            kind: self.kind,
            name: self.name,
            codec_id: self.codec_id,
            codec_private: self.codec_private,
        }
    }
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum PushOutcome {
    /// It is in the buffer; from here on it is stored, or its loss is reported.
    Accepted,
    /// The producer is flushing or was stopped; the sample was not taken.
    Flushing,
    /// The producer has failed, as [`ProducerEvent::Failed`](super::ProducerEvent::Failed) told.
    Failed,
}

/// The producer has as many tracks as the service takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream has {TRACKS_MAX} tracks at most")]
pub struct TooManyTracks;

/// The service's limit of tracks in a stream.
pub const TRACKS_MAX: usize = 3;

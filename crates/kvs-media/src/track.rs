//! A track: what a decoder has to know before the first frame.

use std::fmt;
use std::num::NonZeroU8;

use bytes::Bytes;

/// The number by which blocks name their track, 1 to 126.
///
/// Matroska allows larger numbers; the service takes three tracks, so one byte on the wire (a
/// one-byte variable-size integer) is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackNumber(NonZeroU8);

impl TrackNumber {
    /// The greatest track number that a one-byte variable-size integer holds.
    pub const MAX: u8 = 126;

    /// The track of that number; `None` outside 1 to [`MAX`](Self::MAX).
    pub const fn new(number: u64) -> Option<Self> {
        if number > Self::MAX as u64 {
            return None;
        }
        match NonZeroU8::new(number as u8) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number itself.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for TrackNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One track of a stream, as Matroska's TrackEntry describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// The number by which blocks name it.
    pub number: TrackNumber,
    /// Video, audio or data, with what is special to each.
    pub kind: TrackKind,
    /// A name for people, where given.
    pub name: Option<String>,
    /// Matroska's codec id, for example `V_MPEG4/ISO/AVC`.
    pub codec_id: String,
    /// What the decoder needs first: avcC, AudioSpecificConfig, WAVEFORMATEX.
    pub codec_private: Option<Bytes>,
}

/// What kind of media a track carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrackKind {
    /// TrackType 1.
    Video(VideoFormat),
    /// TrackType 2.
    Audio(AudioFormat),
    /// Any other TrackType: the number is kept as it came.
    Data(u8),
}

/// The Video element of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoFormat {
    /// Coded width in pixels; 0 where the file does not say.
    pub width: u32,
    /// Coded height in pixels; 0 where the file does not say.
    pub height: u32,
}

/// The Audio element of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AudioFormat {
    /// Samples a second. Matroska's own default is 8000.
    pub sample_rate: f64,
    /// How many channels. Matroska's own default is 1.
    pub channels: u32,
    /// Bits a sample, where it means something.
    pub bit_depth: Option<u32>,
}

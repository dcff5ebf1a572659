//! Caps of GStreamer to tracks of Matroska.

mod audio;
mod video;

use std::error::Error;

use bytes::Bytes;

pub(super) use audio::{adts_track, audio_track, is_adts};
pub(super) use video::{Framing, NalMedia, framing, jpeg_track, size, video_track};

/// Caps that cannot be sent. The text says what to put before the element.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum CapsError {
    /// There is no structure in them.
    #[error("the caps are empty")]
    Empty,
    /// A media type without a place in the service's profile of Matroska.
    #[error("{0} cannot be sent: H.264, H.265, JPEG, AAC, Opus, A-law and µ-law can")]
    Unknown(String),
    /// A field is missing that the track needs.
    #[error("{media} without {field}: put {parser} before the element")]
    Missing {
        media: &'static str,
        field: &'static str,
        parser: &'static str,
    },
    /// A field has a value that does not fit.
    #[error("{media} with {field}={value} cannot be sent: put {parser} before the element")]
    Unfit {
        media: &'static str,
        field: &'static str,
        value: String,
        parser: &'static str,
    },
    /// codec_data is broken.
    #[error("the codec_data of the {media} is broken: {what}")]
    CodecData { media: &'static str, what: String },
}

impl CapsError {
    fn codec_data(media: &'static str, what: &dyn Error) -> Self {
        Self::CodecData {
            media,
            what: what.to_string(),
        }
    }
}

fn codec_data(caps: &gst::StructureRef) -> Option<Bytes> {
    let buffer = caps.get::<gst::Buffer>("codec_data").ok()?;
    let map = buffer.map_readable().ok()?;
    Some(Bytes::copy_from_slice(&map))
}

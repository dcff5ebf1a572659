//! Caps of GStreamer to tracks of Matroska.

mod audio;
mod data;
mod video;

use std::error::Error;

use bytes::Bytes;

use crate::data_track::DataTrackError;

pub(super) use audio::{adts_track, audio_track, is_adts};
pub(super) use data::data_track;
pub(super) use video::{Framing, NalMedia, framing, jpeg_track, size, video_track};

/// Caps that cannot be sent. The text says what to put before the element.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum CapsError {
    /// There is no structure in them.
    #[error("the caps are empty")]
    Empty,
    /// Neither video nor audio that Matroska and the service have a form for.
    #[error(
        "{0} cannot be sent as video or audio: H.264, H.265, JPEG, AAC, Opus, A-law and µ-law can; \
         a pad that is asked for as data_0 takes anything else as it is"
    )]
    Unknown(String),
    /// Video or audio at a pad for data.
    #[error("{0} is not sent as data: link it to a pad video_0 or audio_0")]
    Media(String),
    /// Data that could not come back as it was.
    #[error(transparent)]
    Data(#[from] DataTrackError),
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

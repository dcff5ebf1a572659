//! Matroska as Kinesis Video Streams uses it: one document, one Segment, a Cluster per fragment.
//!
//! [`Muxer`] turns frames into bytes and [`Demuxer`] bytes into frames; neither copies a payload.
//! Elements and their sizes are those of RFC 8794 (EBML) and RFC 9559 (Matroska).

mod block;
mod demuxer;
mod document;
mod ebml;
mod error;
mod event;
mod input;
mod limits;
mod muxer;
mod tags;
mod tracks;

pub use demuxer::Demuxer;
pub use error::{DemuxError, DemuxErrorKind};
pub use event::{Event, Info};
pub use limits::Limits;
pub use muxer::{MuxError, Muxer, MuxerSettings, empty_document};
pub use tags::{END_OF_FRAGMENT, Tag, tags_element};

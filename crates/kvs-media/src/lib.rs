//! Bytes of media: frames, tracks, codecs and Matroska.
//!
//! This crate is a floor: it does no I/O, reads no clock and knows nothing of the service.

pub mod codec;
pub mod frame;
pub mod mkv;
pub mod time;
pub mod track;

pub use frame::{Frame, FrameData};
pub use time::ProducerTime;
pub use track::{AudioFormat, Track, TrackKind, TrackNumber, VideoFormat};

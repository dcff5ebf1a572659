//! The words of the Kinesis Video Streams API: names, acks, errors, requests, signatures.
//!
//! Text comes in once and is a type from then on. This crate is a floor: it does no I/O, reads no
//! clock and knows nothing of media.

pub mod ack;
pub mod api;
pub mod arn;
mod calendar;
pub mod chunk_tags;
pub mod error;
pub mod fragment_number;
pub mod name;
pub mod sigv4;
pub mod tag;
mod text;
pub mod timestamp;

pub use ack::{Ack, AckError, AckParser, AckedFragment};
pub use arn::StreamArn;
pub use chunk_tags::{ChunkError, ChunkTags};
pub use error::{ApiError, ErrorKind, ErrorReply};
pub use fragment_number::{FragmentNumber, FragmentParts};
pub use name::{
    DestinationRegion, DestinationUri, DeviceName, KmsKeyId, MediaType, Region, StreamName, Version,
};
pub use timestamp::Timestamp;

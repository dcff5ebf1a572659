//! The words of the Kinesis Video Streams API: names, acks, errors, requests, signatures.
//!
//! Text comes in once and is a type from then on. This crate is a floor: it does no I/O, reads no
//! clock and knows nothing of media.

pub mod ack;
pub mod api;
pub mod arn;
mod calendar;
pub mod error;
pub mod fragment_number;
pub mod name;
mod text;
pub mod timestamp;

pub use ack::{Ack, AckError, AckParser, AckedFragment};
pub use arn::StreamArn;
pub use error::{ApiError, ErrorKind, ErrorReply};
pub use fragment_number::{FragmentNumber, FragmentParts};
pub use name::{DeviceName, KmsKeyId, MediaType, Region, StreamName, Version};
pub use timestamp::Timestamp;

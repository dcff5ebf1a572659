//! Upload: frames in, fragments stored in the service, each loss told.

#![allow(dead_code)] // the parts of the upload land one by one

mod config;
mod event;
mod sample;
mod stats;

pub use config::{ProducerConfig, ROTATION_MAX, Streaming};
pub use event::{
    AckKind, DropReason, Dropped, FailReason, FragmentAck, FrameSpan, ProducerEvent, ProducerState,
    Warning,
};
pub use sample::{PushOutcome, Sample, TRACKS_MAX, TooManyTracks, TrackFormat};
pub use stats::{DELAYS_MAX, Stats};

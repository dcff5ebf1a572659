//! The element `kvssrc`: reads video, audio and data from Kinesis Video Streams.
//!
//! It has one pad per track: `video_%u`, `audio_%u` and, for anything else, `data_%u`. They appear
//! when the tracks are known. Every buffer carries the producer's clock as
//! `GstReferenceTimestampMeta` `timestamp/x-unix` and the service's as `timestamp/x-kvs-server`.
//!
//! # Live
//!
//! ```text
//! gst-launch-1.0 kvssrc stream-name=cam endpoint=http://127.0.0.1:5600 ! decodebin ! autovideosink
//! ```
//! Reads the stream as it is recorded and goes on for ever: whatever ends a response of the
//! service, it connects again, and no frame is lost or given twice.
//!
//! # Archive
//!
//! ```text
//! gst-launch-1.0 -e kvssrc stream-name=cam endpoint=http://127.0.0.1:5600 mode=archive \
//!     start-time=$(date -u -d '-10 min' +%FT%TZ) stop-time=$(date -u +%FT%TZ) \
//!     ! h264parse ! h264timestamper ! mp4mux ! filesink location=clip.mp4
//! ```
//! Reads a finite range, as fast as the pipeline takes it, and ends with EOS. It answers position
//! and duration queries and can be sought in.

use gst::glib;
use gst::prelude::*;

mod buffer;
mod caps;
mod imp;
mod latency;
mod pad;
mod progress;
mod properties;
mod queue;
mod reader;
mod report;
mod route;
mod seek;
mod session;
mod settings;
mod timeline;
mod tracks;

glib::wrapper! {
    /// The element `kvssrc`.
    pub struct KvsSrc(ObjectSubclass<imp::KvsSrc>) @extends gst::Element, gst::Object;
}

/// What is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstKvsSrcMode")]
pub enum Mode {
    /// The stream as it is recorded, for ever.
    #[default]
    #[enum_value(name = "The stream as it is recorded", nick = "live")]
    Live,
    /// A finite range of what is kept.
    #[enum_value(name = "A finite range of what is kept", nick = "archive")]
    Archive,
}

/// Where reading starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstKvsSrcStart")]
pub enum Start {
    /// What the other properties say.
    #[default]
    #[enum_value(
        name = "start-time, start-fragment or continuation-token if one is set, else now (live) or \
                earliest (archive)",
        nick = "auto"
    )]
    Auto,
    /// The fragment that arrives now.
    #[enum_value(name = "The fragment that arrives now, or the next one", nick = "now")]
    Now,
    /// The oldest fragment that is kept.
    #[enum_value(name = "The oldest fragment that is kept", nick = "earliest")]
    Earliest,
    /// The fragment at `start-time`.
    #[enum_value(name = "The fragment at start-time", nick = "timestamp")]
    Timestamp,
    /// The fragment after `start-fragment`.
    #[enum_value(name = "The fragment after start-fragment", nick = "fragment")]
    Fragment,
    /// Where `continuation-token` was given.
    #[enum_value(name = "Where continuation-token was given", nick = "continuation")]
    Continuation,
}

/// Which clock times and the order of the archive mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstKvsSrcTimeBase")]
pub enum TimeBase {
    /// When it was captured.
    #[default]
    #[enum_value(
        name = "When it was captured, by the producer's clock",
        nick = "producer"
    )]
    Producer,
    /// When it reached the service.
    #[enum_value(
        name = "When it reached the service, by the service's clock",
        nick = "server"
    )]
    Server,
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for enum_type in [
        Mode::static_type(),
        Start::static_type(),
        TimeBase::static_type(),
    ] {
        enum_type.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }
    gst::Element::register(
        Some(plugin),
        "kvssrc",
        gst::Rank::NONE,
        KvsSrc::static_type(),
    )
}

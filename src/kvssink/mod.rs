//! The element `kvssink`: uploads video, audio and data to Kinesis Video Streams.
//!
//! A camera to a server on this machine:
//!
//! ```text
//! gst-launch-1.0 -e rtspsrc location=rtsp://camera/stream protocols=tcp \
//!     add-reference-timestamp-meta=true ! rtph264depay ! h264parse \
//!     ! kvssink stream-name=cam endpoint=http://127.0.0.1:5600
//! ```
//!
//! A file, as fast as the link takes it, with its sound:
//!
//! ```text
//! gst-launch-1.0 filesrc location=movie.mp4 ! qtdemux name=file \
//!     kvssink name=sink stream-name=movie streaming-type=offline endpoint=http://127.0.0.1:5600 \
//!     file.video_0 ! queue ! h264parse ! sink. file.audio_0 ! queue ! aacparse ! sink.
//! ```
//!
//! Properties, messages and recipes are in `docs/elements/kvssink.md`.

use gst::glib;
use gst::prelude::*;

mod cadence;
mod caps;
mod chunks;
mod codec;
mod imp;
mod input;
mod latency;
mod messages;
mod metadata;
mod pad;
mod report;
mod settings;
mod signals;
mod spool;
mod templates;
mod timeline;
mod trigger;
mod upload;

glib::wrapper! {
    /// The element `kvssink`.
    pub struct KvsSink(ObjectSubclass<imp::KvsSink>)
        @extends gst::Element, gst::Object, @implements gst::URIHandler;
}

glib::wrapper! {
    /// A sink pad of `kvssink`: one track.
    pub struct KvsSinkPad(ObjectSubclass<pad::KvsSinkPad>) @extends gst::Pad, gst::Object;
}

/// Whether the source can wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstKvsSinkStreamingType")]
#[repr(i32)]
pub enum StreamingType {
    /// A camera: when the buffer is full, its oldest fragment is dropped.
    #[default]
    #[enum_value(
        name = "Realtime: a full buffer drops its oldest fragment",
        nick = "realtime"
    )]
    Realtime = 0,
    /// A camera whose delay matters less.
    #[enum_value(name = "Near realtime: as realtime", nick = "near-realtime")]
    NearRealtime = 1,
    /// A file: when the buffer is full, the source waits.
    #[enum_value(
        name = "Offline: a full buffer holds the source back",
        nick = "offline"
    )]
    Offline = 2,
}

/// What a full buffer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstKvsSinkLeaky")]
#[repr(i32)]
pub enum Leaky {
    /// As the streaming type says.
    #[default]
    #[enum_value(
        name = "As streaming-type says: offline holds the source back, the others drop",
        nick = "auto"
    )]
    Auto = 0,
    /// The source waits.
    #[enum_value(name = "Hold the source back", nick = "no")]
    No = 1,
    /// The oldest goes.
    #[enum_value(name = "Drop the oldest fragment", nick = "downstream")]
    Downstream = 2,
}

/// When media is uploaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstKvsSinkUpload")]
#[repr(i32)]
pub enum UploadMode {
    /// As it comes.
    #[default]
    #[enum_value(name = "Continuous: everything, as it comes", nick = "continuous")]
    Continuous = 0,
    /// Only what a trigger asks for.
    #[enum_value(
        name = "On trigger: the buffer is a ring, and a trigger says what of it is uploaded",
        nick = "on-trigger"
    )]
    OnTrigger = 1,
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "kvssink",
        gst::Rank::NONE,
        KvsSink::static_type(),
    )
}

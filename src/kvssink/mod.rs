//! The element `kvssink`: sends video and audio to Kinesis Video Streams.

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// The element `kvssink`.
    pub struct KvsSink(ObjectSubclass<imp::KvsSink>) @extends gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "kvssink",
        gst::Rank::NONE,
        KvsSink::static_type(),
    )
}

//! The signals of AWS's element; ours pass structures with the same members.

use gst::glib::subclass::Signal;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::KvsSink;
use super::trigger::Trigger;

const STREAM_ERROR: &str = "stream-error";
const FRAGMENT_ACK: &str = "fragment-ack";
const STREAM_CLIENT_METRIC: &str = "stream-client-metric";

/// An application asks for what is around the latest frame.
const TRIGGER: &str = "trigger";

/// All of them.
pub(super) fn all() -> Vec<Signal> {
    let told = [STREAM_ERROR, FRAGMENT_ACK, STREAM_CLIENT_METRIC].map(|name| {
        Signal::builder(name)
            .param_types([gst::Structure::static_type()])
            .build()
    });
    let trigger = Signal::builder(TRIGGER)
        .action()
        .param_types([u64::static_type(), u64::static_type()])
        .return_type::<bool>()
        .class_handler(|arguments| {
            let element = arguments[0].get::<KvsSink>().ok()?;
            let (before, after) = (arguments[1].get().ok()?, arguments[2].get().ok()?);
            let taken = element.imp().trigger(Trigger::new(before, after));
            Some(taken.to_value())
        })
        .build();
    told.into_iter().chain([trigger]).collect()
}

/// Something fails: `stream-error` {status: uint, text: string}. The status is the id of the
/// service's ERROR ack, or 0.
pub(super) fn stream_error(element: &KvsSink, status: u32, text: &str) {
    let error = gst::Structure::builder(STREAM_ERROR)
        .field("status", status)
        .field("text", text)
        .build();
    element.emit_by_name::<()>(STREAM_ERROR, &[&error]);
}

/// The service acknowledges a fragment: the structure of the message `kvs-fragment-ack`.
pub(super) fn fragment_ack(element: &KvsSink, ack: &gst::Structure) {
    element.emit_by_name::<()>(FRAGMENT_ACK, &[ack]);
}

/// A fragment is stored: the structure of the property `stats`.
pub(super) fn stream_client_metric(element: &KvsSink, stats: &gst::Structure) {
    element.emit_by_name::<()>(STREAM_CLIENT_METRIC, &[stats]);
}

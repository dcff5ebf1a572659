//! The signals of AWS's element; ours pass structures with the same members.

use gst::glib::subclass::Signal;
use gst::prelude::*;

use super::KvsSink;

const STREAM_ERROR: &str = "stream-error";
const FRAGMENT_ACK: &str = "fragment-ack";
const STREAM_CLIENT_METRIC: &str = "stream-client-metric";

/// All of them.
pub(super) fn all() -> Vec<Signal> {
    [STREAM_ERROR, FRAGMENT_ACK, STREAM_CLIENT_METRIC]
        .map(|name| {
            Signal::builder(name)
                .param_types([gst::Structure::static_type()])
                .build()
        })
        .into()
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

//! What the application is told: the messages and the errors of `kvssrc`.

use gst::glib::translate::IntoGlib;
use gst::prelude::*;
use kvs_client::{ErrorKind, FragmentEnd, ServiceError};

use super::KvsSrc;
use super::progress::State;
use super::settings::{Config, SourceConfig};

/// The message `kvs-state`: what the reader does now, and why if something went wrong.
pub(super) fn state(element: &KvsSrc, state: State, error: Option<&ServiceError>) {
    let structure = gst::Structure::builder("kvs-state")
        .field("state", state.to_string())
        .field_if_some("error", error.map(ToString::to_string))
        .build();
    post(element, structure);
}

/// The message `kvs-fragment`: a fragment has left all pads.
pub(super) fn fragment(element: &KvsSrc, end: &FragmentEnd) {
    let mut tags = gst::Structure::new_empty("tags");
    for tag in &end.tags {
        tags.set(tag.name.as_str(), &tag.value);
    }
    let structure = gst::Structure::builder("kvs-fragment")
        .field("fragment-number", end.fragment.number.to_string())
        .field("producer-timestamp", end.fragment.producer_time.as_ms())
        .field("server-timestamp", end.fragment.server_time.as_ms())
        .field("tags", tags)
        .field_if_some("millis-behind", end.millis_behind)
        .field_if_some("continuation-token", end.continuation.clone())
        .build();
    post(element, structure);
}

fn post(element: &KvsSrc, structure: gst::Structure) {
    // It fails where no pipeline listens, which is nobody's fault.
    let _nobody_listens = element.post_message(
        gst::message::Element::builder(structure)
            .src(element)
            .build(),
    );
}

/// A part of the stream that cannot be read; the rest goes on.
pub(super) fn lost(element: &KvsSrc, fragment: &str, why: &ServiceError) {
    gst::element_warning!(
        element,
        gst::ResourceError::Read,
        ("Fragment {fragment} cannot be read and is left out: {why}")
    );
}

/// Nothing can be read any more.
pub(super) fn failed(element: &KvsSrc, config: &Config, error: &ServiceError) {
    let stream = &config.connection.stream;
    let code = match error.kind() {
        ErrorKind::NotFound => gst::ResourceError::NotFound,
        ErrorKind::Credentials | ErrorKind::CredentialsUnavailable | ErrorKind::NotAuthorized => {
            gst::ResourceError::NotAuthorized
        }
        ErrorKind::Config | ErrorKind::InvalidArgument => gst::ResourceError::Settings,
        ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Tls | ErrorKind::InvalidEndpoint => {
            gst::ResourceError::OpenRead
        }
        _ => gst::ResourceError::Read,
    };
    gst::element_error!(element, code, ("Cannot read stream {stream}: {error}"));
}

/// The archive has nothing in the range. Without an error a decodebin would wait for ever.
pub(super) fn nothing_in_range(element: &KvsSrc, config: &Config) {
    let SourceConfig::Archive(range) = &config.source else {
        return;
    };
    let end = |time: Option<_>, open: &str| time.map_or(open.to_owned(), |t| format!("{t}"));
    gst::element_error!(
        element,
        gst::ResourceError::NotFound,
        (
            "Stream {} has no fragment between {} and {} by {:?} time: check start-time, \
             stop-time and time-base, and that the stream keeps its data (retention)",
            config.connection.stream,
            end(range.from.as_ref(), "its oldest"),
            end(range.to.as_ref(), "its newest"),
            range.clock,
        )
    );
}

/// EOS was asked for before there was a pad on which to send it.
pub(super) fn ended_without_pads(element: &KvsSrc, config: &Config) {
    gst::element_error!(
        element,
        gst::ResourceError::Read,
        (
            "EOS was sent before stream {} had given anything: is anybody sending to it?",
            config.connection.stream
        )
    );
}

/// Downstream failed, or nothing is linked.
pub(super) fn flow_error(element: &KvsSrc, error: gst::FlowError) {
    gst::element_error!(
        element,
        gst::StreamError::Failed,
        ("Internal data stream error."),
        ["streaming stopped, reason {error}"],
        details: gst::Structure::builder("details")
            .field("flow-return", gst::FlowReturn::from_error(error).into_glib())
            .build()
    );
}

/// The length of the range is known.
pub(super) fn duration_changed(element: &KvsSrc) {
    let message = gst::message::DurationChanged::builder()
        .src(element)
        .build();
    let _nobody_listens = element.post_message(message);
}

/// Frames leave later than was told.
pub(super) fn latency_changed(element: &KvsSrc) {
    let message = gst::message::Latency::builder().src(element).build();
    let _nobody_listens = element.post_message(message);
}

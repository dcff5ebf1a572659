//! Passes what the client logs on to GStreamer's debug log, as category `kvsclient`.

use std::fmt::{self, Write};
use std::sync::LazyLock;

use gst::glib;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "kvsclient",
        gst::DebugColorFlags::empty(),
        Some("Client of Amazon Kinesis Video Streams"),
    )
});

/// Only our own crates are passed on. The AWS SDK logs whole requests, some with security tokens.
const TARGET_PREFIXES: [&str; 3] = ["kvs_client", "kvs_media", "kvs_protocol"];

/// Makes `GST_DEBUG=kvsclient:5` show what happens below the elements.
///
/// An application in Rust that has set a `tracing` subscriber of its own keeps it.
pub(crate) fn forward_client_events() {
    LazyLock::force(&CAT);
    let _already_set_by_the_application = tracing::subscriber::set_global_default(Forwarder);
}

struct Forwarder;

impl Subscriber for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && TARGET_PREFIXES
                .iter()
                .any(|prefix| metadata.target().starts_with(prefix))
            && debug_level(*metadata.level()) <= CAT.threshold()
    }

    // Thresholds change while the pipeline runs, so no answer of `enabled` may be kept.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line::default();
        event.record(&mut line);
        CAT.log(
            None::<&glib::Object>,
            debug_level(*metadata.level()),
            glib::GString::from(metadata.file().unwrap_or("kvs-client")).as_gstr(),
            metadata.module_path().unwrap_or("kvs-client"),
            metadata.line().unwrap_or(0),
            format_args!("{}{}", line.message, line.fields),
        );
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1) // `enabled` takes no spans; the trait wants an id all the same
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn debug_level(level: Level) -> gst::DebugLevel {
    match level {
        Level::ERROR => gst::DebugLevel::Error,
        Level::WARN => gst::DebugLevel::Warning,
        Level::INFO => gst::DebugLevel::Info,
        Level::DEBUG => gst::DebugLevel::Debug,
        _ => gst::DebugLevel::Log,
    }
}

/// An event as one line: the message, then ` name=value` for each other field.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _writing_to_a_string_cannot_fail = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

//! The shape of each message that the element posts.

use kvs_client::producer::{AckKind, Dropped, FragmentAck, Pressure, ProducerState};

use super::KvsSink;

/// All that was sent is confirmed, or was reported.
pub(super) fn eos(element: &KvsSink, seqnum: gst::Seqnum) -> gst::Message {
    gst::message::Eos::builder()
        .src(element)
        .seqnum(seqnum)
        .build()
}

/// `kvs-state` {state}.
pub(super) fn state(element: &KvsSink, state: ProducerState) -> gst::Message {
    let structure = gst::Structure::builder("kvs-state").field("state", state.name());
    of_element(element, structure.build())
}

/// {type, fragment-number, fragment-timecode, result, error-code} of `kvs-fragment-ack`.
pub(super) fn fragment_ack(ack: &FragmentAck) -> gst::Structure {
    let mut structure = gst::Structure::builder("kvs-fragment-ack").field(
        "type",
        match ack.kind {
            AckKind::Buffering => "buffering",
            AckKind::Received => "received",
            AckKind::Persisted => "persisted",
            AckKind::Error(_) => "error",
            AckKind::Idle => "idle",
        },
    );
    if let Some(number) = &ack.number {
        structure = structure.field("fragment-number", number.to_string());
    }
    if let Some(timecode) = ack.timecode {
        structure = structure.field("fragment-timecode", timecode);
    }
    if let AckKind::Error(error) = ack.kind {
        structure = structure
            .field("result", error.id())
            .field("error-code", error.code());
    }
    structure.build()
}

/// `kvs-pressure` {reason: buffer, percent} or {reason: latency, waited}; ns.
pub(super) fn pressure(element: &KvsSink, pressure: Pressure) -> gst::Message {
    let structure = gst::Structure::builder("kvs-pressure");
    let structure = match pressure {
        Pressure::Buffer { percent } => structure
            .field("reason", "buffer")
            .field("percent", u32::from(percent)),
        Pressure::Latency { waited } => structure.field("reason", "latency").field(
            "waited",
            u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX),
        ),
        _ => structure.field("reason", pressure.to_string()),
    };
    of_element(element, structure.build())
}

/// `kvs-dropped` {reason, frames, from, to}; times in ns since 1970.
pub(super) fn dropped(element: &KvsSink, dropped: &Dropped) -> gst::Message {
    let structure = gst::Structure::builder("kvs-dropped")
        .field("reason", dropped.why.to_string())
        .field("frames", dropped.span.frames)
        .field("from", dropped.span.from.as_ns())
        .field("to", dropped.span.to.as_ns());
    of_element(element, structure.build())
}

pub(super) fn of_element(element: &KvsSink, structure: gst::Structure) -> gst::Message {
    gst::message::Element::builder(structure)
        .src(element)
        .build()
}

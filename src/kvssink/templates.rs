//! The pads that can be requested: which media, in which order, by which names.

use gst::prelude::*;
use kvs_client::producer::TRACKS_MAX;

use super::KvsSinkPad;

const DATA: &str = "data_%u";

/// The templates. An unnamed link takes the first that fits, and of its caps the first that fits:
/// the exact form comes first, so that h264parse converts, then the bare one, for sources such as
/// tsdemux that name no alignment.
pub(super) fn all() -> Vec<gst::PadTemplate> {
    let with_lengths = |name: &str, format: &str| {
        gst::Structure::builder(name)
            .field("stream-format", format)
            .field("alignment", "au")
            .build()
    };
    let video = gst::Caps::builder_full()
        .structure(with_lengths("video/x-h264", "avc"))
        .structure(gst::Structure::new_empty("video/x-h264"))
        .structure(with_lengths("video/x-h265", "hvc1"))
        .structure(gst::Structure::new_empty("video/x-h265"))
        .structure(gst::Structure::new_empty("image/jpeg"))
        .build();
    let g711 = |name: &str| {
        gst::Structure::builder(name)
            .field("channels", gst::IntRange::new(1, 2))
            .field("rate", gst::IntRange::new(8000, 192_000))
            .build()
    };
    let audio = gst::Caps::builder_full()
        .structure(
            gst::Structure::builder("audio/mpeg")
                .field("mpegversion", gst::List::new([2, 4]))
                .field("stream-format", gst::List::new(["raw", "adts"]))
                .build(),
        )
        .structure(gst::Structure::new_empty("audio/x-opus"))
        .structure(g711("audio/x-alaw"))
        .structure(g711("audio/x-mulaw"))
        .build();
    vec![
        template("video_%u", &video),
        template("audio_%u", &audio),
        template(DATA, &gst::Caps::new_any()),
    ]
}

/// What a data pad offers that nobody asked for by name. No raw video or audio is among it: a
/// source without an encoder must not become data by accident.
fn unnamed_data() -> gst::PadTemplate {
    let names = [
        "meta/x-klv",
        "application/json",
        "text/x-raw",
        "application/octet-stream",
    ];
    let caps = gst::Caps::builder_full();
    let caps = names.into_iter().fold(caps, |caps, name| {
        caps.structure(gst::Structure::new_empty(name))
    });
    template(DATA, &caps.build())
}

fn template(name: &str, caps: &gst::Caps) -> gst::PadTemplate {
    gst::PadTemplate::with_gtype(
        name,
        gst::PadDirection::Sink,
        gst::PadPresence::Request,
        caps,
        KvsSinkPad::static_type(),
    )
    .expect("the templates are valid")
}

/// The template of a new pad: that of the element, but for data that nobody asked for by name.
pub(super) fn of_pad(template: &gst::PadTemplate, asked: Option<&str>) -> gst::PadTemplate {
    match named(asked).is_none() && template.name_template() == DATA {
        true => unnamed_data(),
        false => template.clone(),
    }
}

/// Whether a pad takes data.
pub(super) fn is_data(pad: &impl IsA<gst::Pad>) -> bool {
    let template = pad.pad_template();
    template.is_some_and(|template| template.name_template() == DATA)
}

/// Whether that is the name of media with a pad of its own.
pub(super) fn is_media(name: &str) -> bool {
    let has = |caps: &gst::Caps| caps.iter().any(|structure| structure.name() == name);
    let templates = all();
    let mut media = templates.iter().map(gst::PadTemplate::caps);
    media.any(|caps| !caps.is_any() && has(caps))
}

/// A name that was asked for, not a pattern.
fn named(asked: Option<&str>) -> Option<&str> {
    asked.filter(|asked| !asked.contains('%'))
}

/// The name of a new pad: the one that was asked for, or the first free one. `None` if the name
/// asked for is taken, or is not one of the template's.
pub(super) fn pad_name(
    template: &gst::PadTemplate,
    asked: Option<&str>,
    pads: &[gst::Pad],
) -> Option<String> {
    let prefix = template.name_template().strip_suffix("%u")?;
    let is_free = |name: &String| !pads.iter().any(|pad| pad.name() == name.as_str());
    match named(asked) {
        Some(asked) => {
            asked.strip_prefix(prefix)?.parse::<u32>().ok()?;
            Some(asked.to_owned()).filter(is_free)
        }
        // One more than there can be pads, so one is free.
        None => (0..=TRACKS_MAX)
            .map(|n| format!("{prefix}{n}"))
            .find(is_free),
    }
}

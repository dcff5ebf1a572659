//! The pads that can be requested: which media, in which order, by which names.

use gst::prelude::*;
use kvs_client::producer::TRACKS_MAX;

use super::KvsSinkPad;

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
    [("video_%u", video), ("audio_%u", audio)]
        .into_iter()
        .map(|(name, caps)| {
            gst::PadTemplate::with_gtype(
                name,
                gst::PadDirection::Sink,
                gst::PadPresence::Request,
                &caps,
                KvsSinkPad::static_type(),
            )
            .expect("the templates are valid")
        })
        .collect()
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
    match asked.filter(|asked| !asked.contains('%')) {
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

//! The playing pipeline: `kvssrc` to a window where there is a display, else to nowhere.

use std::error::Error;
use std::sync::Arc;

use gst::prelude::*;

use crate::delay::Delays;
use crate::options::Options;

/// Makes the pipeline that reads the stream from its beginning while it is recorded; every frame
/// that leaves `kvssrc` is noted.
pub(crate) fn player(
    options: &Options,
    delays: &Arc<Delays>,
) -> Result<gst::Pipeline, Box<dyn Error>> {
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("kvssrc")
        .property("stream-name", &options.stream)
        .property("endpoint", &options.endpoint)
        .property_from_str("mode", "live")
        .property_from_str("start", "earliest")
        .build()?;
    pipeline.add(&source)?;
    let window = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    let (weak, delays) = (pipeline.downgrade(), delays.clone());
    source.connect_pad_added(move |_, pad| {
        let Some(pipeline) = weak.upgrade() else {
            return;
        };
        delays.note_frames_out(pad);
        let description = match (pad.name().starts_with("video"), window) {
            (true, true) => "queue ! decodebin ! videoconvert ! autovideosink sync=false",
            _ => "fakesink sync=false async=false",
        };
        let link = || -> Result<(), Box<dyn Error>> {
            let bin = gst::parse::bin_from_description(description, true)?;
            pipeline.add(&bin)?;
            bin.sync_state_with_parent()?;
            pad.link(&bin.static_pad("sink").ok_or("no sink pad")?)?;
            Ok(())
        };
        if let Err(error) = link() {
            gst::element_error!(
                pipeline,
                gst::StreamError::Failed,
                ("cannot show it: {error}")
            );
        }
    });
    Ok(pipeline)
}

/// The player's error, if it has reported one.
pub(crate) fn failure(player: &gst::Pipeline) -> Result<(), String> {
    let error = player
        .bus()
        .and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
    match error.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) => Err(format!("playing: {}", error.error())),
        _ => Ok(()),
    }
}

//! The recording pipeline: camera, device or file into `kvssink`.

use std::error::Error;
use std::sync::Arc;

use gst::prelude::*;

use crate::delay::Delays;
use crate::options::{Options, Source};

/// The pipeline that records, and the `kvssink` in it.
pub(crate) struct Recorder {
    pub(crate) pipeline: gst::Pipeline,
    pub(crate) sink: gst::Element,
}

/// Makes the pipeline for the source asked for; every frame that enters `kvssink` is noted.
pub(crate) fn recorder(
    options: &Options,
    delays: &Arc<Delays>,
) -> Result<Recorder, Box<dyn Error>> {
    let pipeline = gst::Pipeline::new();
    let sink = gst::ElementFactory::make("kvssink")
        .property("stream-name", &options.stream)
        .property("endpoint", &options.endpoint)
        .build()?;
    pipeline.add(&sink)?;
    sink.connect_pad_added({
        let delays = delays.clone();
        move |_, pad| delays.note_frames_in(pad)
    });
    match &options.source {
        Source::Rtsp(url) => from_rtsp(&pipeline, &sink, url)?,
        Source::Device(device) => {
            let capture = gst::parse::bin_from_description(
                "v4l2src name=source ! videoconvert ! video/x-raw,format=I420 \
                 ! x264enc tune=zerolatency speed-preset=veryfast key-int-max=60 ! h264parse",
                true,
            )?;
            capture
                .by_name("source")
                .ok_or("no source")?
                .set_property("device", device);
            pipeline.add(&capture)?;
            capture.link_pads(Some("src"), &sink, Some("video_0"))?;
        }
        Source::File(file) => from_file(&pipeline, &sink, file)?,
    }
    Ok(Recorder { pipeline, sink })
}

/// Asks for the camera's video and audio before the first packet, so that both are there from the
/// first fragment on.
fn from_rtsp(
    pipeline: &gst::Pipeline,
    sink: &gst::Element,
    url: &str,
) -> Result<(), Box<dyn Error>> {
    let source = gst::ElementFactory::make("rtspsrc")
        .property("location", url)
        .property_from_str("protocols", "tcp")
        .property("latency", 0u32)
        .property("add-reference-timestamp-meta", true)
        .build()?;
    pipeline.add(&source)?;
    source.connect("select-stream", false, {
        let sink = sink.clone();
        move |arguments| {
            let caps = arguments
                .get(2)
                .and_then(|caps| caps.get::<gst::Caps>().ok());
            let pad = caps.as_ref().and_then(parser).map(|(pad, _)| pad);
            if let Some(pad) = pad {
                // The same name again is the pad that is there already.
                let _pad = sink
                    .static_pad(pad)
                    .or_else(|| sink.request_pad_simple(pad));
            }
            Some(pad.is_some().to_value())
        }
    });
    let (pipeline, sink) = (pipeline.downgrade(), sink.downgrade());
    source.connect_pad_added(move |_, pad| {
        let (Some(pipeline), Some(sink)) = (pipeline.upgrade(), sink.upgrade()) else {
            return;
        };
        let caps = pad.current_caps().or_else(|| Some(pad.query_caps(None)));
        let Some((name, description)) = caps.as_ref().and_then(parser) else {
            return;
        };
        let link = || -> Result<(), Box<dyn Error>> {
            let bin = gst::parse::bin_from_description(description, true)?;
            pipeline.add(&bin)?;
            pad.link(&bin.static_pad("sink").ok_or("no sink pad")?)?;
            bin.link_pads(Some("src"), &sink, Some(name))?;
            bin.sync_state_with_parent()?;
            Ok(())
        };
        if let Err(error) = link() {
            gst::element_error!(
                sink,
                gst::StreamError::Format,
                ("cannot take {name}: {error}")
            );
        }
    });
    Ok(())
}

/// The pad of `kvssink` for an RTP payload, and what makes frames of its packets.
fn parser(caps: &gst::Caps) -> Option<(&'static str, &'static str)> {
    let format = caps.structure(0)?;
    match format.get::<&str>("encoding-name").ok()? {
        "H264" => Some(("video_0", "rtph264depay ! h264parse")),
        "MPEG4-GENERIC" => Some(("audio_0", "rtpmp4gdepay ! aacparse")),
        "MP4A-LATM" => Some(("audio_0", "rtpmp4adepay ! aacparse")),
        "PCMA" => Some(("audio_0", "rtppcmadepay")),
        "PCMU" => Some(("audio_0", "rtppcmudepay")),
        _ => None,
    }
}

/// Plays a movie at its own pace, as a camera would; its sound comes along if it is AAC or G.711.
fn from_file(
    pipeline: &gst::Pipeline,
    sink: &gst::Element,
    file: &str,
) -> Result<(), Box<dyn Error>> {
    let source = gst::ElementFactory::make("filesrc")
        .property("location", file)
        .build()?;
    let parse = gst::ElementFactory::make("parsebin").build()?;
    pipeline.add_many([&source, &parse])?;
    source.link(&parse)?;
    let (pipeline, sink) = (pipeline.downgrade(), sink.downgrade());
    parse.connect_pad_added(move |_, pad| {
        let (Some(pipeline), Some(sink)) = (pipeline.upgrade(), sink.upgrade()) else {
            return;
        };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let media = caps
            .structure(0)
            .map(|s| s.name().to_string())
            .unwrap_or_default();
        let name = match media.as_str() {
            "video/x-h264" => "video_0",
            "audio/mpeg" | "audio/x-alaw" | "audio/x-mulaw" => "audio_0",
            _ => "",
        };
        let link = || -> Result<(), Box<dyn Error>> {
            let last = if name.is_empty() {
                "fakesink"
            } else {
                "clocksync"
            };
            let last = gst::ElementFactory::make(last).build()?;
            pipeline.add(&last)?;
            pad.link(&last.static_pad("sink").ok_or("no sink pad")?)?;
            if !name.is_empty() {
                last.link_pads(Some("src"), &sink, Some(name))?;
            }
            last.sync_state_with_parent()?;
            Ok(())
        };
        if let Err(error) = link() {
            gst::element_error!(
                sink,
                gst::StreamError::Format,
                ("cannot take {media}: {error}")
            );
        }
    });
    Ok(())
}

//! Metadata of fragments, from tags and from events.

use std::sync::atomic::{AtomicUsize, Ordering};

use gst::prelude::*;

use super::CAMERA;
use crate::harness::{Run, Server};

#[test]
fn injected_tags_describe_the_fragment_in_which_they_come() {
    let server = Server::start();
    Run::to_end(&format!(
        "{CAMERA} ! taginject tags=title=Porch,comment=\\\"in\\ the\\ rain\\\" \
         ! kvssink stream-name=cam endpoint={}",
        server.url()
    ));
    let metadata = server.read_back("cam").metadata;
    assert_eq!(metadata, ["title=Porch comment=in the rain", "", "", ""]);
}

/// Uploads the camera and sends these structures as events before the frames of these numbers;
/// whether each was taken, and what came of them.
fn sent(events: &'static [(usize, &'static str)]) -> (Vec<bool>, Vec<String>) {
    let server = Server::start();
    let mut run = Run::new(&format!(
        "{CAMERA} ! kvssink name=k stream-name=cam endpoint={}",
        server.url()
    ));
    let (taken, answers) = std::sync::mpsc::channel();
    let frames = AtomicUsize::new(0);
    let pad = run
        .element("k")
        .static_pad("video_0")
        .expect("it is linked");
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        let at = frames.fetch_add(1, Ordering::Relaxed);
        for (_, event) in events.iter().filter(|(before, _)| *before == at) {
            let structure: gst::Structure = event.parse().expect("a structure");
            let event = gst::event::CustomDownstream::new(structure);
            // The test may have failed already.
            let _ = taken.send(pad.send_event(event));
        }
        gst::PadProbeReturn::Ok
    });
    run.set_state(gst::State::Playing);
    run.wait_for_eos();
    (
        answers.try_iter().collect(),
        server.read_back("cam").metadata,
    )
}

#[test]
fn events_describe_the_open_fragment_and_what_persists_those_behind_it() {
    let (taken, metadata) = sent(&[
        (20, "kvs-add-metadata,name=door,value=open,persist=true"),
        (35, "kvs-add-metadata,name=bell,value=rung"),
        (
            40,
            "kvs-add-metadata,name=door,value=(string)\"\",persist=true",
        ),
    ]);
    assert_eq!(taken, [true; 3]);
    assert_eq!(metadata, ["", "door=open", "door=open bell=rung", ""]);
}

#[test]
fn images_and_notifications_may_be_asked_for_and_other_names_of_the_service_not() {
    let (taken, metadata) = sent(&[
        (0, "kvs-add-metadata,name=AWS_KINESISVIDEO_NOTIFICATION"),
        (1, "kvs-add-metadata,name=AWS_OF_MINE,value=x"),
        (2, "kvs-add-metadata,name=AWS_KINESISVIDEO_END_OF_FRAGMENT"),
        (3, "kvs-add-metadata,value=x"),
    ]);
    assert_eq!(taken, [true, false, false, false]);
    assert_eq!(metadata[1..], ["", "", ""]);
}

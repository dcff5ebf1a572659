//! How an upload ends, and what it survives.

use std::time::Duration;

use gst::prelude::*;
use kvs_server::Config;

use super::{CAMERA, FRAMES, LIVE_CAMERA};
use crate::harness::{Run, Server};

#[test]
fn eos_comes_after_the_last_persisted() {
    let server = Server::start();
    let mut run = Run::play(&format!(
        "{CAMERA} ! kvssink name=k stream-name=cam endpoint={}",
        server.url()
    ));
    let mut persisted = 0;
    run.wait_for("EOS", |message| {
        if let Some(ack) = message
            .structure()
            .filter(|s| s.has_name("kvs-fragment-ack"))
            && ack.get::<&str>("type") == Ok("persisted")
        {
            persisted += 1;
        }
        matches!(message.view(), gst::MessageView::Eos(_)).then_some(())
    });
    let stats: gst::Structure = run.element("k").property("stats");
    assert_eq!(stats.get::<u64>("fragments-persisted"), Ok(persisted));
    assert_eq!(stats.get::<u64>("frames"), Ok(FRAMES as u64));
    assert_eq!(stats.get::<u64>("frames-sent"), Ok(FRAMES as u64));
    assert_eq!(stats.get::<u64>("frames-persisted"), Ok(FRAMES as u64));
    assert_eq!(stats.get::<&str>("state"), Ok("drained"));
    assert_eq!(server.read_back("cam").fragments.len() as u64, persisted);
}

#[test]
fn a_pad_without_a_frame_ends_as_well() {
    let server = Server::start();
    Run::to_end(&format!(
        "kvssink name=k stream-name=cam endpoint={} {CAMERA} ! k. \
         audiotestsrc num-buffers=0 ! alawenc ! k.",
        server.url()
    ));
    assert_eq!(server.read_back("cam").frames.len(), FRAMES);
}

#[test]
fn a_server_that_starts_again_in_mid_upload_gets_every_frame() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Server::start_with(Config {
        data: Some(folder.path().join("data")),
        ..Config::default()
    });
    let mut run = Run::play(&format!(
        "{LIVE_CAMERA} ! kvssink name=k stream-name=cam endpoint={}",
        server.url()
    ));
    run.wait_for_structure("kvs-fragment-ack");
    server.crash();
    run.wait_for_state("backoff");
    server.start_again();
    run.wait_for_state("streaming");
    run.wait_for_structure("kvs-fragment-ack");
    run.pipeline.send_event(gst::event::Eos::new());
    run.wait_for_eos();
    let stats: gst::Structure = run.element("k").property("stats");
    let frames = stats.get::<u64>("frames").expect("a figure");
    assert_eq!(server.read_back("cam").frames.len() as u64, frames);
}

#[test]
fn stopping_in_an_outage_waits_for_nothing() {
    let mut server = Server::start();
    let mut run = Run::play(&format!(
        "{LIVE_CAMERA} ! kvssink stream-name=cam endpoint={}",
        server.url()
    ));
    run.wait_for_structure("kvs-fragment-ack");
    server.crash();
    run.wait_for_state("backoff");
    // Would take stop-stream-timeout, two minutes, if it waited.
    let (stopped, stops) = std::sync::mpsc::channel();
    let pipeline = run.pipeline.clone();
    std::thread::spawn(move || {
        let ready = pipeline.set_state(gst::State::Ready);
        stopped.send(ready).expect("the test waits");
    });
    let ready = stops
        .recv_timeout(Duration::from_secs(20))
        .expect("no wait at the stop");
    assert_eq!(ready, Ok(gst::StateChangeSuccess::Success));
}

#[test]
fn stopping_frees_a_source_that_waits_for_room() {
    let mut run = Run::play(
        "videotestsrc ! video/x-raw,format=I420,width=640,height=480 \
         ! x264enc key-int-max=15 speed-preset=ultrafast bitrate=20000 ! kvssink stream-name=cam \
         streaming-type=offline storage-size=1 endpoint=http://127.0.0.1:9",
    );
    run.wait_for_state("backoff");
    run.set_state(gst::State::Ready);
}

#[test]
fn what_was_not_confirmed_in_time_is_a_warning_before_eos() {
    let mut server = Server::start();
    let mut run = Run::play(&format!(
        "{LIVE_CAMERA} ! kvssink stream-name=cam stop-stream-timeout=1 endpoint={}",
        server.url()
    ));
    run.wait_for_structure("kvs-fragment-ack");
    server.crash();
    run.wait_for_state("backoff");
    run.pipeline.send_event(gst::event::Eos::new());
    run.wait_for("WARNING", |message| match message.view() {
        gst::MessageView::Warning(warning) => {
            let text = warning.error().message().to_owned();
            text.contains("stop-stream-timeout").then_some(())
        }
        _ => None,
    });
    run.wait_for_eos();
}

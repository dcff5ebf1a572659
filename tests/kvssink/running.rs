//! What may happen while a pipeline runs: a pause, a new format, no key frame, no room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use gst::prelude::*;
use kvs_media::TrackKind;

use super::LIVE_CAMERA;
use crate::harness::{Run, Server};

#[test]
fn a_key_frame_that_is_missed_is_made_by_the_encoder() {
    const RATE: u64 = 25;
    let server = Server::start();
    let mut run = Run::new(&format!(
        "videotestsrc num-buffers={} ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
         ! x264enc name=encoder key-int-max=100000 option-string=scenecut=0 tune=zerolatency \
         speed-preset=ultrafast \
         ! kvssink stream-name=cam streaming-type=offline endpoint={}",
        14 * RATE,
        server.url()
    ));
    let (wanted, wants) = mpsc::channel();
    let pad = run.element("encoder").static_pad("src").expect("a pad");
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        if let Some(event) = info.event()
            && gst_video::UpstreamForceKeyUnitEvent::parse(event).is_ok()
        {
            // A second one finds nobody who waits.
            let _ = wanted.send(());
        }
        gst::PadProbeReturn::Ok
    });
    let (frames, wants) = (AtomicU64::new(0), Mutex::new(wants));
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        if frames.fetch_add(1, Ordering::Relaxed) == 11 * RATE {
            let wants = wants.lock().expect("nobody panics with it");
            wants
                .recv_timeout(Duration::from_secs(60))
                .expect("a key frame is wanted within 11 s of video");
        }
        gst::PadProbeReturn::Ok
    });
    run.set_state(gst::State::Playing);
    run.wait_for_eos();
    let stored = server.read_back("cam");
    let keys: Vec<_> = (0..stored.frames.len())
        .filter(|&n| stored.frames[n].key)
        .collect();
    assert_eq!(stored.frames.len() as u64, 14 * RATE);
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_eq!(stored.fragments.len(), 2);
}

#[test]
fn a_full_buffer_lets_whole_fragments_go_and_says_so_before_eos() {
    const GOP: u64 = 15;
    let mut run = Run::play(&format!(
        "videotestsrc num-buffers=300 pattern=snow \
         ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 \
         ! x264enc key-int-max={GOP} speed-preset=ultrafast tune=zerolatency bitrate=20000 \
         ! kvssink name=k stream-name=cam storage-size=1 stop-stream-timeout=1 \
         endpoint=http://127.0.0.1:9"
    ));
    let mut dropped = 0;
    let error = run.wait_for("ERROR", |message| {
        if let Some(loss) = message.structure().filter(|s| s.has_name("kvs-dropped")) {
            let frames = loss.get::<u64>("frames").expect("a figure");
            assert_eq!(frames % GOP, 0, "whole fragments");
            dropped += frames;
        }
        match message.view() {
            gst::MessageView::Error(error) => Some(error.error()),
            gst::MessageView::Eos(_) => panic!("EOS before the loss is told"),
            _ => None,
        }
    });
    assert!(dropped > 0);
    assert!(error.message().contains("lost"), "{error}");
    let stats: gst::Structure = run.element("k").property("stats");
    assert_eq!(stats.get::<u64>("frames"), Ok(300));
    assert_eq!(stats.get::<u64>("frames-dropped"), Ok(dropped));
}

#[test]
fn a_pause_is_a_hole_in_the_recording() {
    const PAUSE: gst::ClockTime = gst::ClockTime::from_mseconds(1500);
    let server = Server::start();
    let mut run = Run::play(&format!(
        "{LIVE_CAMERA} ! kvssink name=k stream-name=cam endpoint={}",
        server.url()
    ));
    run.wait_for_structure("kvs-fragment-ack");
    run.set_state(gst::State::Paused);
    let clock = gst::SystemClock::obtain();
    let over = clock.new_single_shot_id(clock.time() + PAUSE);
    over.wait().0.expect("the time passes");
    run.set_state(gst::State::Playing);
    let sink = run.element("k");
    let persisted = || {
        let stats: gst::Structure = sink.property("stats");
        stats.get::<u64>("fragments-persisted").expect("a figure")
    };
    let before = persisted();
    run.wait_for("fragments after the pause", |message| {
        let is_ack = message.structure()?.has_name("kvs-fragment-ack");
        (is_ack && persisted() >= before + 3).then_some(())
    });
    run.pipeline.send_event(gst::event::Eos::new());
    run.wait_for_eos();
    let stats: gst::Structure = sink.property("stats");
    assert_eq!(stats.get::<u64>("fragments-refused"), Ok(0));
    let stored = server.read_back("cam");
    assert_eq!(stats.get::<u64>("frames"), Ok(stored.frames.len() as u64));
    let times: Vec<_> = stored.frames.iter().map(|frame| frame.time).collect();
    let hole_ns = times
        .windows(2)
        .map(|pair| pair[1].saturating_ns_since(pair[0]))
        .max();
    assert!(times.is_sorted());
    assert!(
        hole_ns >= Some(PAUSE.nseconds() - 200_000_000),
        "{hole_ns:?}"
    );
}

#[test]
fn a_new_format_opens_a_session_and_loses_nothing() {
    let server = Server::start();
    let camera = |width| {
        format!(
            "videotestsrc num-buffers=45 \
             ! video/x-raw,format=I420,width={width},height=120,framerate=30/1 \
             ! x264enc key-int-max=15 speed-preset=ultrafast \
             ! video/x-h264,stream-format=avc,alignment=au ! c."
        )
    };
    let run = Run::to_end(&format!(
        "concat name=c ! kvssink name=k stream-name=cam streaming-type=offline endpoint={} {} {}",
        server.url(),
        camera(160),
        camera(320)
    ));
    let stats: gst::Structure = run.element("k").property("stats");
    assert_eq!(stats.get::<u64>("connections"), Ok(2));
    assert_eq!(stats.get::<u64>("fragments-refused"), Ok(0));
    let stored = server.read_back("cam");
    assert_eq!(stored.frames.len(), 90);
    let TrackKind::Video(format) = &stored.video().kind else {
        panic!("{:?}", stored.video());
    };
    assert_eq!(format.width, 320);
}

//! A server that dies again and again costs no frame.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use gst::prelude::*;
use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::harness;
use crate::server_process::{ServerProcess, check};

/// How often the server dies: a sample, and the whole.
const KILLS: usize = 5;
const KILLS_LONG: usize = 20;
/// Between two deaths pass so many frames at least and at most: 0.2 s to 2 s.
const FRAMES_BETWEEN: std::ops::Range<u32> = 10..100;
const SEED: [u8; 32] = *b"a server that dies costs nothing";

type Frames = Arc<Mutex<Vec<Vec<u8>>>>;

/// Keeps the bytes of each frame that passes; tells about it over `passed`.
fn keep_frames(pad: &gst::Pad, frames: &Frames, passed: mpsc::Sender<()>) {
    let frames = frames.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let buffer = info.buffer().expect("a buffer probe sees buffers");
        let bytes = buffer.map_readable().expect("a readable buffer").to_vec();
        frames.lock().expect("nobody panics with it").push(bytes);
        // Nobody counts any more once the last kill is over.
        let _ = passed.send(());
        gst::PadProbeReturn::Ok
    });
}

/// The access unit as it is stored: parameter sets stand in the track's description instead.
fn without_parameter_sets(unit: &[u8]) -> Vec<u8> {
    const SPS: u8 = 7;
    const PPS: u8 = 8;
    let (mut kept, mut rest) = (Vec::new(), unit);
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let (nal, next) = after.split_at(u32::from_be_bytes(*len) as usize);
        if ![SPS, PPS].contains(&(nal[0] & 0x1f)) {
            kept.extend_from_slice(len);
            kept.extend_from_slice(nal);
        }
        rest = next;
    }
    kept
}

/// Kills and starts the server again at seeded moments of the upload.
fn kill_again_and_again(server: &mut ServerProcess, data: &std::path::Path, frames: &Receiver<()>) {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let kills = if harness::long() { KILLS_LONG } else { KILLS };
    for kill in 0..kills {
        let wait = random.random_range(FRAMES_BETWEEN);
        for _ in 0..wait {
            frames.recv().expect("the camera outlives the kills");
        }
        server.kill();
        assert_eq!(
            check(data),
            "",
            "after kill {kill}, {wait} frames after the last"
        );
        server.start_again(data);
    }
}

/// The bytes of each frame that the archive gives back.
fn read_back(url: &str) -> Vec<Vec<u8>> {
    let frames = Frames::default();
    let player = gst::parse::launch(&format!(
        "kvssrc stream-name=durable endpoint={url} mode=archive ! fakesink name=sink sync=false"
    ))
    .expect("a pipeline that parses");
    let player = player.downcast::<gst::Pipeline>().expect("a pipeline");
    let sink = player.by_name("sink").expect("the sink is in it");
    keep_frames(
        &sink.static_pad("sink").expect("a sink pad"),
        &frames,
        mpsc::channel().0,
    );
    harness::run_to_end(&player);
    std::mem::take(&mut *frames.lock().expect("nobody panics with it"))
}

#[test]
fn a_server_that_is_killed_again_and_again_costs_no_frame() {
    harness::init();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut server = ServerProcess::start(&data);
    let camera = gst::parse::launch(&format!(
        "videotestsrc is-live=true pattern=ball name=camera ! video/x-raw,format=I420,\
         width=320,height=240,framerate=50/1 ! x264enc tune=zerolatency aud=false key-int-max=20 \
         ! h264parse ! kvssink name=sink stream-name=durable endpoint={}",
        server.url()
    ))
    .expect("a pipeline that parses");
    let camera = camera.downcast::<gst::Pipeline>().expect("a pipeline");
    let sink = camera.by_name("sink").expect("the sink is in it");
    let (sent, (passed, frames)) = (Frames::default(), mpsc::channel());
    keep_frames(
        &sink.static_pad("video_0").expect("a sink pad"),
        &sent,
        passed,
    );
    let acked = harness::persisted_fragments(&camera);

    camera
        .set_state(gst::State::Playing)
        .expect("a pipeline that starts");
    kill_again_and_again(&mut server, &data, &frames);
    camera.send_event(gst::event::Eos::new());
    harness::wait_for_end(&camera);
    camera
        .set_state(gst::State::Null)
        .expect("a pipeline that stops");

    let sent = sent.lock().expect("nobody panics with it").clone();
    let back = read_back(server.url());
    assert_eq!(back.len(), sent.len(), "number of frames");
    for (at, (sent, back)) in sent.iter().zip(&back).enumerate() {
        assert!(
            without_parameter_sets(sent) == *back,
            "frame {at} came back altered"
        );
    }
    let stored = harness::stored_fragments(server.url(), "durable");
    let acked = acked.lock().expect("nobody panics with it").clone();
    let lost = acked.difference(&stored).collect::<BTreeSet<_>>();
    assert!(
        lost.is_empty(),
        "acknowledged as PERSISTED and gone: {lost:?}"
    );
    server.kill();
    assert_eq!(check(&data), "", "at the end");
}

//! What our muxer writes, GStreamer's own demuxer reads without a warning.

use std::sync::{Arc, Mutex};

use gst::prelude::*;
use kvs_media::ProducerTime;
use kvs_media::mkv::{Muxer, MuxerSettings};

use crate::harness;

const VIDEO: &str = "videotestsrc num-buffers=90 ! video/x-raw,format=I420,width=320,height=240,\
    framerate=30/1 ! x264enc key-int-max=30 bframes=2";
const AUDIO: &str = "audiotestsrc num-buffers=130 ! audio/x-raw,rate=48000,channels=2 \
    ! avenc_aac ! aacparse";

/// A movie as `kvssink` sends it: one cluster a second, video and sound interleaved.
fn movie() -> (Vec<u8>, [usize; 2]) {
    let server = harness::Server::start();
    harness::Run::to_end(&format!(
        "{VIDEO} ! kvssink name=k stream-name=movie streaming-type=offline endpoint={} \
         {AUDIO} ! k.",
        server.url()
    ));
    let recording = server.read_back("movie");
    let settings = MuxerSettings::default();
    let mut muxer = Muxer::new(&recording.tracks, &settings).expect("tracks that can be muxed");
    let mut out = vec![muxer.header()];
    let (video, mut previous) = (recording.video().number, None);
    for frame in &recording.frames {
        let second = frame.time.as_ms() / 1000;
        if previous != Some(second) && frame.track == video && frame.key || previous.is_none() {
            // Sound and reordered pictures of this cluster may lie before its key frame.
            let start = ProducerTime::from_ms(frame.time.as_ms() - 1000);
            muxer.begin_cluster(start, &mut out);
            previous = Some(second);
        }
        muxer
            .frame(frame, &mut out)
            .expect("a frame that fits its cluster");
    }
    let video_frames = recording.frames_of(recording.video()).count();
    let audio_frames = recording.frames_of(recording.audio()).count();
    (out.concat(), [video_frames, audio_frames])
}

/// Collects every warning and error that Matroska's elements log.
fn watch_log() -> Arc<Mutex<Vec<String>>> {
    let complaints = Arc::<Mutex<Vec<String>>>::default();
    let collected = Arc::clone(&complaints);
    gst::log::set_threshold_for_name("matroska*", gst::DebugLevel::Warning);
    gst::log::add_log_function(move |category, level, _, _, _, _, message| {
        if category.name().starts_with("matroska") && level <= gst::DebugLevel::Warning {
            let text = message
                .get()
                .map(|text| text.to_string())
                .unwrap_or_default();
            collected.lock().expect("nobody panics with it").push(text);
        }
    });
    complaints
}

#[test]
fn matroskademux_reads_what_we_write_without_a_warning() {
    harness::init();
    let (bytes, wanted) = movie();
    assert!(
        wanted.iter().all(|&frames| frames > 50),
        "a movie of two tracks: {wanted:?}"
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("movie.mkv");
    std::fs::write(&file, bytes).expect("a file that can be written");

    let complaints = watch_log();
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! matroskademux name=d d.video_0 ! queue ! fakesink name=video \
         d.audio_0 ! queue ! fakesink name=audio",
        file.display()
    ))
    .expect("a pipeline that parses")
    .downcast::<gst::Pipeline>()
    .expect("a pipeline");
    let counts = ["video", "audio"].map(|name| {
        let count = Arc::new(Mutex::new(0));
        let sink = pipeline.by_name(name).expect("the sink is in it");
        let counted = Arc::clone(&count);
        let pad = sink.static_pad("sink").expect("a sink has a pad");
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            *counted.lock().expect("nobody panics with it") += 1;
            gst::PadProbeReturn::Ok
        });
        count
    });
    harness::run_to_end(&pipeline);
    let found = counts.map(|count| *count.lock().expect("nobody panics with it"));
    assert_eq!(found, wanted, "frames of video and audio");
    assert_eq!(
        *complaints.lock().expect("nobody panics with it"),
        Vec::<String>::new()
    );
}

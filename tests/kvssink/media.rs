//! Each form of media arrives as it was sent.

use kvs_media::codec::nal::{DecoderConfig, length_prefixed};
use kvs_media::codec::{aac, g711, h264};

use super::{CAMERA, FRAMES};
use crate::harness::{Run, Server};

/// Uploads a camera through `caps` and checks what is stored of it.
fn camera_arrives(caps: &str, encoder_settings: &str) {
    let server = Server::start();
    Run::to_end(&format!(
        "{CAMERA} {encoder_settings} ! {caps} ! kvssink stream-name=cam endpoint={}",
        server.url()
    ));
    let stored = server.read_back("cam");
    assert_eq!(stored.frames.len(), FRAMES, "{caps}");
    let video = stored.video();
    assert_eq!(video.codec_id, h264::CODEC_ID);
    let avcc = video.codec_private.as_deref().expect("an avcC");
    h264::AvcConfig::parse(avcc).expect("a valid avcC");
    let keys: Vec<_> = (0..FRAMES).filter(|&n| stored.frames[n].key).collect();
    assert_eq!(keys, [0, 15, 30, 45], "{caps}");
    for frame in &stored.frames {
        let data = frame.data.to_bytes();
        length_prefixed(&data, 4).for_each(|nal| {
            nal.expect("lengths fit the frame");
        });
    }
}

#[test]
fn h264_as_byte_stream_by_access_unit() {
    camera_arrives("video/x-h264,stream-format=byte-stream,alignment=au", "");
}

#[test]
fn h264_as_byte_stream_by_nal_unit() {
    camera_arrives(
        "h264parse ! video/x-h264,stream-format=byte-stream,alignment=nal",
        "",
    );
}

#[test]
fn h264_as_avc_by_access_unit() {
    camera_arrives("video/x-h264,stream-format=avc,alignment=au", "");
}

#[test]
fn b_frames_keep_their_order_and_their_times() {
    let server = Server::start();
    // A live one gives nothing before the clock runs, after which the wall clock is not read again.
    let camera = CAMERA.replace("videotestsrc", "videotestsrc is-live=true");
    Run::to_end(&format!(
        "{camera} bframes=2 b-adapt=false ! video/x-h264,profile=main \
         ! kvssink stream-name=cam endpoint={}",
        server.url()
    ));
    let stored = server.read_back("cam");
    assert_eq!(stored.frames.len(), FRAMES);
    let times: Vec<_> = stored
        .frames
        .iter()
        .map(|frame| frame.time.as_ms())
        .collect();
    assert!(
        !times.is_sorted(),
        "pictures are shown in another order than sent"
    );
    let mut shown = times.clone();
    shown.sort_unstable();
    let span = shown[FRAMES - 1] - shown[0];
    assert!(
        (1966..=1968).contains(&span),
        "{span} ms between the first and the last picture"
    );
}

#[test]
fn aac_beside_video() {
    let server = Server::start();
    Run::to_end(&format!(
        "kvssink name=k stream-name=cam streaming-type=offline endpoint={} {CAMERA} ! k. \
         audiotestsrc num-buffers=86 ! audio/x-raw,rate=44100,channels=1 ! avenc_aac ! k.",
        server.url()
    ));
    let stored = server.read_back("cam");
    assert_eq!(stored.frames_of(stored.video()).count(), FRAMES);
    let audio = stored.audio();
    assert_eq!(audio.codec_id, aac::CODEC_ID);
    assert!(stored.frames_of(audio).count() >= 86);
}

#[test]
fn g711_alone() {
    for (encoder, law) in [("alawenc", g711::Law::A), ("mulawenc", g711::Law::Mu)] {
        let server = Server::start();
        Run::to_end(&format!(
            "audiotestsrc num-buffers=100 samplesperbuffer=160 \
             ! audio/x-raw,rate=8000,channels=1 ! {encoder} \
             ! kvssink stream-name=phone endpoint={}",
            server.url()
        ));
        let stored = server.read_back("phone");
        assert_eq!(stored.frames.len(), 100, "{encoder}");
        let format = stored
            .audio()
            .codec_private
            .as_deref()
            .expect("a WAVEFORMATEX");
        let format = g711::G711::parse(format).expect("of G.711");
        assert_eq!(
            (format.law, format.sample_rate, format.channels),
            (law, 8000, 1)
        );
    }
}

#[test]
fn a_file_begins_at_its_start_time() {
    let server = Server::start();
    Run::to_end(&format!(
        "{CAMERA} ! kvssink stream-name=file streaming-type=offline \
         file-start-time=1700000000 endpoint={}",
        server.url()
    ));
    let stored = server.read_back("file");
    assert_eq!(stored.frames[0].time.as_ms(), 1_700_000_000_000);
    assert_eq!(stored.frames[FRAMES - 1].time.as_ms(), 1_700_000_001_966);
}

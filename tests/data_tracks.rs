//! Data beside video and alone, through the service and back: bytes, times and caps as they were.

use gst::prelude::*;
use kvs_media::TrackKind;

use crate::harness::{self, Run};
use crate::kvssink::fed::{Fed, Film, START_MS};
use crate::kvssrc::viewer::{Seen, Viewer};

/// The film's pictures are so far apart, and each 15th is a key frame.
const PICTURE_MS: u64 = 33;

fn caps(text: &str) -> gst::Caps {
    harness::init();
    text.parse().expect("caps")
}

/// A value and its time.
type Value = (u64, Vec<u8>);

fn buffer(bytes: &[u8]) -> gst::Buffer {
    gst::Buffer::from_slice(bytes.to_vec())
}

/// Everything that comes back on a pad: its caps, and values with the producer's time.
fn come_back(url: &str, pad: &str) -> (gst::Caps, Vec<Value>) {
    let viewer = Viewer::play(url, "cam", &[("mode", "archive")]);
    let (mut caps, mut values) = (None, Vec::new());
    loop {
        match viewer.next() {
            Seen::Frame {
                pad: from,
                buffer,
                caps: of_pad,
                ..
            } if from == pad => {
                let meta = buffer.meta::<gst::ReferenceTimestampMeta>();
                let time = meta.expect("the producer's clock").timestamp().mseconds();
                let map = buffer.map_readable().expect("readable");
                values.push((time - START_MS, map.to_vec()));
                caps = Some(of_pad);
            }
            Seen::Error { error } => panic!("{error}"),
            Seen::PipelineEos(_) => break,
            _ => {}
        }
    }
    viewer.set_state(gst::State::Null);
    (caps.expect("a value came"), values)
}

/// Sends values beside a film, and compares what comes back.
fn goes_through(text: &str, pad: &str, values: &[Value]) {
    let (film, fed) = (Film::new(), Fed::playing());
    let wanted = caps(text);
    let video = fed.source("video_%u", &film.caps);
    let data = fed.source(pad, &wanted);
    let mut rest = values.iter().peekable();
    for (picture, at) in film.pictures.iter().zip((0..).step_by(PICTURE_MS as usize)) {
        while let Some((time, bytes)) = rest.next_if(|(time, _)| *time <= at) {
            data.push(&buffer(bytes), *time);
        }
        video.push(picture, at);
    }
    fed.end(&[&video, &data]);
    let (found, back) = come_back(fed.server.url(), "data_0");
    assert!(found.is_strictly_equal(&wanted), "{found} of {wanted}");
    assert_eq!(back, values, "{text}");
}

fn values(times: impl IntoIterator<Item = u64>, bytes: usize) -> Vec<Value> {
    let value = |time: u64| {
        let fill = |at: usize| (time as usize * 31 + at) as u8;
        (time, (0..bytes).map(fill).collect())
    };
    times.into_iter().map(value).collect()
}

#[test]
fn thermal_pictures_come_back_with_their_caps() {
    let caps = "video/x-raw,format=GRAY16_LE,width=80,height=60,framerate=9/1,\
                pixel-aspect-ratio=1/1,interlace-mode=progressive";
    let pictures = values((0..1900).step_by(111), 80 * 60 * 2);
    goes_through(caps, "data_0", &pictures);
}

#[test]
fn klv_json_text_and_bytes_come_back_with_their_caps() {
    let sparse = [0, 10, 600, 1900];
    for caps in [
        "meta/x-klv,parsed=true",
        "application/json",
        "text/x-raw,format=utf8",
        "application/octet-stream",
    ] {
        goes_through(caps, "data_%u", &values(sparse, 70));
    }
}

#[test]
fn any_caps_go_through_a_pad_that_has_a_name() {
    let points = "application/x-radar,version=2,head=(buffer)00ff,scale=(double)0.125";
    goes_through(points, "data_7", &values([5, 900], 4000));
    goes_through("video/x-vp8,width=8,height=8", "data_0", &values([40], 30));
}

#[test]
fn equal_values_in_a_row_are_news_each_time() {
    let again = |time| (time, b"the same".to_vec());
    goes_through("application/json", "data_0", &[0, 200, 1200].map(again));
}

#[test]
fn a_value_that_holds_is_repeated_in_each_fragment_without_the_key_flag() {
    let (film, fed) = (Film::new(), Fed::playing());
    let video = fed.source("video_%u", &film.caps);
    let data = fed.source("data_%u", &caps("application/json"));
    data.push(&buffer(b"{}"), 0);
    for (picture, at) in film.pictures.iter().zip((0..).step_by(PICTURE_MS as usize)) {
        video.push(picture, at);
        let at = gst::ClockTime::from_mseconds(at);
        data.event(gst::event::Gap::new(at, gst::ClockTime::NONE));
    }
    let stored = fed.end(&[&video, &data]);
    assert_eq!(fed.stat("connections"), 1, "no fragment lacks the track");
    let tracks = &stored.tracks;
    let is_data = |kind: &TrackKind| matches!(kind, TrackKind::Data(33));
    let track = tracks.iter().find(|track| is_data(&track.kind));
    let track = track.expect("a track of metadata");
    assert_eq!(track.codec_id, "D_GSTREAMER/CAPS/1");
    let private = track.codec_private.as_deref();
    assert_eq!(private, Some(&b"application/json"[..]));
    let flags: Vec<_> = stored.frames_of(track).map(|frame| frame.key).collect();
    assert_eq!(flags, [true, false, false, false]);
    for frame in stored.frames_of(track) {
        assert_eq!(frame.data.to_bytes(), &b"{}"[..]);
    }
    // Repeats are no frames that could be lost.
    assert_eq!(fed.stat("frames-persisted"), 61);
    let (_, back) = come_back(fed.server.url(), "data_0");
    assert_eq!(back, [(0, b"{}".to_vec())]);
}

#[test]
fn data_alone_is_cut_by_its_duration() {
    let fed = Fed::new();
    fed.sink.set_property("fragment-duration", 1000_u32);
    fed.set_state(gst::State::Playing);
    let data = fed.source("data_0", &caps("application/json"));
    let wanted = values((0..5000).step_by(250), 20);
    for (time, bytes) in &wanted {
        data.push(&buffer(bytes), *time);
    }
    let stored = fed.end(&[&data]);
    assert_eq!(stored.fragments.len(), 5);
    let (_, back) = come_back(fed.server.url(), "data_0");
    assert_eq!(back, wanted);
}

#[test]
fn new_caps_of_data_open_a_session() {
    let fed = Fed::playing();
    let data = fed.source("data_0", &caps("application/json,version=1"));
    data.push(&buffer(b"1"), 0);
    data.event(gst::event::Caps::new(&caps("application/json,version=2")));
    data.push(&buffer(b"2"), 500);
    fed.end(&[&data]);
    let (found, back) = come_back(fed.server.url(), "data_0");
    assert_eq!(back, [(0, b"1".to_vec()), (500, b"2".to_vec())]);
    assert_eq!(found, caps("application/json,version=2"));
}

#[test]
fn raw_media_does_not_become_data_by_accident() {
    harness::init();
    for source in ["videotestsrc", "audiotestsrc", "videotestsrc ! theoraenc"] {
        let linked = gst::parse::launch(&format!("{source} ! kvssink name=k stream-name=cam"));
        let error = linked.expect_err(source);
        assert!(error.matches(gst::ParseError::Link), "{source}: {error}");
    }
}

#[test]
fn media_with_a_pad_of_its_own_is_not_taken_as_data() {
    let mut run = Run::play(
        "videotestsrc num-buffers=3 ! jpegenc ! k.data_0 \
         kvssink name=k stream-name=cam endpoint=http://127.0.0.1:9",
    );
    run.wait_for_error();
}

//! What properties do, as the server sees it.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use gst::prelude::*;
use serde_json::json;

use super::{CAMERA, FRAMES, element};
use crate::harness::{Recording, Run, Server};

/// Uploads the camera with these properties; what is stored.
fn uploaded(server: &Server, properties: &str) -> Recording {
    Run::to_end(&format!(
        "{CAMERA} ! kvssink stream-name=cam endpoint={} {properties}",
        server.url()
    ));
    server.read_back("cam")
}

fn times_ms(stored: &Recording) -> Vec<u64> {
    let times = stored.frames.iter();
    times.map(|frame| frame.time.as_ms()).collect()
}

fn wall_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.expect("after 1970").as_millis() as u64
}

#[test]
fn a_new_stream_is_made_as_it_was_described() {
    let server = Server::start();
    uploaded(
        &server,
        "retention-period=7 content-type=video/h264 kms-key-id=alias/cameras \
         stream-tags=stream-tags,site=(string)north,floor=(string)2",
    );
    let described = server.call("/describeStream", &json!({"StreamName": "cam"}));
    let info = &described["StreamInfo"];
    assert_eq!(info["DataRetentionInHours"], 7);
    assert_eq!(info["MediaType"], "video/h264");
    assert_eq!(info["KmsKeyId"], "alias/cameras");
    let tags = server.call("/listTagsForStream", &json!({"StreamName": "cam"}));
    assert_eq!(tags["Tags"], json!({"site": "north", "floor": "2"}));
}

#[test]
fn a_stream_that_exists_gets_the_tags_that_it_lacks() {
    let server = Server::start();
    server.call(
        "/createStream",
        &json!({"StreamName": "cam", "DataRetentionInHours": 1, "Tags": {"owner": "porter"}}),
    );
    uploaded(&server, "stream-tags=stream-tags,site=(string)north");
    let tags = server.call("/listTagsForStream", &json!({"StreamName": "cam"}));
    assert_eq!(tags["Tags"], json!({"site": "north", "owner": "porter"}));
}

#[test]
fn tags_that_are_no_strings_are_an_error_that_says_so() {
    let element = element();
    let tags = gst::Structure::builder("stream-tags").field("floor", 2);
    element.set_property("stream-tags", tags.build());
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    assert!(element.set_state(gst::State::Ready).is_err());
    let message = bus
        .pop_filtered(&[gst::MessageType::Error])
        .expect("an error");
    let gst::MessageView::Error(error) = message.view() else {
        panic!("{message:?} is no error");
    };
    let said = error.error().to_string();
    assert!(said.contains("floor is no string"), "{said}");
}

#[test]
fn a_stream_is_found_by_its_arn() {
    let server = Server::start();
    let made = server.call(
        "/createStream",
        &json!({"StreamName": "cam", "DataRetentionInHours": 1}),
    );
    let arn = made["StreamARN"].as_str().expect("an ARN");
    Run::to_end(&format!(
        "{CAMERA} ! kvssink stream-name=other stream-arn={arn} endpoint={}",
        server.url()
    ));
    assert_eq!(server.read_back("cam").frames.len(), FRAMES);
}

#[test]
fn a_track_is_called_what_it_was_told_to_be() {
    let server = Server::start();
    let stored = uploaded(&server, "codec-id=V_TEST track-name=porch");
    let video = stored.video();
    assert_eq!(video.codec_id, "V_TEST");
    assert_eq!(video.name.as_deref(), Some("porch"));
}

#[test]
fn times_are_as_coarse_as_the_scale() {
    let server = Server::start();
    let stored = uploaded(&server, "timecode-scale=10");
    let times = times_ms(&stored);
    assert_eq!(times.len(), FRAMES);
    assert!(times.iter().all(|ms| ms % 10 == 0), "{times:?}");
}

#[test]
fn without_frame_timecodes_a_frame_has_the_time_at_which_it_arrives() {
    let server = Server::start();
    let before = wall_ms();
    let stored = uploaded(&server, "frame-timecodes=false");
    let (times, after) = (times_ms(&stored), wall_ms());
    assert_eq!(times.len(), FRAMES);
    let arrived = |ms: &u64| (before..=after).contains(ms);
    assert!(times.iter().all(arrived), "{times:?}");
}

#[test]
fn original_times_are_those_of_the_buffers() {
    /// x264enc begins here.
    const HOURS_1000_MS: u64 = 1000 * 60 * 60 * 1000;
    let server = Server::start();
    let times = times_ms(&uploaded(&server, "use-original-pts=true"));
    assert_eq!(times.first(), Some(&HOURS_1000_MS));
    assert_eq!(times.iter().max(), Some(&(HOURS_1000_MS + 1966)));
}

#[test]
fn relative_times_are_stored_as_the_same() {
    let server = Server::start();
    let stored = uploaded(
        &server,
        "absolute-fragment-times=false streaming-type=offline file-start-time=1700000000",
    );
    let times = times_ms(&stored);
    assert_eq!(times.len(), FRAMES);
    assert_eq!(times.first(), Some(&1_700_000_000_000));
    assert_eq!(times.iter().max(), Some(&1_700_000_001_966));
}

#[test]
fn without_acks_the_upload_ends_and_nothing_is_acknowledged() {
    let server = Server::start();
    let mut run = Run::to_end(&format!(
        "{CAMERA} ! kvssink stream-name=cam fragment-acks=false endpoint={}",
        server.url()
    ));
    let is_ack = |message: &gst::Message| {
        let structure = message.structure();
        structure.is_some_and(|structure| structure.has_name("kvs-fragment-ack"))
    };
    assert!(!run.pending().iter().any(is_ack));
    drop(run);
    server.wait_until_left();
    assert_eq!(server.read_back("cam").frames.len(), FRAMES);
}

#[test]
fn signals_tell_of_acks_and_figures() {
    let server = Server::start();
    let run = Run::new(&format!(
        "{CAMERA} ! kvssink name=k stream-name=cam get-kvs-metrics=true endpoint={}",
        server.url()
    ));
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = run.element("k");
    for signal in ["fragment-ack", "stream-client-metric"] {
        let told = Arc::clone(&told);
        sink.connect(signal, false, move |values| {
            let structure: gst::Structure = values[1].get().expect("a structure");
            told.lock().expect("nobody panics with it").push(structure);
            None
        });
    }
    let mut run = run;
    run.set_state(gst::State::Playing);
    run.wait_for_eos();
    let told = told.lock().expect("nobody panics with it");
    let persisted = told.iter().filter(|ack| ack.get("type") == Ok("persisted"));
    assert_eq!(persisted.count(), 4);
    let metrics = told
        .iter()
        .filter(|figures| figures.has_field("frames-persisted"));
    assert_eq!(metrics.count(), 4);
}

#[test]
fn a_full_buffer_is_told_of_before_it_drops() {
    let element = element();
    element.set_property("endpoint", "http://127.0.0.1:9");
    let mut run = Run::new(
        "videotestsrc is-live=true pattern=snow \
         ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 \
         ! x264enc key-int-max=5 speed-preset=ultrafast tune=zerolatency bitrate=20000 \
         ! kvssink stream-name=cam storage-size=1 endpoint=http://127.0.0.1:9",
    );
    run.set_state(gst::State::Playing);
    let percents = [50_u32, 80, 95].map(|_| {
        let pressure = run.wait_for_structure("kvs-pressure");
        assert_eq!(pressure.get("reason"), Ok("buffer"));
        pressure.get::<u32>("percent").expect("a number")
    });
    assert_eq!(percents, [50, 80, 95]);
    let dropped = run.wait_for_structure("kvs-dropped");
    assert_eq!(dropped.get("reason"), Ok("the buffer is full"));
}

#[test]
fn a_property_without_effect_says_so_in_the_log() {
    let element = element();
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = {
        let (said, element) = (Arc::clone(&said), element.downgrade());
        gst::log::add_log_function(move |category, level, _, _, _, object, message| {
            let element = element.upgrade();
            let is_ours = object.is_some_and(|object| {
                element
                    .as_ref()
                    .is_some_and(|element| object.to_string().contains(&*element.name()))
            });
            if category.name() == "kvssink" && level == gst::DebugLevel::Info && is_ours {
                let text = message.get().map(|text| text.to_string());
                said.lock().expect("nobody panics with it").extend(text);
            }
        })
    };
    gst::log::set_threshold_for_name("kvssink", gst::DebugLevel::Info);
    element.set_property("framerate", 30_u32);
    element.set_property("avg-bandwidth-bps", 1_000_000_u32);
    element.set_property("recalculate-metrics", false);
    element.set_property("log-config", "somewhere");
    element.set_property("storage-size", 64_u32);
    gst::log::set_threshold_for_name("kvssink", gst::DebugLevel::None);
    gst::log::remove_log_function(log);
    let said = said.lock().expect("nobody panics with it");
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(
        said.iter().all(|line| line.contains("has no effect")),
        "{said:?}"
    );
}

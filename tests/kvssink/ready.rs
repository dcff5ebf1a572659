//! The way up to PAUSED and back: what is checked, and when the connection is made.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use gst::prelude::*;

use super::fed::{Fed, Film, packet, phone};
use super::{CAMERA, FRAMES};
use crate::harness::{Run, Server};

/// A service that takes connections and never answers.
struct Silent {
    endpoint: String,
    taken: mpsc::Receiver<TcpStream>,
}

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (take, taken) = mpsc::channel();
        std::thread::spawn(move || {
            let streams = listener.incoming().filter_map(Result::ok);
            // Until the test is over.
            streams.map(|stream| take.send(stream)).find(Result::is_err)
        });
        Self {
            endpoint: format!("http://{address}"),
            taken,
        }
    }

    fn take(&self) -> TcpStream {
        const HANG: Duration = Duration::from_secs(60);
        self.taken.recv_timeout(HANG).expect("a connection")
    }
}

#[test]
fn in_ready_the_element_connects_and_tells() {
    let server = Server::start();
    let mut run = Run::new(&format!(
        "{CAMERA} ! kvssink name=k stream-name=cam endpoint={}",
        server.url()
    ));
    run.set_state(gst::State::Ready);
    run.wait_for_state("ready");
    run.set_state(gst::State::Playing);
    run.wait_for("EOS, and no other beginning", |message| {
        let state = message.structure().filter(|s| s.has_name("kvs-state"));
        let state = state.and_then(|s| s.get::<&str>("state").ok());
        assert_ne!(
            state,
            Some("describing"),
            "one upload for READY and PLAYING"
        );
        matches!(message.view(), gst::MessageView::Eos(_)).then_some(())
    });
    assert_eq!(server.read_back("cam").frames.len(), FRAMES);
}

#[test]
fn pads_that_come_once_it_is_connected_are_one_session() {
    let (fed, film) = (Fed::new(), Film::new());
    fed.set_state(gst::State::Ready);
    fed.wait_for_text("kvs-state", "state", "ready");
    fed.set_state(gst::State::Paused);
    let video = fed.source("video_0", &film.caps);
    let audio = fed.source("audio_0", &phone());
    fed.set_state(gst::State::Playing);
    for (n, picture) in film.pictures.iter().enumerate() {
        video.push(picture, n as u64 * 100);
        audio.push(&packet(), n as u64 * 100);
    }
    let stored = fed.end(&[&video, &audio]);
    assert_eq!(stored.frames.len(), 2 * FRAMES);
    assert_eq!(fed.stat("connections"), 1);
}

#[test]
fn no_state_change_waits_for_a_service_that_does_not_answer() {
    let (silent, fed) = (Silent::new(), Fed::new());
    fed.sink.set_property("endpoint", &silent.endpoint);
    let pad = fed.sink.request_pad_simple("video_0").expect("a pad");
    for up in [gst::State::Ready, gst::State::Paused, gst::State::Playing] {
        fed.set_state(up);
        let mut connection = silent.take();
        fed.set_state(gst::State::Null);
        // The request, and the end of the connection.
        let mut request = Vec::new();
        let ended = connection.read_to_end(&mut request);
        assert!(ended.is_ok(), "{ended:?}");
    }
    fed.sink.release_request_pad(&pad);
}

#[test]
fn a_setting_that_changes_in_ready_is_taken() {
    let server = Server::start();
    let mut run = Run::new(&format!(
        "{CAMERA} ! kvssink name=k stream-name=one endpoint={}",
        server.url()
    ));
    run.set_state(gst::State::Ready);
    run.wait_for_state("ready");
    run.element("k").set_property("stream-name", "other");
    run.set_state(gst::State::Playing);
    run.wait_for_eos();
    assert_eq!(server.read_back("other").frames.len(), FRAMES);
    assert!(server.read_back("one").frames.is_empty());
}

#[test]
fn what_has_failed_in_ready_begins_anew() {
    let server = Server::start();
    let mut run = Run::new(&format!(
        "{CAMERA} ! kvssink name=k stream-name=cam allow-create-stream=false endpoint={}",
        server.url()
    ));
    run.set_state(gst::State::Ready);
    let error = run.wait_for_error();
    assert!(error.matches(gst::ResourceError::NotFound), "{error}");
    // Somebody makes the stream.
    Run::to_end(&format!(
        "{CAMERA} ! kvssink stream-name=cam endpoint={}",
        server.url()
    ));
    run.set_state(gst::State::Playing);
    run.wait_for_eos();
    assert_eq!(server.read_back("cam").frames.len(), 2 * FRAMES);
}

#[test]
fn a_setting_that_makes_no_sense_is_named_and_can_be_mended() {
    let server = Server::start();
    for (property, value) in [
        ("stream-name", "no spaces"),
        ("endpoint", "localhost:5600"),
        ("aws-region", "EU west"),
        ("ca-file", "/nowhere/ca.pem"),
    ] {
        let mut run = Run::new(&format!(
            "{CAMERA} ! kvssink name=k stream-name=cam endpoint={}",
            server.url()
        ));
        let sink = run.element("k");
        sink.set_property(property, value);
        assert!(run.pipeline.set_state(gst::State::Ready).is_err());
        let error = run.wait_for_error();
        assert!(error.matches(gst::ResourceError::Settings), "{error}");
        assert!(error.message().contains(property), "{error}");
        run.set_state(gst::State::Null);
        let right = match property {
            "stream-name" => Some("cam"),
            "endpoint" => Some(server.url()),
            _ => None,
        };
        sink.set_property(property, right);
        run.set_state(gst::State::Playing);
        run.wait_for_eos();
    }
}

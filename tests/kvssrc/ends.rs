//! What ends a reading besides its range: the stream goes, EOS comes, a pad stands still.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

impl Server {
    fn delete(&self, stream: &str) {
        let mut config = kvs_client::ConnectionConfig::new(stream.parse().expect("a name"));
        config.endpoint = Some(self.url());
        let service = kvs_client::Service::new(config);
        let described = self.runtime.block_on(service.describe_stream());
        let body = format!(
            r#"{{"StreamARN":"{}"}}"#,
            described.expect("it is there").arn
        );
        let mut socket = TcpStream::connect(self.address()).expect("the server listens");
        write!(
            socket,
            "POST /deleteStream HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address(),
            body.len()
        )
        .expect("the server reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// A frame of a megabyte.
fn large(track: u64, time_ms: u64) -> kvs_media::Frame {
    kvs_media::Frame {
        data: kvs_media::FrameData::from(bytes::Bytes::from(vec![7; 1 << 20])),
        ..frame(track, time_ms, true)
    }
}

#[test]
fn a_live_stream_that_is_deleted_ends_with_its_name() {
    let server = Server::start();
    drop(server.recorded("cam", 2));
    let properties = [("start", "earliest"), ("retry-attempts", "2")];
    let viewer = Viewer::play(&server.url(), "cam", &properties);
    viewer.frames(20);
    server.delete("cam");
    let error = viewer.error();
    assert!(error.matches(gst::ResourceError::NotFound), "{error}");
    assert!(error.message().contains("cam"), "{error}");
}

#[test]
fn an_archive_that_is_deleted_while_it_is_read_ends() {
    let server = Server::start();
    server.create("cam");
    let mut camera = Camera::open(server.address(), "cam", &[video()]);
    for n in 0..60 {
        camera.fragment(&[large(1, T0 + 1000 * n)]);
    }
    camera.end_of_fragment();
    drop(camera);
    let viewer = Viewer::new(&server.url(), "cam", &[("mode", "archive")]);
    viewer.set_state(gst::State::Paused);
    viewer.prerolled();
    server.delete("cam");
    viewer.set_state(gst::State::Playing);
    let error = viewer.error();
    assert!(error.matches(gst::ResourceError::NotFound), "{error}");
    assert!(error.message().contains("cam"), "{error}");
}

#[test]
fn an_archive_that_grows_ends_where_it_was_listed() {
    let server = Server::start();
    let mut camera = server.recorded("cam", 3);
    let viewer = Viewer::new(&server.url(), "cam", &[("mode", "archive")]);
    viewer.set_state(gst::State::Paused);
    viewer.prerolled();
    for n in 3..6 {
        camera.fragment(&second_of_video(n));
    }
    camera.end_of_fragment();
    viewer.set_state(gst::State::Playing);
    assert_eq!(payloads(&viewer.until_eos()), video_payloads(0..3));
}

#[test]
fn eos_while_frames_arrive_comes_behind_whole_frames_in_order() {
    let server = Server::start();
    server.create("cam");
    let mut camera = Camera::open(server.address(), "cam", &[video()]);
    camera.fragment(&second_of_video(0));
    let viewer = Viewer::play(&server.url(), "cam", &[("start", "earliest")]);
    let mut seen = vec![viewer.frame()];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (1..50).for_each(|n| camera.fragment(&second_of_video(n)));
        });
        seen.extend((0..25).map(|_| viewer.frame()));
        assert!(viewer.pipeline.send_event(gst::event::Eos::new()));
        seen.extend(viewer.until_eos());
    });
    let all = video_payloads(0..50);
    assert_eq!(payloads(&seen), all[..seen.len()]);
}

#[test]
fn others_flow_while_a_pad_stands_still_up_to_the_bound_of_the_queues() {
    /// The queues hold 64 MiB together; a little more is on its way.
    const FRAMES_MAX: usize = 64 + 4;
    const SECONDS: u64 = 80;
    let server = Server::start();
    server.create("cam");
    let mut camera = Camera::open(server.address(), "cam", &[video(), audio()]);
    for n in 0..SECONDS {
        let time_ms = T0 + 1000 * n;
        camera.fragment(&[frame(1, time_ms, true), large(2, time_ms)]);
    }
    camera.end_of_fragment();
    let viewer = Viewer::new(&server.url(), "cam", &[("mode", "archive")]);
    let (sender, blocked) = std::sync::mpsc::channel();
    viewer.element.connect_pad_added(move |_, pad| {
        if pad.name() == "audio_0" {
            let first = AtomicBool::new(true);
            let mask = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
            let probe = pad.add_probe(mask, move |_, _| {
                // The first one prerolls its sink, without which nothing plays.
                match first.swap(false, Ordering::Relaxed) {
                    true => gst::PadProbeReturn::Pass,
                    false => gst::PadProbeReturn::Ok,
                }
            });
            let _ = sender.send((pad.clone(), probe));
        }
    });
    viewer.set_state(gst::State::Playing);
    let is_video = |(pad, _): &(String, gst::Buffer)| pad == "video_0";
    let mut seen = Vec::new();
    while seen.iter().filter(|frame| is_video(frame)).count() < 60 {
        seen.push(viewer.frame());
    }
    let (pad, probe) = blocked.recv().expect("audio has a pad");
    while let Some(more) = viewer.try_next() {
        if let Seen::Frame { pad, buffer, .. } = more {
            seen.push((pad, buffer));
        }
    }
    let flowed = seen.iter().filter(|frame| is_video(frame)).count();
    assert!(flowed <= FRAMES_MAX, "{flowed}");
    assert_eq!(seen.len() - flowed, 1, "audio stands still");
    pad.remove_probe(probe.expect("the probe was added"));
    seen.extend(viewer.until_eos());
    assert_eq!(seen.len() as u64, 2 * SECONDS);
}

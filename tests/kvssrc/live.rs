//! `mode=live`: frames as they arrive, through whatever ends a connection.

use super::*;

#[test]
fn frames_come_out_as_they_go_in() {
    let server = Server::start();
    server.create("cam");
    let mut camera = Camera::open(server.address(), "cam", &[video()]);
    camera.fragment(&[frame(1, T0, true)]);
    let viewer = Viewer::play(&server.url(), "cam", &[("start", "earliest")]);
    let (pad, first) = viewer.frame();
    assert_eq!((pad.as_str(), bytes(&first)), ("video_0", payload(1, T0)));
    // Each is seen before the next is sent: nothing waits for the end of a fragment.
    for n in 1..20 {
        camera.frames(&[frame(1, T0 + 40 * n, false)]);
        let (_, buffer) = viewer.frame();
        assert_eq!(bytes(&buffer), payload(1, T0 + 40 * n));
        assert_eq!(pts_ms(&buffer), pts_ms(&first) + 40 * n);
    }
}

#[test]
fn an_idle_end_of_the_request_loses_nothing() {
    let server = Server::start();
    let mut camera = server.recorded("cam", 2);
    let viewer = Viewer::play(&server.url(), "cam", &[("start", "earliest")]);
    let mut seen = payloads(&(0..20).map(|_| viewer.frame()).collect::<Vec<_>>());
    for second in 2..4 {
        let reconnects = viewer.stat("reconnects");
        loop {
            let state = viewer.message("kvs-state");
            if state.get("state") == Ok("reconnecting") {
                break;
            }
        }
        assert!(viewer.stat("reconnects") > reconnects.saturating_sub(1));
        camera.fragment(&second_of_video(second));
        camera.end_of_fragment();
        seen.extend(viewer.frames(10).into_iter().map(|(_, bytes)| bytes));
    }
    assert_eq!(seen, video_payloads(0..4));
}

#[test]
fn a_restart_of_the_server_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::on_disk(folder.path());
    drop(server.recorded("cam", 3));
    let viewer = Viewer::play(&server.url(), "cam", &[("start", "earliest")]);
    let mut seen = payloads(&(0..30).map(|_| viewer.frame()).collect::<Vec<_>>());
    server.inner.crash();
    server.inner.start_again();
    let mut camera = Camera::open(server.address(), "cam", &[video()]);
    camera.fragment(&second_of_video(3));
    camera.end_of_fragment();
    seen.extend(viewer.frames(10).into_iter().map(|(_, bytes)| bytes));
    assert_eq!(seen, video_payloads(0..4));
    assert!(viewer.stat("reconnects") > 0);
}

#[test]
fn a_server_that_has_forgotten_the_stream_is_waited_for() {
    let mut server = Server::start();
    drop(server.recorded("cam", 1));
    let viewer = Viewer::play(&server.url(), "cam", &[("start", "earliest")]);
    viewer.frames(10);
    server.inner.crash();
    server.inner.start_again();
    // The second answer from now on is one of the new server, which knows no stream.
    let answers = viewer.stat("reconnects") + 2;
    let begin = Instant::now();
    while viewer.stat("reconnects") < answers {
        assert!(begin.elapsed() < Duration::from_secs(60), "it gave up");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    server.create("cam");
    let mut camera = Camera::open(server.address(), "cam", &[video()]);
    camera.fragment(&second_of_video(1));
    camera.end_of_fragment();
    let seen: Vec<_> = viewer
        .frames(10)
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    assert_eq!(seen, video_payloads(1..2));
}

#[test]
fn a_token_goes_on_where_another_run_was() {
    let server = Server::start();
    server.recorded("cam", 3);
    let first = Viewer::play(&server.url(), "cam", &[("start", "earliest")]);
    first.message("kvs-fragment");
    let token = first
        .message("kvs-fragment")
        .get::<String>("continuation-token")
        .expect("a token");
    drop(first);
    let second = Viewer::play(&server.url(), "cam", &[("continuation-token", &token)]);
    let seen: Vec<_> = second
        .frames(10)
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    assert_eq!(seen, video_payloads(2..3));
}

#[test]
fn a_stop_time_ends_it() {
    let server = Server::start();
    server.recorded("cam", 4);
    let properties = [("start-time", "1700000001"), ("stop-time", "1700000002.45")];
    let viewer = Viewer::play(&server.url(), "cam", &properties);
    let expected: Vec<_> = video_payloads(1..3).into_iter().take(15).collect();
    assert_eq!(payloads(&viewer.until_eos()), expected);
}

#[test]
fn eos_from_outside_comes_behind_the_data() {
    let server = Server::start();
    server.recorded("cam", 1);
    let viewer = Viewer::play(&server.url(), "cam", &[("start", "earliest")]);
    viewer.frames(10);
    assert!(viewer.pipeline.send_event(gst::event::Eos::new()));
    viewer.until_eos();
}

#[test]
fn eos_before_the_first_frame_is_an_error_and_no_hang() {
    let server = Server::start();
    server.create("cam");
    let viewer = Viewer::play(&server.url(), "cam", &[]);
    viewer.message("kvs-state");
    assert!(viewer.element.send_event(gst::event::Eos::new()));
    assert!(viewer.error().message().contains("cam"));
}

#[test]
fn a_live_source_says_so() {
    let server = Server::start();
    server.recorded("cam", 1);
    let viewer = Viewer::new(&server.url(), "cam", &[("start", "earliest")]);
    assert_eq!(
        viewer.set_state(gst::State::Paused),
        gst::StateChangeSuccess::NoPreroll
    );
    viewer.find(|seen| match seen {
        Seen::NoMorePads => Some(()),
        Seen::Frame { .. } => panic!("a frame in PAUSED"),
        _ => None,
    });
    let mut latency = gst::query::Latency::new();
    assert!(viewer.element.query(&mut latency));
    assert!(latency.result().0, "it is live");
    viewer.set_state(gst::State::Playing);
    assert_eq!(viewer.frames(10).len(), 10);
}

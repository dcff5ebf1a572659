//! State changes and errors: nothing hangs, and an error says what to do.

use super::*;

#[test]
fn it_stops_at_once_in_every_state_of_its_connection() {
    /// It takes some milliseconds; a machine that is busy with other tests takes longer.
    const SOON: Duration = Duration::from_secs(2);
    let server = Server::start();
    server.recorded("cam", 3);
    server.create("silent");
    let nobody = "http://127.0.0.1:9";
    let url = server.url();
    type Properties<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, &str, Properties<'_>); 6] = [
        (nobody, "cam", &[]),
        (nobody, "cam", &[("mode", "archive")]),
        (&url, "silent", &[]),
        (&url, "missing", &[]),
        (&url, "cam", &[("start", "earliest")]),
        (&url, "cam", &[("mode", "archive")]),
    ];
    for (url, stream, properties) in cases {
        for state in [gst::State::Ready, gst::State::Paused, gst::State::Playing] {
            for wait_ms in [0, 20] {
                let viewer = Viewer::new(url, stream, properties);
                viewer.set_state(state);
                // A moment later it is somewhere else on its way.
                std::thread::park_timeout(Duration::from_millis(wait_ms));
                let begin = Instant::now();
                viewer.set_state(gst::State::Null);
                let took = begin.elapsed();
                assert!(
                    took < SOON,
                    "{took:?} in {state:?} of {stream} {properties:?}"
                );
                assert!(viewer.element.pads().is_empty());
            }
        }
    }
}

#[test]
fn it_plays_again_after_ready() {
    let server = Server::start();
    server.recorded("cam", 2);
    let viewer = Viewer::new(&server.url(), "cam", &[("mode", "archive")]);
    for _ in 0..5 {
        viewer.set_state(gst::State::Playing);
        assert_eq!(viewer.frames(1)[0].1, payload(1, T0));
        viewer.set_state(gst::State::Ready);
        for sink in viewer.pipeline.iterate_sinks().into_iter().flatten() {
            sink.set_state(gst::State::Null).expect("the sink stops");
            viewer.pipeline.remove(&sink).expect("the sink is there");
        }
        while viewer.try_next().is_some() {}
    }
}

#[test]
fn an_unknown_stream_is_named() {
    let server = Server::start();
    for mode in ["live", "archive"] {
        let viewer = Viewer::play(&server.url(), "no-such-cam", &[("mode", mode)]);
        let error = viewer.error();
        assert!(error.matches(gst::ResourceError::NotFound), "{error}");
        assert!(error.message().contains("no-such-cam"), "{error}");
    }
}

#[test]
fn a_wrong_endpoint_is_an_error_and_not_tried_for_ever() {
    Server::start();
    for mode in ["live", "archive"] {
        let viewer = Viewer::play("http://127.0.0.1:9", "cam", &[("mode", mode)]);
        let error = viewer.error();
        assert!(error.matches(gst::ResourceError::OpenRead), "{error}");
    }
}

#[test]
fn wrong_credentials_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("credentials");
    let keys = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = right\n";
    std::fs::write(&file, keys).expect("a file");
    let server = Server::with(kvs_server::Config {
        credentials: Some(file),
        ..kvs_server::Config::default()
    });
    for mode in ["live", "archive"] {
        let properties = [
            ("mode", mode),
            ("access-key", "AKIDEXAMPLE"),
            ("secret-key", "wrong"),
        ];
        let viewer = Viewer::play(&server.url(), "cam", &properties);
        let error = viewer.error();
        assert!(error.matches(gst::ResourceError::NotAuthorized), "{error}");
        assert!(!error.message().contains("wrong"), "{error}");
    }
}

#[test]
fn a_property_that_makes_no_sense_is_named_at_ready() {
    Server::start();
    let viewer = Viewer::new("http://127.0.0.1:9", "cam", &[("start-time", "yesterday")]);
    assert!(viewer.pipeline.set_state(gst::State::Ready).is_err());
    let error = viewer.error();
    assert!(error.matches(gst::ResourceError::Settings), "{error}");
    assert!(
        error.message().contains("start-time=\"yesterday\""),
        "{error}"
    );
}

#[test]
fn secrets_read_back_as_null() {
    Server::start();
    let element = gst::ElementFactory::make("kvssrc").build().expect("kvssrc");
    element.set_property("secret-key", "very secret");
    assert_eq!(element.property::<Option<String>>("secret-key"), None);
}

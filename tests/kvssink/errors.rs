//! What goes wrong is one error that says what to do.

use gst::prelude::*;
use kvs_server::Config;

use super::CAMERA;
use crate::harness::{Run, Server};

#[test]
fn a_wrong_setting_is_an_error_at_ready() {
    let mut run =
        Run::new("videotestsrc ! x264enc ! kvssink access-key=A endpoint=http://127.0.0.1:9");
    assert!(run.pipeline.set_state(gst::State::Ready).is_err());
    let error = run.wait_for_error();
    assert!(error.matches(gst::ResourceError::Settings), "{error}");
    assert!(error.message().contains("secret-key"), "{error}");
}

#[test]
fn a_wrong_endpoint_says_what_to_do() {
    let mut run = Run::play(&format!(
        "{CAMERA} ! kvssink stream-name=cam retry-attempts=1 endpoint=http://127.0.0.1:9"
    ));
    let error = run.wait_for_error();
    assert!(error.message().contains("endpoint"), "{error}");
}

#[test]
fn wrong_credentials_are_one_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let credentials = folder.path().join("credentials");
    std::fs::write(
        &credentials,
        "[default]\naws_access_key_id = AKIDRIGHT\naws_secret_access_key = right\n",
    )
    .expect("a file");
    let server = Server::start_with(Config {
        credentials: Some(credentials),
        ..Config::default()
    });
    let mut run = Run::play(&format!(
        "{CAMERA} ! kvssink stream-name=cam access-key=AKIDRIGHT secret-key=wrong endpoint={}",
        server.url()
    ));
    let error = run.wait_for_error();
    assert!(error.matches(gst::ResourceError::NotAuthorized), "{error}");
    assert!(error.message().contains("credentials"), "{error}");
    assert!(!error.message().contains("wrong"), "{error}");
    run.set_state(gst::State::Ready);
    let more = run.pending();
    let is_error = |message: &gst::Message| message.type_() == gst::MessageType::Error;
    assert!(!more.iter().any(is_error), "{more:?}");
}

#[test]
fn a_stream_that_may_not_be_created_is_not_found() {
    let server = Server::start();
    let mut run = Run::play(&format!(
        "{CAMERA} ! kvssink stream-name=none allow-create-stream=false endpoint={}",
        server.url()
    ));
    let error = run.wait_for_error();
    assert!(error.matches(gst::ResourceError::NotFound), "{error}");
    assert!(error.message().contains("stream-name"), "{error}");
}

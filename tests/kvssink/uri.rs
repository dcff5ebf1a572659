//! A stream and its properties in one string.

use gst::prelude::*;

use super::{CAMERA, FRAMES, element};
use crate::harness::{Run, Server};

fn escaped(text: &str) -> String {
    gst::glib::Uri::escape_string(text, None, false).to_string()
}

#[test]
fn a_uri_is_enough() {
    let server = Server::start();
    let endpoint = escaped(server.url());
    Run::to_end(&format!(
        "{CAMERA} ! kvssink uri=\"kvs://eu-west-1/cam?endpoint={endpoint}&fragment-duration=500\""
    ));
    assert_eq!(server.read_back("cam").frames.len(), FRAMES);
}

#[test]
fn gstreamer_makes_the_element_of_a_uri() {
    super::harness::init();
    let uri = "kvs://eu-west-1/cam?leaky=no&spool-path=%2Ftmp%2Fa%20b&post-messages=false";
    let sink = gst::Element::make_from_uri(gst::URIType::Sink, uri, None);
    let sink = sink.expect("kvssink takes such URIs");
    assert_eq!(sink.property::<String>("aws-region"), "eu-west-1");
    assert_eq!(sink.property::<String>("stream-name"), "cam");
    assert_eq!(sink.property::<String>("spool-path"), "/tmp/a b");
    assert!(!sink.property::<bool>("post-messages"));
    assert_eq!(sink.property::<String>("uri"), "kvs://eu-west-1/cam");
    let value = sink.property_value("leaky");
    let (_, leaky) = gst::glib::EnumValue::from_value(&value).expect("an enum");
    assert_eq!(leaky.nick(), "no");
}

#[test]
fn what_is_wrong_with_a_uri_is_told_and_nothing_of_it_is_taken() {
    let handler = element().dynamic_cast::<gst::URIHandler>();
    let handler = handler.expect("the element takes URIs");
    for (uri, says) in [
        ("kvs://eu-west-1", "names no stream"),
        ("kvs://eu-west-1/a/b", "names no stream"),
        ("kvs://key:secret@eu-west-1/cam", "credentials"),
        ("kvs://eu-west-1/cam?secret-key=do-not-show", "secret"),
        ("kvs://eu-west-1/cam?access-key=do-not-show", "secret"),
        ("kvs://eu-west-1/cam?odd=1", "odd is no property"),
        ("kvs://eu-west-1/cam?name=k", "name is no property"),
        ("kvs://eu-west-1/cam?stats=1", "stats is no property"),
        (
            "kvs://eu-west-1/cam?storage-size=much",
            "storage-size does not take",
        ),
        ("kvs://eu-west-1/cam?leaky=maybe", "leaky does not take"),
        ("kvs://eu-west-1/cam?ca-file", "no value"),
        ("kvs://eu-west-1/cam?ca-file=%zz", "no URI"),
    ] {
        let error = handler.set_uri(uri).expect_err(uri);
        assert!(error.message().contains(says), "{uri}: {error}");
        assert!(!error.message().contains("do-not-show"), "{error}");
        assert_eq!(handler.uri(), None, "{uri}");
    }
}

#[test]
fn a_wrong_uri_in_the_property_is_an_error_at_ready() {
    for (uri, says) in [
        ("kvs://eu-west-1/cam?odd=1", "uri: odd"),
        ("http://eu-west-1/cam", "uri: it does not begin with kvs://"),
    ] {
        let mut run = Run::new(&format!("{CAMERA} ! kvssink uri={uri}"));
        assert!(run.pipeline.set_state(gst::State::Ready).is_err());
        let error = run.wait_for_error();
        assert!(error.message().contains(says), "{error}");
    }
}

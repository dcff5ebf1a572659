//! What fails in the service or on the way to it, and what comes of it: the table of faults.

use gst::prelude::*;
use kvs_server::Config;
use serde_json::{Value, json};

use super::{CAMERA, FRAMES};
use crate::harness::{Run, Server};

fn server(faults: &[Value]) -> Server {
    let server = Server::start_with(Config {
        faults: true,
        ..Config::default()
    });
    for fault in faults {
        server.call("/_kvs/faults", fault);
    }
    server
}

/// A film of four fragments, as fast as it goes.
fn upload(server: &Server) -> Run {
    let run = Run::new(&format!(
        "{CAMERA} tune=zerolatency ! kvssink name=k stream-name=cam endpoint={} \
         streaming-type=offline connection-staleness=1 stop-stream-timeout=5",
        server.url()
    ));
    run.set_state(gst::State::Playing);
    run
}

fn stat(run: &Run, name: &str) -> u64 {
    let stats: gst::Structure = run.element("k").property("stats");
    stats.get(name).expect("a figure")
}

/// All frames are stored, whatever happens on the way.
fn costs_nothing(fault: &Value) {
    let server = server(std::slice::from_ref(fault));
    let mut run = upload(&server);
    run.wait_for_eos();
    assert_eq!(stat(&run, "frames-persisted"), FRAMES as u64, "{fault}");
    assert_eq!(stat(&run, "frames-dropped"), 0, "{fault}");
    let stored = server.play_back("cam");
    assert_eq!(stored.frames.len(), FRAMES, "{fault}");
    let faults = server.get("/_kvs/faults");
    let fired = faults["faults"][0]["fired"].as_u64();
    assert!(fired >= Some(1), "{fault} did not happen: {faults}");
}

#[test]
fn connections_that_are_refused_or_break_cost_nothing() {
    for fault in [
        json!({"kind": "refuse", "count": 4}),
        json!({"kind": "cut", "operation": "DescribeStream", "count": 2}),
        json!({"kind": "cut", "operation": "PutMedia", "direction": "request", "at_bytes": 0,
               "count": 2}),
        json!({"kind": "cut", "operation": "PutMedia", "direction": "request", "at_bytes": 9000,
               "count": 3}),
        json!({"kind": "cut", "operation": "PutMedia", "direction": "response", "at_bytes": 100,
               "how": "close", "count": 2}),
    ] {
        costs_nothing(&fault);
    }
}

#[test]
fn requests_that_are_answered_with_an_error_cost_nothing() {
    for name in [
        "ClientLimitExceededException",
        "ConnectionLimitExceededException",
        "InvalidEndpointException",
        "NotAuthorizedException",
    ] {
        let fault = json!({"kind": "answer", "name": name, "operation": "PutMedia", "count": 1});
        costs_nothing(&fault);
    }
    for status in [500, 502, 503, 504] {
        for operation in ["PutMedia", "GetDataEndpoint"] {
            costs_nothing(
                &json!({"kind": "answer", "status": status, "operation": operation,
                                  "count": 2}),
            );
        }
    }
}

#[test]
fn a_service_that_is_silent_costs_nothing() {
    for fault in [
        json!({"kind": "ack_drop", "event": "PERSISTED", "count": 1}),
        json!({"kind": "ack_drop", "event": "RECEIVED"}),
        json!({"kind": "ack_delay", "event": "PERSISTED", "delay_ms": 300}),
        // It reads no more, or answers no more: a peer that has vanished looks the same.
        json!({"kind": "stall", "operation": "PutMedia", "direction": "request", "at_bytes": 9000,
               "count": 1}),
        json!({"kind": "stall", "operation": "PutMedia", "direction": "response", "count": 1}),
    ] {
        costs_nothing(&fault);
    }
}

#[test]
fn a_fragment_that_is_refused_once_costs_nothing() {
    for id in [
        4000, 4001, 4002, 4003, 4004, 4006, 4008, 4009, 4011, 4503, 5000, 5001,
    ] {
        costs_nothing(&json!({"kind": "ack_error", "id": id, "fragment": 2, "count": 1}));
    }
}

#[test]
fn an_error_that_will_not_get_better_is_an_error_on_the_bus() {
    for id in [4005, 4007, 4010, 4012, 4500, 4501, 4502, 4504, 4505, 4506] {
        let server = server(&[json!({"kind": "ack_error", "id": id, "fragment": 2})]);
        let mut run = upload(&server);
        let error = run.wait_for_error();
        assert!(error.message().contains(&id.to_string()), "{id}: {error}");
    }
}

#[test]
fn a_fragment_that_nothing_helps_goes_alone_and_is_told() {
    // The third, each time that it is sent.
    let server = server(&[json!({"kind": "ack_error", "id": 4006, "after": 2, "count": 2})]);
    let mut run = upload(&server);
    let dropped = run.wait_for_structure("kvs-dropped");
    let reason: &str = dropped.get("reason").expect("a reason");
    assert!(reason.contains("4006"), "{reason}");
    let frames: u64 = dropped.get("frames").expect("a number");
    let error = run.wait_for_error();
    assert!(error.message().contains("were lost"), "{error}");
    assert_eq!(stat(&run, "frames-persisted"), FRAMES as u64 - frames);
    assert_eq!(frames, FRAMES as u64 / 4, "one fragment");
}

#[test]
fn eos_waits_no_longer_than_it_was_told_and_names_what_is_not_confirmed() {
    let server = server(&[json!({"kind": "ack_drop", "event": "PERSISTED"})]);
    let mut run = Run::new(&format!(
        "{CAMERA} ! kvssink name=k stream-name=cam endpoint={} stop-stream-timeout=1",
        server.url()
    ));
    run.set_state(gst::State::Playing);
    let text = run.wait_for("a warning", |message| match message.view() {
        gst::MessageView::Warning(warning) => Some(warning.error().to_string()),
        _ => None,
    });
    assert!(text.contains("60 frames"), "{text}");
    run.wait_for_eos();
}

#[test]
fn who_is_not_let_in_does_not_knock_again_and_again() {
    let server = server(&[json!({"kind": "answer", "name": "NotAuthorizedException",
                                 "operation": "PutMedia"})]);
    let mut run = upload(&server);
    let error = run.wait_for_error();
    assert!(error.message().contains("credentials"), "{error}");
    let connections = stat(&run, "connections");
    assert!(
        connections <= 2,
        "once more with new credentials: {connections}"
    );
}

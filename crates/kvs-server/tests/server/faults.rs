//! Faults on purpose: how they are added, listed and cleared, and those that meet a request.

use std::net::SocketAddr;
use std::time::Duration;

use kvs_server::{Config, Handle, Server};
use serde_json::{Value, json};

use crate::harness::{Reply, create, post, send, short, soon, upload};
use crate::movie;
use crate::signing::{call, credentials};

pub(crate) const FAULTS: &str = "/_kvs/faults";

/// A server in memory that fails as it is told.
pub(crate) async fn start() -> Handle {
    let config = Config {
        faults: true,
        get_media_idle: Some(Duration::from_millis(50)),
        ..Config::default()
    };
    Server::start(config).await.expect("it starts")
}

/// A request without a body.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str) -> Reply {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    send(address, request.as_bytes()).await.body().await
}

/// Adds a fault and gives its id.
pub(crate) async fn add(address: SocketAddr, fault: &Value) -> u64 {
    let reply = post(address, FAULTS, &fault.to_string()).await;
    let said = String::from_utf8_lossy(&reply.body);
    assert_eq!(reply.status, 200, "{fault}: {said}");
    reply.json()["id"].as_u64().expect("an id")
}

pub(crate) async fn list(address: SocketAddr) -> Vec<Value> {
    let reply = ask(address, "GET", FAULTS).await;
    assert_eq!(reply.status, 200);
    let listed = reply.json();
    listed["faults"].as_array().expect("a list").clone()
}

/// How often the newest fault has fired.
pub(crate) async fn fired(address: SocketAddr) -> u64 {
    let faults = list(address).await;
    let newest = faults.last().expect("there is a fault");
    newest["fired"].as_u64().expect("a number")
}

/// Waits until the newest fault has fired.
pub(crate) async fn until_fired(address: SocketAddr) {
    soon("a fault", async { while fired(address).await == 0 {} }).await;
}

pub(crate) async fn clear(address: SocketAddr) {
    assert_eq!(ask(address, "DELETE", FAULTS).await.status, 200);
}

async fn describe(address: SocketAddr, stream: &str) -> Reply {
    let json = format!(r#"{{"StreamName":"{stream}"}}"#);
    post(address, "/describeStream", &json).await
}

#[tokio::test]
async fn without_the_flag_the_path_is_unknown() {
    let server = crate::harness::start().await;
    for method in ["GET", "POST", "DELETE"] {
        let reply = ask(server.address(), method, FAULTS).await;
        assert_eq!(reply.status, 404, "{method}");
        assert_eq!(reply.error(), "UnknownOperationException");
    }
}

#[tokio::test]
async fn faults_are_added_listed_and_cleared() {
    let server = start().await;
    let address = server.address();
    assert_eq!(list(address).await, [] as [Value; 0]);
    let fault = json!({"kind": "answer", "status": 503, "operation": "PutMedia", "stream": "cam",
        "after": 1, "every": 2, "probability": 0.5, "seed": 7, "count": 3});
    assert_eq!(add(address, &fault).await, 1);
    let mut expected = fault;
    expected["id"] = 1.into();
    expected["seen"] = 0.into();
    expected["fired"] = 0.into();
    assert_eq!(list(address).await, [expected]);
    let plain = json!({"kind": "answer", "status": 500, "operation": "GetMedia"});
    assert_eq!(add(address, &plain).await, 2);
    assert_eq!(ask(address, "DELETE", "/_kvs/faults/1").await.status, 200);
    assert_eq!(list(address).await.len(), 1);
    for path in ["/_kvs/faults/1", "/_kvs/faults/x"] {
        let reply = ask(address, "DELETE", path).await;
        assert_eq!(
            (reply.status, reply.error()),
            (404, "ResourceNotFoundException")
        );
    }
    clear(address).await;
    assert_eq!(list(address).await.len(), 0);
    assert_eq!(add(address, &plain).await, 3, "no id is used twice");
}

#[tokio::test]
async fn there_are_at_most_64() {
    let server = start().await;
    let address = server.address();
    let fault = json!({"kind": "delay", "delay_ms": 1});
    for _ in 0..64 {
        add(address, &fault).await;
    }
    let reply = post(address, FAULTS, &fault.to_string()).await;
    assert_eq!(reply.error(), "ClientLimitExceededException");
    assert_eq!(list(address).await.len(), 64);
}

/// A fault that is refused, and what the refusal says.
const BAD: &[(&str, &str)] = &[
    ("", "a fault is one JSON object"),
    ("[]", "a fault is one JSON object"),
    ("{}", "expected one of `answer`, `delay`, "),
    (
        r#"{"kind":"explode"}"#,
        "expected one of `answer`, `delay`, ",
    ),
    (r#"{"kind":"delay"}"#, "missing field `delay_ms`"),
    (r#"{"kind":"delay","delay_ms":-1}"#, "expected u64"),
    (r#"{"kind":"delay","delay_ms":3600001}"#, "at most 3600000"),
    (
        r#"{"kind":"delay","delay_ms":1,"ms":1}"#,
        "unknown field `ms`, expected `delay_ms`; what any fault may have: operation, stream",
    ),
    (r#"{"kind":"refuse"}"#, "needs a count"),
    (
        r#"{"kind":"refuse","count":1,"stream":"cam"}"#,
        "about the whole server",
    ),
    (
        r#"{"kind":"cut","at_ms":1,"at_bytes":1}"#,
        "at_ms, or at_bytes and direction, or none",
    ),
    (
        r#"{"kind":"cut","at_bytes":1,"direction":"up"}"#,
        "`request` or `response`",
    ),
    (r#"{"kind":"cut","how":"slowly"}"#, "`reset` or `close`"),
    (
        r#"{"kind":"ack_drop","operation":"PutMedia"}"#,
        "a stream and no operation",
    ),
    (
        r#"{"kind":"ack_drop","event":"LOST"}"#,
        "`BUFFERING`, `RECEIVED`",
    ),
    (r#"{"kind":"ack_error","id":0}"#, "from 1 to 9999"),
    (
        r#"{"kind":"disk_error","call":"sing"}"#,
        "`read`, `write`, `sync`",
    ),
    (
        r#"{"kind":"disk_full","stream":"cam"}"#,
        "about the whole server",
    ),
    (
        r#"{"kind":"clock_step","by_ms":1,"count":1}"#,
        "holds until it is cleared",
    ),
    (
        r#"{"kind":"clock_step","by_ms":-9000000000000}"#,
        "by_ms is from",
    ),
    (r#"{"kind":"stall"}"#, "missing field `direction`"),
    (
        r#"{"kind":"throttle","direction":"request","bytes_per_second":0}"#,
        "at least 1",
    ),
    (r#"{"kind":"answer"}"#, "a status, the name of"),
    (r#"{"kind":"answer","status":199}"#, "from 200 to 599"),
    (r#"{"kind":"answer","name":"a\r\nb"}"#, "letters and digits"),
    (
        r#"{"kind":"answer","name":"ThrotlingException"}"#,
        "no exception ThrotlingException",
    ),
    (
        r#"{"kind":"answer","status":500,"operation":"Sing"}"#,
        "operation is one of CreateStream, ",
    ),
    (
        r#"{"kind":"answer","status":500,"stream":"a b"}"#,
        "the name of a stream",
    ),
    (
        r#"{"kind":"answer","status":500,"probability":1.5}"#,
        "from 0 to 1",
    ),
    (r#"{"kind":"answer","status":500,"count":0}"#, "at least 1"),
    (
        r#"{"kind":"answer","status":500,"seed":1}"#,
        "goes with probability",
    ),
];

#[tokio::test]
async fn a_bad_fault_is_told_what_is_allowed() {
    let server = start().await;
    for (fault, says) in BAD {
        let reply = post(server.address(), FAULTS, fault).await;
        assert_eq!(reply.error(), "InvalidArgumentException", "{fault}");
        let said = reply.json()["Message"].to_string();
        assert!(said.contains(says), "{fault}: {said}");
    }
    assert_eq!(list(server.address()).await.len(), 0);
}

#[tokio::test]
async fn an_answer_takes_the_place_of_the_operations_own() {
    let server = start().await;
    let address = server.address();
    for stream in ["cam", "door"] {
        create(address, stream, 24).await;
    }
    add(
        address,
        &json!({"kind": "answer", "name": "ClientLimitExceededException", "message": "Slower.",
            "operation": "DescribeStream", "stream": "cam", "after": 1, "count": 2}),
    )
    .await;
    assert_eq!(describe(address, "cam").await.status, 200);
    for _ in 0..2 {
        assert_eq!(describe(address, "door").await.status, 200);
        let reply = describe(address, "cam").await;
        assert_eq!(
            (reply.status, reply.error()),
            (400, "ClientLimitExceededException")
        );
        assert_eq!(reply.json()["Message"], "Slower.");
        assert!(reply.header("x-amzn-requestid").is_some());
    }
    let described = describe(address, "cam").await;
    assert_eq!(described.status, 200);
    assert_eq!(list(address).await[0]["seen"], 4);
    assert_eq!(fired(address).await, 2);
    let arn = &described.json()["StreamInfo"]["StreamARN"];
    add(
        address,
        &json!({"kind": "answer", "status": 429, "stream": "cam"}),
    )
    .await;
    let by_arn = json!({"StreamARN": arn}).to_string();
    let reply = post(address, "/describeStream", &by_arn).await;
    assert_eq!((reply.status, reply.error()), (429, "none"));
    let put = crate::harness::Put::open(address, "cam").await;
    assert_eq!(put.status, 429);
    let acks = upload(address, "door", &movie::body(1)).await;
    assert_eq!(short(&acks), "B1 R1 P1");
    assert_eq!(ask(address, "GET", "/healthz").await.status, 200);
    clear(address).await;
    let acks = upload(address, "cam", &movie::body(1)).await;
    assert_eq!(short(&acks), "B1 R1 P1");
}

#[tokio::test]
async fn the_same_seed_fails_the_same_requests() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        add(
            address,
            &json!({"kind": "answer", "status": 503, "probability": 0.5, "seed": seed}),
        )
        .await;
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(describe(address, "cam").await.status);
        }
        clear(address).await;
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn a_delay_lasts_until_it_is_cleared_at_most() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    add(address, &json!({"kind": "delay", "delay_ms": 3_600_000})).await;
    let waiting = tokio::spawn(async move { describe(address, "cam").await });
    until_fired(address).await;
    assert!(!waiting.is_finished());
    clear(address).await;
    assert_eq!(waiting.await.expect("an answer").status, 200);
}

#[tokio::test]
async fn with_credentials_it_takes_a_key_that_administers_every_stream() {
    let fault = json!({"kind": "delay", "delay_ms": 1}).to_string();
    for (lines, status) in [
        ("", 200),
        ("kvs_actions = admin\n", 200),
        ("kvs_actions = read, write\n", 403),
        ("kvs_streams = cam-*\n", 403),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            faults: true,
            credentials: Some(credentials(&folder, lines)),
            ..Config::default()
        };
        let server = Server::start(config).await.expect("it starts");
        let address = server.address();
        let signed = call(&address.to_string(), FAULTS, &fault);
        let reply = send(address, signed.as_bytes()).await;
        assert_eq!(reply.status, status, "{lines}");
        for method in ["GET", "DELETE"] {
            assert_eq!(ask(address, method, FAULTS).await.status, 403, "{method}");
        }
    }
}

#[tokio::test]
async fn no_foreign_web_page_adds_a_fault() {
    let server = start().await;
    let address = server.address();
    for header in [
        "Host: evil.example",
        "Host: localhost\r\nOrigin: http://evil.example",
    ] {
        let request = format!("DELETE {FAULTS} HTTP/1.1\r\n{header}\r\n\r\n");
        assert_eq!(send(address, request.as_bytes()).await.status, 403);
    }
}

#[tokio::test]
async fn each_fault_of_the_documentation_is_taken() {
    let server = start().await;
    let address = server.address();
    let page = include_str!("../../../../docs/faults.md");
    let mut kinds = std::collections::BTreeSet::new();
    // Last: after them no request would be answered.
    let (refusals, others): (Vec<_>, Vec<_>) = page
        .lines()
        .filter_map(|line| line.split_once(" -d '")?.1.split_once('\''))
        .map(|(fault, _)| fault)
        .partition(|fault| fault.contains("refuse"));
    for fault in others.into_iter().chain(refusals) {
        let fault: Value = serde_json::from_str(fault).expect(fault);
        kinds.insert(fault["kind"].to_string());
        add(address, &fault).await;
    }
    assert_eq!(kinds.len(), 13, "{kinds:?}");
}

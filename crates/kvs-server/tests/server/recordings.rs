//! What AWS's own producer sent, sent again.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use kvs_media::mkv::{Demuxer, Event, Limits};
use kvs_protocol::Ack;
use kvs_server::{Config, Handle, Server};

use crate::harness::{Put, send, short};
use crate::signing::{call, credentials, resign};

/// The folder of recordings, if this machine has one.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("KVS_TEST_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: no recordings");
    }
    folder.map(|folder| folder.join("aws-kvssink"))
}

/// Clusters of a body that are whole, and whether the body ends inside one.
fn clusters(body: &[u8]) -> (usize, bool) {
    let mut demuxer = Demuxer::new(Limits::default());
    demuxer.push(Bytes::copy_from_slice(body));
    let mut ends = 0;
    while let Ok(Some(event)) = demuxer.next() {
        ends += usize::from(matches!(event, Event::ClusterEnd { .. }));
    }
    match demuxer.finish() {
        Ok(Some(Event::ClusterEnd { .. })) => (ends + 1, false),
        Ok(_) => (ends, false),
        Err(_) => (ends, true),
    }
}

fn header(head: &str, name: &str) -> String {
    let line = head
        .lines()
        .find(|line| line.starts_with(name))
        .expect("the header is there");
    line.split_once(": ").expect("a header").1.to_owned()
}

/// Sends a body with its own head, in chunks of the size that AWS's producer sends a backlog in.
async fn replay(case: &Path, head: &str, body: &[u8]) -> (Vec<Ack>, bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        credentials: Some(credentials(&folder, "")),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("a good file");
    let stream = header(head, "x-amzn-stream-name");
    let json = format!(r#"{{"StreamName":"{stream}","DataRetentionInHours":2}}"#);
    let create = call("127.0.0.1", "/createStream", &json);
    assert_eq!(send(server.address(), create.as_bytes()).await.status, 200);
    let mut put = Put::with_head(server.address(), &resign(head, b"")).await;
    assert_eq!(put.status, 200, "{}", case.display());
    let continued = put.continued;
    for chunk in body.chunks(64 * 1024) {
        put.send(chunk).await.expect("taken");
    }
    put.end().await;
    let acks = put.acks().await;
    server.stop().await;
    (acks, continued)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_is_taken_with_its_own_head() {
    let Some(folder) = folder() else { return };
    let mut bodies = 0;
    for case in std::fs::read_dir(&folder).expect("the recordings are there") {
        for file in std::fs::read_dir(case.expect("a folder").path()).expect("a folder") {
            let path = file.expect("a file").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if !name.ends_with("_putMedia.mkv") {
                continue;
            }
            bodies += 1;
            let head = std::fs::read_to_string(path.with_extension("head")).expect("its head");
            let body = std::fs::read(&path).expect("its body");
            let (acks, continued) = replay(&path, &head, &body).await;
            assert!(
                continued,
                "{}: 100 Continue before any body",
                path.display()
            );
            check(&path, &body, &acks);
        }
    }
    assert_eq!(bodies, 7);
}

/// The 14 calls of the control plane, each when there is what it asks for.
#[tokio::test]
async fn every_call_before_a_body_is_answered() {
    let Some(folder) = folder() else { return };
    let keys = tempfile::tempdir().expect("a folder");
    let config = Config {
        credentials: Some(credentials(&keys, "")),
        account_id: "123456789012".into(),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("a good file");
    let mut calls = 0;
    for case in std::fs::read_dir(&folder).expect("the recordings are there") {
        let files = std::fs::read_dir(case.expect("a folder").path()).expect("a folder");
        for path in files.map(|file| file.expect("a file").path()) {
            let is_call = path.extension().is_some_and(|ending| ending == "body");
            if !is_call || path.to_string_lossy().contains("putMedia") {
                continue;
            }
            calls += 1;
            let head = std::fs::read_to_string(path.with_extension("head")).expect("its head");
            let body = std::fs::read_to_string(&path).expect("its body");
            answer(&server, &head, &body).await;
        }
    }
    assert_eq!(calls, 14);
    server.stop().await;
}

/// Makes the stream that the call is about, unless the call does, and expects the call to succeed.
async fn answer(server: &Handle, head: &str, body: &str) {
    let json: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let named = json["StreamName"].as_str();
    let recorded = json["StreamARN"].as_str();
    let name = named.or_else(|| recorded?.split('/').nth(1));
    let stream = serde_json::json!({"StreamName": name.expect("a stream")}).to_string();
    let ask = async |path: &str, json: &str| {
        let request = call("127.0.0.1", path, json);
        send(server.address(), request.as_bytes())
            .await
            .body()
            .await
    };
    if !head.starts_with("POST /createStream ") {
        ask("/createStream", &stream).await;
    }
    let described = ask("/describeStream", &stream).await.json();
    // The ARN of the recording has the creation time of another stream.
    let body = match (recorded, described["StreamInfo"]["StreamARN"].as_str()) {
        (Some(recorded), Some(arn)) => body.replace(recorded, arn),
        _ => body.to_owned(),
    };
    let length = format!("{}", body.len());
    let lines = head.trim_end().lines().map(|line| match line {
        line if line.to_ascii_lowercase().starts_with("content-length:") => {
            format!("Content-Length: {length}")
        }
        line => line.to_owned(),
    });
    let head = lines.collect::<Vec<_>>().join("\r\n");
    let request = resign(&head, body.as_bytes()) + &body;
    let reply = send(server.address(), request.as_bytes())
        .await
        .body()
        .await;
    assert_eq!(reply.status, 200, "{head}: {reply:?}");
    if let Some(arn) = described["StreamInfo"]["StreamARN"].as_str() {
        let json = serde_json::json!({"StreamARN": arn}).to_string();
        assert_eq!(ask("/deleteStream", &json).await.status, 200);
    }
}

#[tokio::test]
async fn a_whole_body_is_persisted_to_its_last_fragment() {
    let Some(folder) = folder() else { return };
    let path = folder.join("http1/putmedia-150-frames.mkv");
    let body = std::fs::read(&path).expect("the body");
    let head = std::fs::read_to_string(folder.join("http1/003_putMedia.head")).expect("its head");
    let (acks, _) = replay(&path, &head, &body).await;
    assert_eq!(short(&acks).matches('P').count(), 3, "{}", short(&acks));
    assert!(!short(&acks).contains('E'), "{}", short(&acks));
}

/// Every whole fragment is acked in order, and a body cut inside one says so at its end.
fn check(path: &Path, body: &[u8], acks: &[Ack]) {
    let (whole, cut) = clusters(body);
    let said = short(acks);
    let count = |kind: &str| {
        said.split(' ')
            .filter(|word| word.starts_with(kind))
            .count()
    };
    let name = path.display();
    assert_eq!(count("P"), whole, "{name}: {said}");
    assert_eq!(count("R"), whole, "{name}: {said}");
    assert_eq!(count("E"), usize::from(cut), "{name}: {said}");
    for nth in 1..=whole {
        let at = |kind| said.find(&format!("{kind}{nth}")).expect("one of each");
        assert!(at("B") < at("R") && at("R") < at("P"), "{name}: {said}");
    }
}

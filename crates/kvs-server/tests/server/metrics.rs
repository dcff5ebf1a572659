//! `/metrics`: the figures are exact, the page is OpenMetrics to the letter, and not for everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use kvs_server::clock::SimulatedClock;
use kvs_server::{Config, Server};

use crate::harness::{Put, create, open, post, send, short, upload};
use crate::movie;
use crate::signing::{call, credentials, resign};

/// Each series with its value, once the page has proved to be well formed.
fn parse(page: &str) -> BTreeMap<String, f64> {
    let body = page.strip_suffix("# EOF\n").expect("it is whole");
    let mut families = BTreeSet::new();
    let (mut family, mut kind) = ("", "");
    let mut series = BTreeMap::new();
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a text");
            assert!(families.insert(name), "{name} is there twice");
            assert!(!text.is_empty() && is_name(name), "{line}");
            (family, kind) = (name, "");
        } else if let Some(told) = line.strip_prefix("# TYPE ") {
            let told = told.split_once(' ').expect("a type");
            assert_eq!((told.0, kind), (family, ""), "{line}");
            kind = told.1;
            assert!(
                ["counter", "gauge", "histogram", "info"].contains(&kind),
                "{line}"
            );
        } else if let Some(unit) = line.strip_prefix("# UNIT ") {
            let (name, unit) = unit.split_once(' ').expect("a unit");
            assert!(
                name == family && name.ends_with(&format!("_{unit}")),
                "{line}"
            );
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            check_series(name, family, kind);
            let value: f64 = value.parse().expect("a number");
            assert!(value >= 0.0, "{line}");
            assert_eq!(series.insert(name.to_owned(), value), None, "{line}");
        }
    }
    for name in series.keys().filter(|name| name.ends_with("_count")) {
        let stem = name.trim_end_matches("count");
        assert_eq!(
            series[&format!("{stem}bucket{{le=\"+Inf\"}}")],
            series[name]
        );
    }
    series
}

fn check_series(series: &str, family: &str, kind: &str) {
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("an end")),
        None => (series, ""),
    };
    let suffixes: &[&str] = match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "info" => &["_info"],
        "histogram" => &["_sum", "_count", "_bucket"],
        _ => &[],
    };
    let suffix = name.strip_prefix(family).expect("of its family");
    assert!(suffixes.contains(&suffix), "{series} is no {kind}");
    assert_eq!(suffix == "_bucket", labels.starts_with("le="), "{series}");
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (label, value) = label.split_once('=').expect("a label");
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        let value = value.expect("a quoted value");
        assert!(
            is_name(label) && !value.contains(['"', '\\', '\n']),
            "{series}"
        );
    }
}

fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.chars().all(letters) && !name.starts_with(|c: char| c.is_ascii_digit())
}

async fn scrape(address: SocketAddr) -> BTreeMap<String, f64> {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let reply = send(address, request.as_bytes()).await.body().await;
    assert_eq!(reply.status, 200);
    let kind = reply.header("content-type").expect("a type");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"));
    parse(&String::from_utf8(reply.body).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_upload_it_has_the_exact_figures() {
    let data = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(SimulatedClock::new(movie::START_MS));
    let config = Config {
        data: Some(data.path().into()),
        get_media_idle: None,
        clock: Arc::clone(&clock) as _,
        ..Config::default()
    };
    let server = Server::start(config).await.expect("a new folder");
    let address = server.address();
    create(address, "cam", 24).await;
    create(address, "live", 0).await;
    create(address, "silent", 24).await;
    let (three, broken) = (movie::body(3), [&movie::body(2)[..], &[0; 16]].concat());
    let acks = upload(address, "cam", &three).await;
    assert_eq!(short(&acks).matches('P').count(), 3);
    clock.advance_ms(2000);
    let acks = upload(address, "live", &broken).await;
    assert_eq!(short(&acks), "B1 R1 B2 E4006@2");
    let none = post(address, "/describeStream", r#"{"StreamName":"none"}"#).await;
    assert_eq!(none.status, 404);
    let now = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"NOW"}}"#;
    let reader = open(address, "/getMedia", now).await;
    let session = Put::open(address, "silent").await;
    clock.advance_ms(500);
    let page = scrape(address).await;
    let bytes = (three.len() + broken.len()) as f64;
    let requests = |operation: &str, status: u16| {
        format!("kvs_requests_total{{operation=\"{operation}\",status=\"{status}\"}}")
    };
    let age = |stream: &str| format!("kvs_stream_last_fragment_age_seconds{{stream=\"{stream}\"}}");
    for (series, expected) in [
        ("kvs_ingest_bytes_total".to_owned(), bytes),
        ("kvs_fragments_total".into(), 4.0),
        ("kvs_acks_total{kind=\"buffering\"}".into(), 5.0),
        ("kvs_acks_total{kind=\"received\"}".into(), 4.0),
        ("kvs_acks_total{kind=\"persisted\"}".into(), 3.0),
        ("kvs_acks_total{kind=\"error\"}".into(), 1.0),
        ("kvs_put_media_errors_total{id=\"4006\"}".into(), 1.0),
        (requests("CreateStream", 200), 3.0),
        (requests("PutMedia", 200), 3.0),
        (requests("GetMedia", 200), 1.0),
        (requests("DescribeStream", 404), 1.0),
        ("kvs_readers".into(), 1.0),
        ("kvs_put_media_sessions".into(), 1.0),
        ("kvs_group_fragments_sum".into(), 3.0),
        ("kvs_commit_seconds_sum".into(), 0.0),
        (
            "kvs_commit_seconds_count".into(),
            page["kvs_group_fragments_count"],
        ),
        ("kvs_healthy".into(), 1.0),
        // Each has more than one block of 4 KiB, and less than two.
        ("kvs_stored_bytes".into(), 3.0 * 8192.0),
        (age("cam"), 2.5),
        (age("live"), 0.5),
    ] {
        assert_eq!(page.get(&series), Some(&expected), "{series}");
    }
    assert!(page["kvs_connections"] >= 3.0 && page["kvs_disk_free_bytes"] > 0.0);
    assert!(!page.contains_key(&age("silent")));
    let version = format!(
        "kvs_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(page[&version], 1.0);
    drop((reader, session));
    server.stop().await;
}

#[tokio::test]
async fn with_credentials_this_machine_reads_it_unsigned_and_others_sign() {
    let folder = tempfile::tempdir().expect("a folder");
    // Every address of this machine, so that one of them is not the loopback's.
    let config = Config {
        listen: "0.0.0.0:0".parse().expect("an address"),
        credentials: Some(credentials(&folder, "")),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("a good file");
    let local = SocketAddr::from(([127, 0, 0, 1], server.address().port()));
    assert!(scrape(local).await.contains_key("kvs_readers"));
    if let Some(outside) = outside_address() {
        let address = SocketAddr::new(outside, server.address().port());
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let reply = send(address, request.as_bytes()).await.body().await;
        assert_eq!(reply.error(), "MissingAuthenticationToken");
        let head = call("h", "/metrics", "").replace("POST", "GET");
        let signed = resign(&head, b"");
        let reply = send(address, signed.as_bytes()).await.body().await;
        assert_eq!(reply.status, 200);
    }
    server.stop().await;
}

/// An address of this machine that its own connections come from, if it has a network.
fn outside_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: it only asks for the route.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

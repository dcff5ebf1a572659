//! What flags do that no other test has: the clock that is trusted or not, the bound of the disk.

use std::sync::Arc;

use kvs_server::clock::SimulatedClock;
use kvs_server::{Config, Handle, Server};

use crate::harness::{create, send, short, upload};
use crate::movie::{self, Movie};
use crate::read::earliest;
use crate::startup::run;

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let reply = send(address, request.as_bytes()).await.body().await;
    (reply.status, String::from_utf8(reply.body).expect("text"))
}

#[tokio::test]
async fn a_clock_that_nobody_set_is_told_of_unless_it_is_trusted() {
    for (synchronized, trust_clock, told) in [
        (false, false, true),
        (false, true, false),
        (true, false, false),
    ] {
        let clock = Arc::new(SimulatedClock::new(1_700_000_000_000));
        clock.set_synchronized(synchronized);
        let server = Server::start(Config {
            clock,
            trust_clock,
            ..Config::default()
        })
        .await
        .expect("a server in memory starts");
        let (status, body) = get(server.address(), "/healthz").await;
        assert_eq!(status, 200);
        assert_eq!(body.contains("nothing expires"), told, "{body}");
        server.stop().await;
    }
}

#[tokio::test]
async fn the_binary_trusts_the_clock_when_told() {
    let (mut child, url) = run(&["--memory", "--listen", "127.0.0.1:0", "--trust-clock"]);
    let address = url.strip_prefix("http://").expect("plain").parse();
    let (status, body) = get(address.expect("an address"), "/healthz").await;
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(status == 200 && !body.contains("nothing expires"), "{body}");
}

/// What `/metrics` says that all streams take.
async fn disk_bytes(server: &Handle) -> u64 {
    let (_, metrics) = get(server.address(), "/metrics").await;
    let lines = metrics.lines();
    let of_streams = lines.filter(|line| line.starts_with("kvs_stream_disk_bytes{"));
    let bytes = of_streams.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    bytes.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_bound_of_the_disk_the_oldest_go_and_the_upload_goes_on() {
    const FRAGMENTS: u64 = 16;
    const FRAGMENT_BYTES: usize = 30 << 20;
    const DISK_BYTES_MAX: u64 = 384 << 20;
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(Config {
        data: Some(data.path().into()),
        disk_bytes_max: Some(DISK_BYTES_MAX),
        ..Config::default()
    })
    .await
    .expect("a new folder");
    create(server.address(), "cam", 24).await;
    let mut movie = Movie::new();
    movie.frame_bytes = FRAGMENT_BYTES / movie::FRAMES as usize;
    let mut body = movie.header();
    (0..FRAGMENTS).for_each(|index| body.extend(movie.fragment(index)));
    let acks = short(&upload(server.address(), "cam", &body).await);
    assert_eq!(acks.matches('P').count() as u64, FRAGMENTS, "{acks}");
    let chunks = earliest(&server, "cam").await;
    let left = chunks.len() as u64;
    assert!((2..FRAGMENTS).contains(&left), "{left}");
    let first_ms = movie::START_MS + (FRAGMENTS - left) * movie::FRAGMENT_MS;
    assert_eq!(chunks[0].first_ms(), first_ms, "the oldest are gone");
    let used = disk_bytes(&server).await;
    assert!(
        used < DISK_BYTES_MAX && used >= left * FRAGMENT_BYTES as u64,
        "{used}"
    );
    server.stop().await;
}

//! Faults on purpose of the machine: the disk full, failing or slow, and the clock stepped.

use std::net::SocketAddr;
use std::time::Duration;

use kvs_protocol::FragmentNumber;
use kvs_server::clock::{Clock, SystemClock};
use kvs_server::{Config, Handle, Server};
use serde_json::json;
use tempfile::TempDir;

use crate::faults::{FAULTS, add, ask, clear, fired, until_fired};
use crate::harness::{Put, create, post, send, short, soon, upload};
use crate::movie;
use crate::read::earliest;
use crate::signing::{call, credentials};

/// A server on a folder that fails as it is told.
async fn start(data: &TempDir) -> Handle {
    let server = start_again(data).await;
    create(server.address(), "cam", 24).await;
    server
}

async fn start_again(data: &TempDir) -> Handle {
    let config = Config {
        faults: true,
        data: Some(data.path().into()),
        get_media_idle: Some(Duration::from_millis(50)),
        ..Config::default()
    };
    Server::start(config).await.expect("a folder that is free")
}

async fn goes_on(address: SocketAddr) {
    soon("green", async {
        while ask(address, "GET", "/healthz").await.status != 200 {}
    })
    .await;
    let acks = upload(address, "cam", &movie::body(1)).await;
    assert_eq!(short(&acks), "B1 R1 P1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full_until_the_fault_is_cleared() {
    let data = tempfile::tempdir().expect("a folder");
    let server = start(&data).await;
    let address = server.address();
    upload(address, "cam", &movie::body(1)).await;
    add(address, &json!({"kind": "disk_full"})).await;
    let acks = upload(address, "cam", &movie::body(1)).await;
    assert_eq!(short(&acks), "B1 R1 E5001@1");
    let red = ask(address, "GET", "/healthz").await;
    assert_eq!(red.status, 503);
    assert!(String::from_utf8_lossy(&red.body).contains("nearly full"));
    let made = post(address, "/createStream", r#"{"StreamName":"door"}"#).await;
    assert_eq!((made.status, made.error()), (500, "InternalFailure"));
    let said = made.json()["Message"].to_string();
    assert!(said.contains("disk is full"), "{said}");
    clear(address).await;
    goes_on(address).await;
    assert_eq!(earliest(&server, "cam").await.len(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_disk_fail() {
    let data = tempfile::tempdir().expect("a folder");
    let server = start(&data).await;
    let address = server.address();
    for disk_call in ["write", "sync"] {
        add(address, &json!({"kind": "disk_error", "call": disk_call})).await;
        let acks = upload(address, "cam", &movie::body(1)).await;
        assert_eq!(short(&acks), "B1 R1 E5001@1", "{disk_call}");
        assert_ne!(fired(address).await, 0);
        clear(address).await;
        goes_on(address).await;
    }
    add(address, &json!({"kind": "disk_error", "call": "read"})).await;
    let chunks = earliest(&server, "cam").await;
    assert!(chunks.iter().all(|chunk| !chunk.is_whole()));
    clear(address).await;
    assert_eq!(earliest(&server, "cam").await.len(), 2);
    server.stop().await;
}

/// A fragment whose sync takes an hour.
async fn put_behind_a_slow_sync(address: SocketAddr) -> Put {
    add(
        address,
        &json!({"kind": "disk_delay", "call": "sync", "delay_ms": 3_600_000}),
    )
    .await;
    let mut put = Put::open(address, "cam").await;
    put.send(&movie::body(1)).await.expect("it is taken");
    put.end().await;
    put
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_sync_keeps_persisted_waiting() {
    let data = tempfile::tempdir().expect("a folder");
    let server = start(&data).await;
    let address = server.address();
    let mut put = put_behind_a_slow_sync(address).await;
    let before = [put.ack().await, put.ack().await].map(|ack| ack.expect("an ack"));
    assert_eq!(short(&before), "B1 R1");
    until_fired(address).await;
    clear(address).await;
    assert_eq!(short(&put.acks().await), "P1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_is_held_up_by_no_fault() {
    let data = tempfile::tempdir().expect("a folder");
    let server = start(&data).await;
    let address = server.address();
    let mut put = put_behind_a_slow_sync(address).await;
    until_fired(address).await;
    soon("the stop", server.stop()).await;
    assert_eq!(short(&put.acks().await), "B1 R1 P1");
    // Its folder is free.
    start_again(&data).await.stop().await;
}

/// When a fragment that is sent now arrives, by the server's clock.
async fn server_ms(address: SocketAddr) -> u64 {
    let mut put = Put::open(address, "cam").await;
    put.send(&movie::body(1)).await.expect("it is taken");
    let ack = put.ack().await.expect("an ack");
    let kvs_protocol::Ack::Buffering(acked) = ack else {
        panic!("the first ack is BUFFERING");
    };
    let number: FragmentNumber = acked.number;
    number.parts().expect("a number of the server's").server_ms
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_as_far_off_as_it_is_told() {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        faults: true,
        ..Config::default()
    };
    let server = Server::start(config.clone()).await.expect("it starts");
    let address = server.address();
    create(address, "cam", 24).await;
    let start_ms = SystemClock::new().now_ms();
    for by_ms in [DAY_MS, DAY_MS / 2] {
        add(address, &json!({"kind": "clock_step", "by_ms": by_ms})).await;
    }
    let stepped_ms = server_ms(address).await;
    assert!(stepped_ms >= start_ms + DAY_MS * 3 / 2);
    let back = json!({"kind": "clock_step", "by_ms": -(2 * DAY_MS as i64)});
    add(address, &back).await;
    let later_ms = server_ms(address).await;
    assert!(
        later_ms >= stepped_ms,
        "a stream's own time never goes back"
    );
    let created = post(address, "/createStream", r#"{"StreamName":"door"}"#).await;
    assert_eq!(created.status, 200);
    let described = post(address, "/describeStream", r#"{"StreamName":"door"}"#).await;
    let created_s = described.json()["StreamInfo"]["CreationTime"].as_f64();
    let created_s = created_s.expect("a time");
    assert!(created_s < start_ms as f64 / 1000.0, "half a day back");

    // Signatures go by the machine's clock, or nobody could clear the fault.
    let config = Config {
        credentials: Some(credentials(&folder, "")),
        ..config
    };
    let server = Server::start(config).await.expect("it starts");
    let host = server.address().to_string();
    for _ in 0..2 {
        let signed = call(&host, FAULTS, &back.to_string());
        assert_eq!(send(server.address(), signed.as_bytes()).await.status, 200);
    }
}

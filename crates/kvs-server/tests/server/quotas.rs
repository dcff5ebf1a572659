//! A server that holds its callers to AWS's quotas.

use std::sync::Arc;

use kvs_protocol::Ack;
use kvs_server::clock::SimulatedClock;
use kvs_server::{Config, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{create, open, post, request, soon, upload};
use crate::movie::Movie;

#[tokio::test]
async fn who_calls_too_often_is_told_so_until_time_passes() {
    let clock = Arc::new(SimulatedClock::new(1_700_000_000_000));
    let server = Server::start(Config {
        aws_quotas: true,
        clock: clock.clone(),
        ..Config::default()
    })
    .await
    .expect("a server in memory starts");
    let address = server.address();
    create(address, "cam", 24).await;
    create(address, "door", 24).await;
    let describe = async |name: &str| {
        let json = format!(r#"{{"StreamName":"{name}"}}"#);
        let reply = post(address, "/describeStream", &json).await;
        (reply.status, reply.error().to_owned())
    };
    let exceeded = (400, "ClientLimitExceededException".to_owned());
    for _ in 0..5 {
        assert_eq!(describe("cam").await.0, 200);
    }
    assert_eq!(describe("cam").await, exceeded);
    assert_eq!(describe("door").await.0, 200);
    clock.advance_ms(200);
    assert_eq!(describe("cam").await.0, 200);
    assert_eq!(describe("cam").await, exceeded);
    for _ in 0..50 {
        assert_eq!(post(address, "/listStreams", "{}").await.status, 200);
    }
    let reply = post(address, "/listStreams", "{}").await;
    assert_eq!((reply.status, reply.error().to_owned()), exceeded);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_has_so_many_open_responses_and_their_places_come_back() {
    let clock = Arc::new(SimulatedClock::new(1_700_000_000_000));
    let server = Server::start(Config {
        aws_quotas: true,
        clock: clock.clone(),
        get_media_idle: None,
        ..Config::default()
    })
    .await
    .expect("a server in memory starts");
    let address = server.address();
    create(address, "cam", 24).await;
    // More than the sockets take, so that a response stays open until it is read.
    let mut movie = Movie::new();
    movie.frame_bytes = 4 << 20;
    let mut body = movie.header();
    (0..4).for_each(|index| body.extend(movie.fragment(index)));
    let acks = upload(address, "cam", &body).await;
    let numbers = acks.iter().filter_map(|ack| match ack {
        Ack::Persisted(acked) => Some(acked.number.as_str()),
        _ => None,
    });
    let numbers: Vec<_> = numbers.collect();
    let list = serde_json::json!({ "StreamName": "cam", "Fragments": numbers }).to_string();
    let all = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    for (path, json, max, error) in [
        ("/getMedia", all, 3, "ConnectionLimitExceededException"),
        (
            "/getMediaForFragmentList",
            &list,
            5,
            "ClientLimitExceededException",
        ),
    ] {
        let next = async || {
            clock.advance_ms(1000);
            open(address, path, json).await
        };
        let mut readers = Vec::new();
        for _ in 0..max {
            readers.push(next().await);
        }
        assert!(readers.iter().all(|reader| reader.status == 200));
        let refused = next().await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.body().await.error(), error);
        // One vanishes without a word.
        drop(readers.pop());
        soon("a place", async { while next().await.status != 200 {} }).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn an_account_has_ten_thousand_streams() {
    const STREAMS_MAX: usize = 10_000;
    const CREATED_PER_S: usize = 50;
    let clock = Arc::new(SimulatedClock::new(1_700_000_000_000));
    let server = Server::start(Config {
        aws_quotas: true,
        clock: clock.clone(),
        ..Config::default()
    })
    .await
    .expect("a server in memory starts");
    let address = server.address();
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    for first in (0..STREAMS_MAX).step_by(CREATED_PER_S) {
        let create = |number| {
            let json = format!(r#"{{"StreamName":"cam-{number}"}}"#);
            request(address, "/createStream", &json)
        };
        let requests: String = (first..).take(CREATED_PER_S).map(create).collect();
        socket.write_all(requests.as_bytes()).await.expect("taken");
        let (mut back, made) = (Vec::new(), b"\"StreamARN\"");
        while back.windows(made.len()).filter(|at| at == made).count() < CREATED_PER_S {
            let read = soon("a response", socket.read_buf(&mut back)).await;
            assert!(read.is_ok_and(|read| read > 0), "{}", back.escape_ascii());
        }
        clock.advance_ms(1000);
    }
    let refused = post(address, "/createStream", r#"{"StreamName":"cam"}"#).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.error(), "AccountStreamLimitExceededException");
    server.stop().await;
}

//! Clients that go, and what goes on without them.

use kvs_server::{Config, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Put, create, open, post, short, soon};
use crate::movie;

const NOW: &str = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"NOW"}}"#;

fn endless(data: Option<&std::path::Path>) -> Config {
    Config {
        data: data.map(Into::into),
        get_media_idle: None,
        ..Config::default()
    }
}

/// Follows a stream on which nothing happens, until its head is there.
pub(crate) async fn follow(io: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) {
    let request = format!(
        "POST /getMedia HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{NOW}",
        NOW.len()
    );
    soon("a write", io.write_all(request.as_bytes()))
        .await
        .expect("it is taken");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon("a head", io.read_u8()).await.expect("a head"));
    }
}

#[tokio::test]
async fn a_reader_that_leaves_is_noticed_at_once() {
    let server = Server::start(endless(None)).await.expect("in memory");
    create(server.address(), "cam", 24).await;
    let mut socket = TcpStream::connect(server.address())
        .await
        .expect("it is up");
    follow(&mut socket).await;
    socket.shutdown().await.expect("it is open");
    let mut rest = Vec::new();
    // It has no end in good form, as nobody is there to read it.
    let _ = soon("the end", socket.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_producer_that_has_sent_all_still_gets_its_acks() {
    let server = Server::start(endless(None)).await.expect("in memory");
    create(server.address(), "cam", 24).await;
    let mut put = Put::open(server.address(), "cam").await;
    put.send(&movie::body(1)).await.expect("taken");
    put.end().await;
    put.break_off().await;
    assert_eq!(short(&put.acks().await), "B1 R1 P1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_abort_the_folder_is_free() {
    let data = tempfile::tempdir().expect("a folder");
    for round in 0..10 {
        let started = Server::start(endless(Some(data.path()))).await;
        let server = started.unwrap_or_else(|error| panic!("round {round}: {error}"));
        if round == 0 {
            create(server.address(), "cam", 24).await;
        }
        let _reader = open(server.address(), "/getMedia", NOW).await;
        let mut put = Put::open(server.address(), "cam").await;
        put.send(&movie::body(3)).await.expect("taken");
        server.abort().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_key_will_not_go_is_deleted_for_its_sessions_too() {
    let data = tempfile::tempdir().expect("a folder");
    let started = Server::start(endless(Some(data.path()))).await;
    let server = started.expect("a new folder");
    let arn = create(server.address(), "cam", 24).await;
    let reader = open(server.address(), "/getMedia", NOW).await;
    let mut put = Put::open(server.address(), "cam").await;
    // What is no file cannot be overwritten.
    let key = data.path().join("keys/00000001");
    std::fs::remove_file(&key).expect("the first stream's key");
    std::fs::create_dir(&key).expect("its name is free");
    let json = format!(r#"{{"StreamARN":"{arn}"}}"#);
    let deleted = post(server.address(), "/deleteStream", &json).await;
    assert_eq!(deleted.status, 500);
    assert_eq!(short(&put.acks().await), "E4008");
    assert!(reader.body().await.body.is_empty());
    server.stop().await;
}

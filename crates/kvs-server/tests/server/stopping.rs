//! A clean stop: a fragment under way may end, and else its producer sends it again.

use kvs_protocol::Ack;
use kvs_server::{Config, Handle, Server};

use crate::harness::{Put, create, short, start};
use crate::movie::{self, Movie};
use crate::read::earliest;

/// A session whose first fragment is under way.
async fn under_way(server: &Handle) -> (Put, Movie) {
    create(server.address(), "cam", 24).await;
    let mut put = Put::open(server.address(), "cam").await;
    let mut movie = Movie::new();
    put.send(&[movie.header(), movie.fragment(0)].concat())
        .await
        .expect("taken");
    put.until(|ack| matches!(ack, Ack::Buffering(_))).await;
    (put, movie)
}

#[tokio::test]
async fn a_fragment_that_ends_in_time_is_kept() {
    let data = tempfile::tempdir().expect("a folder");
    let config = || Config {
        data: Some(data.path().into()),
        ..Config::default()
    };
    let server = Server::start(config()).await.expect("a new folder");
    let (mut put, mut movie) = under_way(&server).await;
    let stopping = tokio::spawn(server.stop());
    put.send(&movie.end_of_fragment()).await.expect("taken");
    assert_eq!(short(&put.acks().await), "R1 P1");
    stopping.await.expect("it stops");
    let server = Server::start(config())
        .await
        .expect("the folder is free again");
    let chunks = earliest(&server, "cam").await;
    assert_eq!((chunks.len(), chunks[0].first_ms()), (1, movie::START_MS));
    server.stop().await;
}

#[tokio::test]
async fn a_fragment_that_does_not_end_is_to_be_sent_again() {
    let server = start().await;
    let (mut put, _) = under_way(&server).await;
    let stopping = tokio::spawn(server.stop());
    assert_eq!(short(&put.acks().await), "E4000@1");
    drop(put);
    stopping.await.expect("it stops");
}

#[tokio::test]
async fn idle_connections_and_readers_do_not_hold_it_up() {
    let server = crate::harness::start_to_follow().await;
    create(server.address(), "cam", 24).await;
    let idle = tokio::net::TcpStream::connect(server.address())
        .await
        .expect("it listens");
    let json = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"NOW"}}"#;
    let reader = crate::harness::open(server.address(), "/getMedia", json).await;
    let stopping = tokio::spawn(server.stop());
    assert!(reader.body().await.body.is_empty());
    stopping.await.expect("it stops");
    drop(idle);
}

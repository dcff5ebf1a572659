//! What a client may keep waiting for how long, in time that a test does not have to wait for.

use std::time::Duration;

use kvs_protocol::Ack;
use kvs_server::{Config, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, pause, resume, sleep};

use crate::harness::{Put, create, short, start, upload};
use crate::movie::{Movie, START_MS};
use crate::tls;

/// Sends this and no more; gives what comes back until the server closes, and after how long.
async fn left_alone(address: std::net::SocketAddr, bytes: &[u8]) -> (String, u64) {
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    socket.write_all(bytes).await.expect("it is taken");
    pause();
    let begun = Instant::now();
    let mut back = Vec::new();
    // A reset is as good an end as any.
    let _ = socket.read_to_end(&mut back).await;
    let back = String::from_utf8_lossy(&back).into_owned();
    (back, begun.elapsed().as_secs())
}

#[tokio::test]
async fn a_tls_handshake_has_10_s() {
    let server = Server::start(tls::config()).await.expect("in memory");
    let (_, seconds) = left_alone(server.address(), b"").await;
    assert_eq!(seconds, 10);
}

#[tokio::test]
async fn a_head_has_10_s() {
    let server = start().await;
    let (_, seconds) = left_alone(server.address(), b"POST /listStreams HTTP/1.1\r\nHo").await;
    assert_eq!(seconds, 10);
}

#[tokio::test]
async fn a_calls_body_has_30_s() {
    let server = start().await;
    let head = "POST /listStreams HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
    let (back, seconds) = left_alone(server.address(), head.as_bytes()).await;
    assert!(back.contains("did not arrive within 30 s"), "{back}");
    assert_eq!(seconds, 30);
}

/// A header and a frame of a fragment, of which some bytes are missing.
fn unfinished(frame_bytes: usize) -> Vec<u8> {
    let mut movie = Movie::new();
    movie.frame_bytes = frame_bytes;
    let cluster = movie.cluster(START_MS);
    [movie.header(), cluster, movie.frame(1, START_MS)].concat()
}

#[tokio::test]
async fn a_body_may_be_silent_for_30_s() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let mut put = Put::open(server.address(), "cam").await;
    put.send(&unfinished(100)).await.expect("taken");
    put.until(|ack| matches!(ack, Ack::Buffering(_))).await;
    pause();
    let begun = Instant::now();
    let acks = put.acks().await;
    assert_eq!(short(&acks), "idle idle idle idle idle E4000@1");
    assert!((29..=30).contains(&begun.elapsed().as_secs()));
}

#[tokio::test]
async fn an_element_may_not_come_byte_by_byte_for_ever() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let mut put = Put::open(server.address(), "cam").await;
    pause();
    let body = unfinished(100_000);
    let (begin, rest) = body.split_at(body.len() - 50_000);
    put.send(begin).await.expect("taken");
    let (mut body, mut acks) = put.split();
    let begun = Instant::now();
    let dribble = async {
        for byte in rest {
            sleep(Duration::from_secs(10)).await;
            if body.send(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    let refused = async {
        let mut last = None;
        while let Ok(Some(ack)) = acks.next().await {
            last = Some(ack);
        }
        last
    };
    tokio::select! {
        () = dribble => panic!("it took every byte"),
        last = refused => {
            let last = last.expect("an ack");
            assert!(matches!(&last, Ack::Error { error, .. } if error.id() == 4000), "{last:?}");
        }
    }
    assert!(begun.elapsed() <= Duration::from_secs(60));
}

#[tokio::test]
async fn a_producer_may_be_as_slow_as_its_media() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let mut put = Put::open(server.address(), "cam").await;
    pause();
    let mut movie = Movie::new();
    movie.frame_bytes = 10;
    let start = [movie.header(), movie.cluster(START_MS)].concat();
    put.send(&start).await.expect("taken");
    for at in 0..10 {
        put.send(&movie.frame(1, START_MS + at * 1000))
            .await
            .expect("taken");
        sleep(Duration::from_secs(15)).await;
    }
    resume();
    put.end().await;
    let acks = put.acks().await;
    assert!(short(&acks).ends_with("P1"), "{}", short(&acks));
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off_after_30_s() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let mut movie = Movie::new();
    movie.frame_bytes = 4 << 20;
    let body = [movie.header(), movie.fragment(0)].concat();
    assert_eq!(
        short(&upload(server.address(), "cam", &body).await),
        "B1 R1 P1"
    );
    let json = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    let mut response = crate::harness::open(server.address(), "/getMedia", json).await;
    pause();
    sleep(Duration::from_secs(31)).await;
    let mut bytes = 0;
    let broke = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes += chunk.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke && bytes < body.len(), "{bytes}");
}

#[tokio::test]
async fn half_a_frame_counts_as_memory_too() {
    let config = Config {
        open_bytes_max: 1 << 20,
        ..Config::default()
    };
    let server = Server::start(config).await.expect("in memory");
    create(server.address(), "cam", 24).await;
    let mut first = Put::open(server.address(), "cam").await;
    let mut second = Put::open(server.address(), "cam").await;
    let large = unfinished(800 << 10);
    for chunk in large[..700 << 10].chunks(16 << 10) {
        first.send(chunk).await.expect("taken");
    }
    let small = unfinished(600 << 10);
    for chunk in small.chunks(16 << 10) {
        second.send(chunk).await.expect("taken");
    }
    assert_eq!(short(&first.acks().await), "B1 E5000@1");
    second.end().await;
    assert_eq!(short(&second.acks().await), "B1 R1 P1");
    server.stop().await;
}

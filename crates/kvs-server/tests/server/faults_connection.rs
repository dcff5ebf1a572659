//! Faults on purpose of a connection: refused, cut, stalled, throttled.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use kvs_protocol::Ack;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::faults::{add, clear, fired, start, until_fired};
use crate::harness::{Put, create, open, post, short, soon, upload};
use crate::movie::{self, Movie};
use crate::read::earliest;

const EARLIEST: &str = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;

/// Sends a request and reads until the connection ends.
async fn until_end(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!(
        "POST /listStreams HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: 2\r\n\r\n{{}}"
    );
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    soon("the end", socket.read_to_end(&mut answer)).await?;
    Ok(answer)
}

fn is_reset(ended: &io::Result<Vec<u8>>) -> bool {
    let kind = ended.as_ref().map_err(io::Error::kind);
    matches!(
        kind,
        Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
    )
}

#[tokio::test]
async fn a_connection_is_refused_before_it_says_anything() {
    let server = start().await;
    let address = server.address();
    add(address, &json!({"kind": "refuse", "count": 2})).await;
    for _ in 0..2 {
        let ended = until_end(address).await;
        assert!(is_reset(&ended), "{ended:?}");
    }
    let answer = until_end(address).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(fired(address).await, 2);
}

#[tokio::test]
async fn a_request_is_reset_or_closed_without_an_answer() {
    let server = start().await;
    let address = server.address();
    let cut = json!({"kind": "cut", "operation": "ListStreams", "count": 1});
    add(address, &cut).await;
    let ended = until_end(address).await;
    assert!(is_reset(&ended), "{ended:?}");
    add(
        address,
        &json!({"kind": "cut", "how": "close", "operation": "ListStreams", "count": 1}),
    )
    .await;
    assert_eq!(until_end(address).await.expect("an end"), b"");
    let answer = until_end(address).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_response_breaks_off_at_an_exact_byte() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    upload(address, "cam", &movie::body(2)).await;
    let whole = post(address, "/getMedia", EARLIEST).await.body;
    for (at_bytes, how) in [(0, "close"), (1, "close"), (5000, "close"), (5000, "reset")] {
        add(
            address,
            &json!({"kind": "cut", "direction": "response", "at_bytes": at_bytes,
                "how": how, "operation": "GetMedia", "count": 1}),
        )
        .await;
        let mut response = open(address, "/getMedia", EARLIEST).await;
        assert_eq!(response.status, 200);
        let mut read = Vec::new();
        let broken = loop {
            match response.chunk().await {
                Ok(chunk) => read.extend(chunk.expect("it never ends well")),
                Err(error) => break error,
            }
        };
        assert_eq!(read, whole[..at_bytes], "{how}");
        let is_reset = broken.kind() == ErrorKind::ConnectionReset;
        assert_eq!(is_reset, how == "reset", "{broken}");
    }
    // What a call answers is cut short of the length that it gave.
    add(
        address,
        &json!({"kind": "cut", "direction": "response", "at_bytes": 3, "how": "close",
            "operation": "ListStreams", "count": 1}),
    )
    .await;
    let answer = until_end(address).await.expect("an end");
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("content-length: "), "{head}");
    assert_eq!(body.len(), 3);
}

#[tokio::test]
async fn an_upload_is_cut_at_an_exact_byte() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    let whole = movie::body(1);
    let at_bytes = whole.len() + 100;
    add(
        address,
        &json!({"kind": "cut", "direction": "request", "at_bytes": at_bytes, "stream": "cam"}),
    )
    .await;
    let mut put = Put::open(address, "cam").await;
    // It may break while it is sent.
    let _ = put.send(&movie::body(3)).await;
    let (_body, mut acks) = put.split();
    let ended = soon("the cut", async {
        loop {
            match acks.next().await {
                Ok(ack) => assert!(!matches!(ack, None | Some(Ack::Error { .. }))),
                Err(error) => break error,
            }
        }
    });
    ended.await;
    clear(address).await;
    let kept = earliest(&server, "cam").await;
    let whole: Vec<_> = kept.iter().filter(|chunk| chunk.is_whole()).collect();
    assert_eq!(whole.len(), 1, "the second fragment never arrived whole");
}

#[tokio::test]
async fn an_idle_upload_is_cut_after_a_time() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    add(
        address,
        &json!({"kind": "cut", "at_ms": 20, "operation": "PutMedia"}),
    )
    .await;
    let head = format!(
        "POST /putMedia HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\
         x-amzn-stream-name: cam\r\nx-amzn-fragment-timecode-type: ABSOLUTE\r\n\r\n"
    );
    // On a busy machine the time may be over before the answer is there.
    let ended = match Put::try_with_head(address, &head).await {
        Ok(put) => put.split().1.next().await.expect_err("it is cut"),
        Err(error) => error,
    };
    assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
    clear(address).await;
    add(
        address,
        &json!({"kind": "cut", "at_ms": 3_600_000, "operation": "PutMedia"}),
    )
    .await;
    let acks = upload(address, "cam", &movie::body(1)).await;
    assert_eq!(short(&acks), "B1 R1 P1", "it was over before");
}

#[tokio::test]
async fn what_is_stalled_goes_on_when_the_fault_is_cleared() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    let mut movie = Movie::new();
    let header = movie.header();
    add(
        address,
        &json!({"kind": "stall", "direction": "request", "at_bytes": header.len(),
            "operation": "PutMedia"}),
    )
    .await;
    let mut put = Put::open(address, "cam").await;
    put.send(&header).await.expect("it is taken");
    for index in 0..2 {
        put.send(&movie.fragment(index)).await.expect("it is taken");
    }
    put.end().await;
    until_fired(address).await;
    assert_eq!(earliest(&server, "cam").await.len(), 0, "nothing is read");
    clear(address).await;
    assert!(short(&put.acks().await).ends_with("P2"));

    for fault in [
        json!({"kind": "stall", "direction": "response", "at_bytes": 100, "stream": "cam"}),
        json!({"kind": "throttle", "direction": "response", "bytes_per_second": 1,
            "stream": "cam"}),
    ] {
        add(address, &fault).await;
        let mut response = open(address, "/getMedia", EARLIEST).await;
        let mut read = response.chunk().await.expect("a chunk").expect("a chunk");
        assert!(read.len() <= 100, "{fault}");
        clear(address).await;
        while let Some(chunk) = response.chunk().await.expect("a chunk") {
            read.extend(chunk);
        }
        let chunks = movie::chunks(&read);
        assert!(chunks.len() == 2 && chunks[1].is_whole(), "{fault}");
    }
}

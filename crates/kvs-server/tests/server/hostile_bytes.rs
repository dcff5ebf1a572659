//! Requests whose bytes are not what they should be, and writers that send next to nothing.

use std::time::Duration;

use kvs_protocol::Ack;
use kvs_server::{Config, Handle, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, pause, sleep};

use crate::harness::{Put, create, short, soon, start, upload};
use crate::movie::{self, Movie, START_MS};
use crate::signing;

/// Sends these bytes and no more; gives the status of what came back, 0 where nothing did, and all
/// of it.
async fn raw(server: &Handle, request: &[u8]) -> (u16, String) {
    let mut socket = TcpStream::connect(server.address())
        .await
        .expect("it listens");
    socket.write_all(request).await.expect("it is taken");
    socket.shutdown().await.expect("it is open");
    let mut back = Vec::new();
    // A reset is as good an end as any.
    let _ = soon("an end", socket.read_to_end(&mut back)).await;
    let back = String::from_utf8_lossy(&back).into_owned();
    let status = back.get(9..12).and_then(|code| code.parse().ok());
    (status.unwrap_or(0), back)
}

/// A GetMedia that would be good, to this target.
fn get_media(target: &[u8], host: &[u8]) -> Vec<u8> {
    let json = br#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    let length = format!("\r\nContent-Length: {}\r\n\r\n", json.len());
    [
        b"POST ",
        target,
        b" HTTP/1.1\r\nConnection: close\r\nHost: ",
        host,
        length.as_bytes(),
        json,
    ]
    .concat()
}

#[tokio::test]
async fn a_path_that_is_not_quite_an_operations_is_none() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    upload(server.address(), "cam", &movie::body(1)).await;
    for target in [
        &b"//getMedia"[..],
        b"/getMedia/",
        b"/getMedia/..",
        b"/getMedia/../getMedia",
        b"/../getMedia",
        b"/./getMedia",
        b"/x/../getMedia",
        b"/getmedia",
        b"/GETMEDIA",
        b"/%67etMedia",
        b"/%2FgetMedia",
        b"/%2e%2e/getMedia",
        b"/getMedia%2e",
        b"/getMedia%00",
        b"/getMedia%20",
        b"/getMedia;a=b",
        b"/\\getMedia",
        b"/getMedia\\..",
        b"/getMedia\0",
        b"/getMedia\xFF",
        b"/getMedia\xC0\xAE",
        b"/get Media",
        b"getMedia",
        b"*",
        b"http://",
        b"",
    ] {
        let (status, back) = raw(&server, &get_media(target, b"localhost")).await;
        let shown = target.escape_ascii();
        assert!([400, 404].contains(&status), "{shown}: {back}");
        if status == 404 {
            assert!(
                back.contains("UnknownOperationException"),
                "{shown}: {back}"
            );
        }
    }
    // RFC 9112 has a server take the absolute form; the Host says whose request it is.
    let (status, _) = raw(
        &server,
        &get_media(b"http://localhost/getMedia", b"localhost"),
    )
    .await;
    assert_eq!(status, 200);
    let foreign = get_media(b"http://localhost/getMedia", b"evil.example");
    assert_eq!(raw(&server, &foreign).await.0, 403);
    for method in ["GET", "PUT", "DELETE", "CONNECT", "TRACE", "post", "PRI"] {
        let request = format!("{method} /getMedia HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (status, back) = raw(&server, request.as_bytes()).await;
        assert!([400, 404].contains(&status), "{method}: {back}");
    }
    server.stop().await;
}

#[tokio::test]
async fn bad_utf_8_is_an_error_wherever_it_stands() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let call = |headers: &[u8], body: &[u8]| {
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        [
            b"POST /describeStream HTTP/1.1\r\nConnection: close\r\n",
            headers,
            length.as_bytes(),
            body,
        ]
        .concat()
    };
    let local = b"Host: localhost\r\n";
    for (request, status) in [
        (call(local, b"{\"StreamName\":\"\xFF\"}"), 400),
        (call(local, b"{\"StreamName\":\"cam\xC0\xAF\"}"), 400),
        (call(local, b"{\"Stream\xED\xA0\x80Name\":\"cam\"}"), 400),
        (
            call(b"Host: localhost\xFF\r\n", b"{\"StreamName\":\"cam\"}"),
            403,
        ),
        (call(b"Host: localhost\r\nx\xFF: y\r\n", b"{}"), 400),
    ] {
        let (found, back) = raw(&server, &request).await;
        assert_eq!(found, status, "{}: {back}", request.escape_ascii());
    }
    for header in [
        &b"x-amzn-stream-name: \xFF\xFE"[..],
        b"x-amzn-stream-arn: \xC3\x28",
        b"x-amzn-stream-name: cam\r\nx-amzn-fragment-acknowledgment-required: \xFF",
    ] {
        let request = [
            b"POST /putMedia HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
            header,
            b"\r\nx-amzn-fragment-timecode-type: ABSOLUTE\r\nContent-Length: 0\r\n\r\n",
        ]
        .concat();
        let (status, back) = raw(&server, &request).await;
        assert_eq!(status, 400, "{}: {back}", header.escape_ascii());
        assert!(back.contains("InvalidArgumentException"), "{back}");
    }
    assert_eq!(
        short(&upload(server.address(), "cam", &movie::body(1)).await),
        "B1 R1 P1"
    );
    server.stop().await;
}

#[tokio::test]
async fn bad_utf_8_in_a_signature_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        credentials: Some(signing::credentials(&folder, "")),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("in memory");
    let good = signing::call("localhost", "/listStreams", "{}").into_bytes();
    let (status, back) = raw(&server, &good).await;
    assert_eq!(status, 200, "{back}");
    let whole = String::from_utf8(good.clone()).expect("a text");
    for name in [
        "Credential=",
        "SignedHeaders=",
        "Signature=",
        "X-Amz-Date: ",
    ] {
        let mut request = good.clone();
        let at = whole.find(name).expect("it is signed") + name.len();
        request[at] = 0xFF;
        let (status, back) = raw(&server, &request).await;
        assert!([400, 403].contains(&status), "{name}: {back}");
    }
    server.stop().await;
}

/// Sends these bytes at once and then one byte each 29 s, for as long as the server listens; gives
/// the acks, and after how many seconds the response ended.
async fn dribble(mut put: Put, at_once: &[u8], rest: &[u8]) -> (Vec<Ack>, u64) {
    put.send(at_once).await.expect("taken");
    let (mut body, mut acks) = put.split();
    pause();
    let begun = Instant::now();
    let sends = async {
        for byte in rest {
            if body.send(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(29)).await;
        }
        std::future::pending::<()>().await;
    };
    let hears = async {
        let mut all = Vec::new();
        while let Ok(Some(ack)) = acks.next().await {
            if ack != Ack::Idle {
                all.push(ack);
            }
        }
        all
    };
    let all = tokio::select! {
        () = sends => unreachable!("it never ends"),
        all = hears => all,
    };
    let took = begun.elapsed().as_secs();
    tokio::time::resume();
    (all, took)
}

#[tokio::test]
async fn a_writer_of_a_byte_each_29_s_is_ended_wherever_it_is() {
    let server = start().await;
    let other = create(server.address(), "other", 24).await;
    let mut movie = Movie::new();
    let (header, fragment) = (movie.header(), movie.fragment(0));
    let started = [
        header.clone(),
        movie.cluster(START_MS),
        movie.frame(1, START_MS),
    ]
    .concat();
    let whole = [header.clone(), fragment.clone(), movie.end_of_fragment()].concat();
    for (stream, at_once, rest, ends) in [
        ("at-the-start", &[][..], &header[..], "E4000"),
        ("in-the-header", &header[..40], &header[40..], "E4000"),
        ("in-a-fragment", &started, &fragment[..], "B1 E4000@1"),
        ("between-fragments", &whole, &fragment[..], "B1 R1 E4000@1"),
    ] {
        // Nothing waits for a disk, whose time does not stand still.
        create(server.address(), stream, 0).await;
        let put = Put::open(server.address(), stream).await;
        let (acks, seconds) = dribble(put, at_once, rest).await;
        assert_eq!(short(&acks), ends, "{stream}");
        assert!(seconds <= 70, "{stream}: {seconds} s");
        let acks = upload(server.address(), "other", &movie::body(1)).await;
        assert_eq!(short(&acks), "B1 R1 P1", "{other}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_ended_after_10_s() {
    let server = start().await;
    // One that never spoke, and one that has had its answer.
    let asked = "POST /listStreams HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    for said in ["", asked] {
        let mut socket = TcpStream::connect(server.address())
            .await
            .expect("it listens");
        socket
            .write_all(said.as_bytes())
            .await
            .expect("it is taken");
        if !said.is_empty() {
            socket.read_u8().await.expect("an answer");
        }
        pause();
        let begun = Instant::now();
        let mut back = Vec::new();
        let _ = socket.read_to_end(&mut back).await;
        assert!((10..=11).contains(&begun.elapsed().as_secs()), "{said:?}");
        tokio::time::resume();
    }
    server.stop().await;
}

//! Clients that mean no good, against the binary: an error for them, no memory, and another
//! client's acks all the while.

use std::net::SocketAddr;
use std::process::Child;

use kvs_protocol::Ack;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Put, create, post, soon};
use crate::memory::{memory_bytes, peak_bytes};
use crate::movie::{FRAGMENT_MS, Movie, START_MS};
use crate::startup::run;

/// What a refused request may leave behind: a debug build's buffers, and what its allocator keeps.
const REFUSED_BYTES_MAX: u64 = 16 << 20;
/// A connection that has said next to nothing: its task, as large as a debug build makes it, and
/// the 8 KiB that HTTP first reads into.
const IDLE_BYTES_MAX: u64 = 32 << 10;
/// A slow reader: 64 KiB read and 64 KiB as sealed, what HTTP holds of it, and its task.
const READER_BYTES_MAX: u64 = 256 << 10;

/// The binary with its folder; killed at the end.
struct Target {
    process: Child,
    address: SocketAddr,
    _data: TempDir,
}

impl Target {
    async fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let path = data.path().to_str().expect("a path in UTF-8");
        let (process, url) = run(&["--listen", "127.0.0.1:0", "--data", path]);
        let address = url
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok());
        let address = address.expect("an address");
        create(address, "other", 24).await;
        create(address, "cam", 24).await;
        Self {
            process,
            address,
            _data: data,
        }
    }

    fn memory(&self) -> u64 {
        memory_bytes(self.process.id(), "VmRSS:")
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A producer that has nothing to do with the attack.
struct Other {
    put: Put,
    movie: Movie,
    fragments: u64,
}

impl Other {
    async fn open(target: &Target) -> Self {
        let mut put = Put::open(target.address, "other").await;
        let movie = Movie::new();
        put.send(&movie.header()).await.expect("taken");
        let mut other = Self {
            put,
            movie,
            fragments: 0,
        };
        other.stores_one().await;
        other
    }

    /// Sends a fragment and waits for its PERSISTED.
    async fn stores_one(&mut self) {
        let fragment = [
            self.movie.fragment(self.fragments),
            self.movie.end_of_fragment(),
        ];
        self.put.send(&fragment.concat()).await.expect("taken");
        let at = START_MS + self.fragments * FRAGMENT_MS;
        self.put
            .until(|ack| matches!(ack, Ack::Persisted(acked) if acked.timecode == at))
            .await;
        self.fragments += 1;
    }
}

/// Sends a head, then so many MB of `filler`, as far as it is taken; gives what came back and how
/// much was taken.
async fn flood(address: SocketAddr, head: &str, filler: &[u8], mb: usize) -> (String, usize) {
    let socket = TcpStream::connect(address).await.expect("it listens");
    let (mut reader, mut writer) = socket.into_split();
    let send = async {
        writer.write_all(head.as_bytes()).await.ok()?;
        let filler = filler.repeat((1 << 20) / filler.len() + 1);
        for sent in 0..mb {
            if writer.write_all(&filler[..1 << 20]).await.is_err() {
                return Some(sent);
            }
        }
        Some(mb)
    };
    let receive = async {
        let mut back = Vec::new();
        // A reset behind the answer is as good an end as any.
        let _ = reader.read_to_end(&mut back).await;
        String::from_utf8_lossy(&back).into_owned()
    };
    let (sent, back) = soon("the end of a flood", async { tokio::join!(send, receive) }).await;
    (back, sent.unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_100_mb_is_refused_and_takes_no_memory() {
    let target = Target::start().await;
    let mut other = Other::open(&target).await;
    let before = peak_bytes(target.process.id());
    let host = format!("Host: {}\r\n", target.address);
    let chunked = "Transfer-Encoding: chunked\r\n\r\n6400000\r\n{\"StreamName\":\"";
    for path in ["/createStream", "/getMedia", "/getMediaForFragmentList"] {
        for rest in [
            "Content-Length: 104857600\r\n\r\n{\"StreamName\":\"",
            chunked,
        ] {
            let head = format!("POST {path} HTTP/1.1\r\n{host}{rest}");
            let attack = flood(target.address, &head, b"x", 100);
            let ((back, sent), ()) = tokio::join!(attack, other.stores_one());
            assert!(sent < 100, "{path}: it took all of it");
            // A client that goes on sending may find a reset in place of the answer.
            let refused = back.contains("400 Bad Request") && back.contains("InvalidArgument");
            assert!(refused || back.is_empty(), "{path}: {back}");
        }
        other.stores_one().await;
    }
    let grown = peak_bytes(target.process.id()).saturating_sub(before);
    assert!(grown < REFUSED_BYTES_MAX, "{} KiB", grown >> 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_10_mb_are_refused_and_take_no_memory() {
    let target = Target::start().await;
    let mut other = Other::open(&target).await;
    let before = peak_bytes(target.process.id());
    let post = format!("POST /getMedia HTTP/1.1\r\nHost: {}\r\n", target.address);
    for (head, filler) in [
        (format!("{post}x: "), &b"x"[..]),
        (post, b"x: y\r\n"),
        ("POST /".into(), b"x"),
        ("POST /getMedia?".into(), b"x"),
        (String::new(), b"x"),
        (String::new(), b"\r\n"),
    ] {
        let attack = flood(target.address, &head, filler, 10);
        let ((back, sent), ()) = tokio::join!(attack, other.stores_one());
        assert!(sent < 10, "{head:?}: it took all of it");
        let refused = back.starts_with("HTTP/1.1 4");
        assert!(refused || back.is_empty(), "{head:?}: {back}");
    }
    other.stores_one().await;
    let grown = peak_bytes(target.process.id()).saturating_sub(before);
    assert!(grown < REFUSED_BYTES_MAX, "{} KiB", grown >> 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_take_no_memory() {
    // The test's own ends of them.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("up to the maximum");
    let target = Target::start().await;
    let mut other = Other::open(&target).await;
    let before = target.memory();
    let mut idle = Vec::new();
    for count in 0..1000 {
        let mut socket = TcpStream::connect(target.address)
            .await
            .expect("it listens");
        // Some have begun to speak.
        if count % 3 == 0 {
            socket.write_all(b"POST /ge").await.expect("it is taken");
        }
        idle.push(socket);
        if count % 100 == 0 {
            other.stores_one().await;
        }
    }
    other.stores_one().await;
    let grown = target.memory().saturating_sub(before);
    assert!(grown < 1000 * IDLE_BYTES_MAX, "{} KiB", grown >> 10);
    drop(idle);
}

/// Fragments of 4 MB, more of them than any socket holds.
const STORED_FRAGMENTS: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_readers_at_1_kb_a_second_take_64_kib_each() {
    let target = Target::start().await;
    let mut movie = Movie::new();
    movie.frame_bytes = 800_000;
    let mut put = Put::open(target.address, "cam").await;
    put.send(&movie.header()).await.expect("taken");
    for index in 0..STORED_FRAGMENTS {
        let fragment = [movie.fragment(index), movie.end_of_fragment()].concat();
        put.send(&fragment).await.expect("taken");
        put.until(|ack| matches!(ack, Ack::Persisted(_))).await;
    }
    let mut other = Other::open(&target).await;
    let before = target.memory();
    let mut readers = Vec::new();
    for _ in 0..100 {
        let json = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
        let request = format!(
            "POST /getMedia HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{json}",
            target.address,
            json.len()
        );
        let mut socket = TcpStream::connect(target.address)
            .await
            .expect("it listens");
        socket
            .write_all(request.as_bytes())
            .await
            .expect("it is taken");
        readers.push(socket);
    }
    // A kilobyte each, again and again, and what is live goes on beside it.
    let mut kilobyte = [0; 1000];
    for round in 0..10 {
        for reader in &mut readers {
            soon("a kilobyte", reader.read_exact(&mut kilobyte))
                .await
                .expect("it goes on");
        }
        let index = STORED_FRAGMENTS + round;
        let fragment = [movie.fragment(index), movie.end_of_fragment()].concat();
        put.send(&fragment).await.expect("taken");
        put.until(|ack| matches!(ack, Ack::Persisted(_))).await;
        other.stores_one().await;
    }
    // The writer's own share of it: fragments that were open, and what the allocator keeps.
    let grown = target.memory().saturating_sub(before);
    let readers_max = 100 * READER_BYTES_MAX + 2 * REFUSED_BYTES_MAX;
    assert!(grown < readers_max, "{} KiB", grown >> 10);
    drop(readers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_or_broken_body_is_an_invalid_argument() {
    let target = Target::start().await;
    let mut other = Other::open(&target).await;
    let deep = |open: &str| open.repeat(500_000 / open.len());
    for json in [
        deep("["),
        deep("{\"Tags\":"),
        format!("{{\"StreamName\":{}", deep("[")),
        format!("{{\"StreamName\":\"{}\"}}", "x".repeat(900_000)),
        "{\"StreamName\":\"cam\"}garbage".into(),
        "{\"StreamName\":\"\\ud800\"}".into(),
        "{\"StreamName\":1e999}".into(),
        "\u{0}".into(),
        String::new(),
    ] {
        let reply = post(target.address, "/getDataEndpoint", &json).await;
        let start: String = json.chars().take(20).collect();
        assert_eq!(
            (reply.status, reply.error()),
            (400, "InvalidArgumentException"),
            "{start}"
        );
        assert!(reply.body.len() < 1000, "{start}: it is not repeated");
    }
    other.stores_one().await;
}

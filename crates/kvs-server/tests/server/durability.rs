//! The real binary is killed in the middle of an upload: what was PERSISTED is there for ever.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::{Arc, Mutex};

use kvs_protocol::Ack;
use tempfile::TempDir;

use crate::harness::{Put, create, post};
use crate::movie::{self, FRAGMENT_MS, Movie, START_MS};
use crate::random::Random;
use crate::startup::{binary, run};

/// 100 KB a fragment: a write of it takes long enough to be killed in.
const FRAME_BYTES: usize = 20_000;
/// More than a round ever uploads.
const FRAGMENTS_A_ROUND: u64 = 1000;

/// Fragments by their numbers: which one of the movie each is.
type Persisted = Arc<Mutex<BTreeMap<String, u64>>>;

fn start(data: &TempDir) -> (Child, std::net::SocketAddr) {
    let data = data.path().to_str().expect("a path in UTF-8");
    let (child, url) = run(&[
        "--listen",
        "127.0.0.1:0",
        "--data",
        data,
        "--get-media-idle",
        "50ms",
    ]);
    let address = url
        .strip_prefix("http://")
        .and_then(|address| address.parse().ok());
    (child, address.expect("an address"))
}

fn movie() -> Movie {
    let mut movie = Movie::new();
    movie.frame_bytes = FRAME_BYTES;
    movie
}

/// Uploads from fragment `first` on and kills the server after so many bytes.
async fn upload_until_killed(
    server: &mut Child,
    address: std::net::SocketAddr,
    first: u64,
    bytes: u64,
    persisted: &Persisted,
) {
    let put = Put::open(address, "cam").await;
    assert_eq!(put.status, 200);
    let (mut body, mut acks) = put.split();
    let persisted = Arc::clone(persisted);
    let reading = tokio::spawn(async move {
        while let Ok(Some(ack)) = acks.next().await {
            if let Ack::Persisted(acked) = ack {
                let index = (acked.timecode - START_MS) / FRAGMENT_MS;
                let mut persisted = persisted.lock().expect("no test panicked");
                persisted.insert(acked.number.to_string(), index);
            }
        }
    });
    let mut movie = movie();
    let mut left = bytes as usize;
    let mut next = movie.header();
    for index in first..first + FRAGMENTS_A_ROUND {
        next.extend(movie.fragment(index));
        for piece in std::mem::take(&mut next).chunks(16 * 1024) {
            let piece = &piece[..piece.len().min(left)];
            body.send(piece).await.expect("the server is alive");
            left -= piece.len();
        }
        if left == 0 {
            break;
        }
    }
    server.kill().expect("it runs");
    server.wait().expect("it was killed");
    reading.await.expect("it reads to the end");
}

/// `check` finds nothing, and a server that starts again has all there is to have.
async fn check(data: &TempDir, persisted: &Persisted, context: &str) -> Child {
    let path = data.path().to_str().expect("a path in UTF-8");
    let checked = binary(&["check", "--data", path, "--full"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{context}: {said}");
    let (server, address) = start(data);
    let json = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    let reply = post(address, "/getMedia", json).await;
    let chunks: BTreeMap<_, _> = movie::chunks(&reply.body)
        .into_iter()
        .map(|chunk| (chunk.number.clone(), chunk))
        .collect();
    for (number, index) in persisted.lock().expect("no test panicked").iter() {
        let chunk = chunks
            .get(number)
            .unwrap_or_else(|| panic!("{context}: {number} is lost"));
        let cluster = movie().fragment(*index);
        let same = chunk
            .bytes
            .windows(cluster.len())
            .any(|window| window == cluster);
        assert!(same && chunk.is_whole(), "{context}: {number} has changed");
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_persisted_outlives_a_kill() {
    let rounds = if std::env::var_os("KVS_LONG_TESTS").is_some() {
        20
    } else {
        5
    };
    let mut random = Random::new("kills");
    let data = tempfile::tempdir().expect("a folder");
    let persisted = Persisted::default();
    let (mut server, address) = start(&data);
    create(address, "cam", 24).await;
    let mut address = address;
    for round in 0..rounds {
        let bytes = 1 + random.below(20 * 5 * FRAME_BYTES as u64);
        let first = round * FRAGMENTS_A_ROUND;
        upload_until_killed(&mut server, address, first, bytes, &persisted).await;
        server = check(&data, &persisted, &format!("round {round}")).await;
        server.kill().expect("it runs");
        server.wait().expect("it was killed");
        (server, address) = start(&data);
    }
    server.kill().expect("it runs");
    server.wait().expect("it was killed");
    let count = persisted.lock().expect("no test panicked").len();
    assert!(count > 0, "some fragments were persisted");
    eprintln!("{rounds} kills, {count} fragments persisted, none lost");
}

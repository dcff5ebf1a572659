//! Durability under fault: a real server is killed, its disk full, failing or slow, while many
//! write and read. Then `check` is clean, and all that was PERSISTED is there byte by byte.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use kvs_protocol::{Ack, AckError};
use kvs_server::store;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::faults::{add, clear, until_fired};
use crate::harness::{Acks, Put, create, post, request, soon, try_send};
use crate::movie::{self, Chunk, FRAGMENT_MS, FRAME_MS, Movie, START_MS};
use crate::random::{Random, given_seed};
use crate::startup::run;

/// A sample of each kind of fault, and all of them.
const ROUNDS: u64 = 6;
const ROUNDS_LONG: u64 = 200;
/// Two write each, one reads.
const STREAMS: u64 = 16;
const WRITERS: u64 = 2 * STREAMS;
/// Of them, those that leave in the middle of a fragment, again and again.
const LEAVERS: u64 = 4;
/// So many fragments a session sends ahead of the disk.
const UNSTORED_MAX: u64 = 3;
/// More than a writer ever uploads in a round.
const FRAGMENTS_MAX: u64 = 10_000;

/// The fragments of a stream that were PERSISTED, by number: which of the movie each is.
type Persisted = BTreeMap<String, u64>;

/// What all of a round's clients share.
struct Round {
    address: SocketAddr,
    persisted: Mutex<BTreeMap<String, Persisted>>,
    /// PERSISTED acks of all writers.
    acks: watch::Sender<u64>,
    /// ERROR acks that the disk is the reason for.
    errors: watch::Sender<u64>,
    /// From here on the server may be gone.
    over: watch::Sender<bool>,
}

impl Round {
    fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// A connection may only break once the server may be gone.
    fn broke<T>(&self, what: &str, result: std::io::Result<T>) -> Option<T> {
        if let Err(error) = &result {
            assert!(self.is_over(), "{what}: {error}");
        }
        result.ok()
    }

    fn note(&self, stream: &str, ack: Ack) {
        match ack {
            Ack::Persisted(acked) => {
                let mut persisted = self.persisted.lock().expect("no test panicked");
                persisted
                    .entry(stream.to_owned())
                    .or_default()
                    .insert(acked.number.to_string(), index_at(acked.timecode));
                self.acks.send_modify(|acks| *acks += 1);
            }
            Ack::Error {
                error: AckError::ArchivalError,
                ..
            } => self.errors.send_modify(|errors| *errors += 1),
            _ => {}
        }
    }

    /// Reads to the next PERSISTED; whether there is one.
    async fn note_next(&self, stream: &str, acks: &mut Acks) -> bool {
        while let Ok(Some(ack)) = acks.next().await {
            let is_persisted = matches!(ack, Ack::Persisted(_));
            self.note(stream, ack);
            if is_persisted {
                return true;
            }
        }
        false
    }

    async fn more_acks(&self, acks: u64) {
        let wanted = *self.acks.borrow() + acks;
        let mut seen = self.acks.subscribe();
        let reached = seen.wait_for(|acks| *acks >= wanted);
        drop(soon("acks", reached).await.expect("the round holds it"));
    }

    async fn more_errors(&self, errors: u64) {
        let wanted = *self.errors.borrow() + errors;
        let mut seen = self.errors.subscribe();
        let reached = seen.wait_for(|errors| *errors >= wanted);
        drop(soon("errors", reached).await.expect("the round holds it"));
    }
}

/// Says how to have a round again that failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this round again: KVS_SEED={}", self.0);
        }
    }
}

fn name(stream: u64) -> String {
    format!("cam-{stream}")
}

fn start(data: &TempDir, idle: &str) -> (Child, SocketAddr) {
    let path = data.path().to_str().expect("a path in UTF-8");
    let (child, url) = run(&[
        "--listen",
        "127.0.0.1:0",
        "--data",
        path,
        "--get-media-idle",
        idle,
        "--enable-faults",
    ]);
    let address = url.strip_prefix("http://");
    let address = address.and_then(|address| address.parse().ok());
    (child, address.expect("an address"))
}

/// The movie that the fragment of that index is of: each writer has its own.
fn movie_of(index: u64) -> Movie {
    let mut movie = Movie::new();
    movie.frame_bytes = 300 + 100 * (index / FRAGMENTS_MAX) as usize;
    movie
}

fn index_at(ms: u64) -> u64 {
    (ms - START_MS) / FRAGMENT_MS
}

/// Whether the chunk has the whole cluster of the fragment, unchanged.
fn holds(chunk: &Chunk, index: u64) -> bool {
    let cluster = movie_of(index).fragment(index);
    let mut windows = chunk.bytes.windows(cluster.len());
    windows.any(|window| window == cluster)
}

/// A session, as soon as there can be one; `None` when the round is over.
async fn session(round: &Round, stream: &str) -> Option<Put> {
    let head = format!(
        "POST /putMedia HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\
         x-amzn-stream-name: {stream}\r\nx-amzn-fragment-timecode-type: ABSOLUTE\r\n\r\n",
        round.address
    );
    while !round.is_over() {
        let opened = Put::try_with_head(round.address, &head).await;
        let put = round.broke("a PutMedia", opened)?;
        // Else the disk is at fault, or the session before is not quite over.
        if put.status == 200 {
            return Some(put);
        }
    }
    None
}

/// Uploads one fragment after another, in a new session wherever one ends.
async fn write(round: Arc<Round>, writer: u64) {
    let stream = name(writer % STREAMS);
    let first = writer * FRAGMENTS_MAX;
    let mut indices = first..first + FRAGMENTS_MAX;
    while let Some(put) = session(&round, &stream).await {
        let (mut body, mut acks) = put.split();
        let mut movie = movie_of(first);
        let mut next = movie.header();
        let mut unstored = 0;
        for index in indices.by_ref() {
            next.extend(movie.fragment(index));
            if body.send(&next).await.is_err() {
                break;
            }
            next.clear();
            unstored += 1;
            if unstored == UNSTORED_MAX {
                if !round.note_next(&stream, &mut acks).await {
                    break;
                }
                unstored -= 1;
            }
        }
        drop(body);
        while round.note_next(&stream, &mut acks).await {}
    }
}

/// Uploads a fragment and a half, and leaves once the server has begun to take the half.
async fn write_halves(round: Arc<Round>, writer: u64) {
    let stream = name(writer % STREAMS);
    let first = writer * FRAGMENTS_MAX;
    for index in (first..first + FRAGMENTS_MAX).step_by(2) {
        let Some(mut put) = session(&round, &stream).await else {
            break;
        };
        let mut movie = movie_of(first);
        // Half of its frames: nothing but the missing tags tells it from a whole one.
        let half_ms = START_MS + (index + 1) * FRAGMENT_MS;
        let pieces = [
            movie.header(),
            movie.fragment(index),
            movie.cluster(half_ms),
            movie.frame(1, half_ms),
            movie.frame(1, half_ms + FRAME_MS),
        ];
        if put.send(&pieces.concat()).await.is_err() {
            continue;
        }
        let (_body, mut acks) = put.split();
        while let Ok(Some(ack)) = acks.next().await {
            let begun = match &ack {
                Ack::Buffering(acked) => Some(index_at(acked.timecode)),
                _ => None,
            };
            round.note(&stream, ack);
            if begun == Some(index + 1) {
                break;
            }
        }
    }
}

/// Follows a stream: whatever comes as whole is whole.
async fn read(round: Arc<Round>, stream: u64) -> usize {
    let stream = name(stream);
    let mut selector = r#""StartSelectorType":"EARLIEST""#.to_owned();
    let mut seen = 0;
    while !round.is_over() {
        let json = format!(r#"{{"StreamName":"{stream}","StartSelector":{{{selector}}}}}"#);
        let call = request(round.address, "/getMedia", &json);
        let opened = try_send(round.address, call.as_bytes()).await;
        let Some(mut response) = round.broke("a GetMedia", opened) else {
            break;
        };
        if response.status != 200 {
            continue;
        }
        let mut body = Vec::new();
        while let Ok(Some(bytes)) = response.chunk().await {
            body.extend(bytes);
        }
        for chunk in movie::chunks_so_far(&body) {
            if chunk.is_whole() {
                let index = index_at(chunk.first_ms());
                assert!(holds(&chunk, index), "{stream}: half of fragment {index}");
                seen += 1;
                selector = format!(
                    r#""StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"{}""#,
                    chunk.number
                );
            }
        }
    }
    seen
}

/// Does what the seed says to the server, and ends it.
async fn inject(round: &Round, random: &mut Random, kind: u64, server: &mut Child) {
    let address = round.address;
    round.more_acks(20 + random.below(200)).await;
    match kind {
        0 => {}
        1 => {
            add(address, &json!({"kind": "disk_full"})).await;
            round.more_errors(1 + random.below(40)).await;
        }
        2 => {
            let call = ["write", "sync"][random.below(2) as usize];
            let (after, count) = (random.below(20), 1 + random.below(4));
            let fault = json!({"kind": "disk_error", "call": call, "after": after, "count": count});
            add(address, &fault).await;
            until_fired(address).await;
        }
        _ => {
            let delay_ms = 10 + random.below(90);
            let fault =
                json!({"kind": "disk_delay", "call": "sync", "delay_ms": delay_ms, "count": 10});
            add(address, &fault).await;
            until_fired(address).await;
        }
    }
    // Half of them end in the middle of it.
    if kind != 0 && random.below(2) == 0 {
        clear(address).await;
        round.more_acks(1 + random.below(100)).await;
    }
    round.over.send_replace(true);
    if kind == 0 || random.below(2) == 0 {
        server.kill().expect("it runs");
    } else {
        let id = server.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.expect("kill is there").success());
    }
    server.wait().expect("it ends");
}

/// Nothing is damaged, and what was PERSISTED is there; says how much that was.
async fn verify(data: &TempDir, round: &Round) -> usize {
    let path = data.path().to_owned();
    let checked = tokio::task::spawn_blocking(move || store::check(path, None, true));
    let checked = checked.await.expect("it does not panic");
    let violations = checked.expect("it can be checked").violations;
    assert!(violations.is_empty(), "{violations:?}");
    let (mut server, address) = start(data, "50ms");
    let persisted = std::mem::take(&mut *round.persisted.lock().expect("no test panicked"));
    for (stream, fragments) in &persisted {
        let json = format!(
            r#"{{"StreamName":"{stream}","StartSelector":{{"StartSelectorType":"EARLIEST"}}}}"#
        );
        let reply = post(address, "/getMedia", &json).await;
        let chunks = movie::chunks(&reply.body).into_iter();
        let chunks: BTreeMap<_, _> = chunks.map(|chunk| (chunk.number.clone(), chunk)).collect();
        for (number, index) in fragments {
            let chunk = chunks.get(number);
            let chunk = chunk.unwrap_or_else(|| panic!("{stream}: {number} is lost"));
            let same = chunk.is_whole() && holds(chunk, *index);
            assert!(same, "{stream}: {number} has changed");
        }
    }
    server.kill().expect("it runs");
    server.wait().expect("it was killed");
    persisted.values().map(BTreeMap::len).sum()
}

/// One round; says what kind it was of, how much was PERSISTED and how much was read meanwhile.
async fn round(seed: u64) -> (&'static str, usize, usize) {
    let _says = Seed(seed);
    let mut random = Random::of(seed);
    let kind = seed % 4;
    let data = tempfile::tempdir().expect("a folder");
    let (mut server, address) = start(&data, "500ms");
    let round = Arc::new(Round {
        address,
        persisted: Mutex::default(),
        acks: watch::Sender::new(0),
        errors: watch::Sender::new(0),
        over: watch::Sender::new(false),
    });
    for stream in 0..STREAMS {
        create(address, &name(stream), 24).await;
    }
    let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
    for writer in 0..WRITERS {
        if writer < LEAVERS {
            writers.spawn(write_halves(Arc::clone(&round), writer));
        } else {
            writers.spawn(write(Arc::clone(&round), writer));
        }
    }
    for stream in 0..STREAMS {
        readers.spawn(read(Arc::clone(&round), stream));
    }
    inject(&round, &mut random, kind, &mut server).await;
    soon("the writers", writers.join_all()).await;
    let read = soon("the readers", readers.join_all()).await;
    let persisted = verify(&data, &round).await;
    let acks = *round.acks.borrow();
    assert_eq!(persisted as u64, acks, "no number is given out twice");
    let kind = ["killed", "full", "failing", "slow"][kind as usize];
    (kind, persisted, read.iter().sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_persisted_outlives_every_fault() {
    let rounds = match std::env::var_os("KVS_LONG_TESTS") {
        Some(_) => ROUNDS_LONG,
        None => ROUNDS,
    };
    let seeds = given_seed().map_or(0..rounds, |seed| seed..seed + 1);
    let mut read_in_all = 0;
    for seed in seeds {
        let (kind, persisted, read) = round(seed).await;
        eprintln!("round {seed}, {kind}: {persisted} fragments persisted, {read} read meanwhile");
        assert!(persisted > 0);
        read_in_all += read;
    }
    assert!(read_in_all > 0, "readers see something");
}

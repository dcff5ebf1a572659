//! Bodies that are broken: the right ack, what came before kept, memory under its bound.

use kvs_protocol::Ack;
use kvs_server::clock::SimulatedClock;
use kvs_server::{Config, Handle, Server};

use crate::harness::{Put, create, short, start, upload};
use crate::movie::{self, FRAGMENT_MS, Movie, START_MS};
use crate::random::Random;
use crate::read::earliest;

async fn with_stream() -> Handle {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    server
}

/// Uploads a body to a stream of its own, and looks at what is kept of it.
async fn upload_and_check(server: &Handle, stream: &str, body: &[u8]) -> String {
    create(server.address(), stream, 24).await;
    let acks = upload(server.address(), stream, body).await;
    check_kept(server, stream, &acks, body).await;
    short(&acks)
}

/// Every PERSISTED fragment is there, each is whole, and none has other bytes than were sent.
async fn check_kept(server: &Handle, stream: &str, acks: &[Ack], sent: &[u8]) {
    let persisted = acks.iter().filter_map(|ack| match ack {
        Ack::Persisted(acked) => Some(acked.number.to_string()),
        _ => None,
    });
    let persisted: Vec<_> = persisted.collect();
    let chunks = earliest(server, stream).await;
    let numbers: Vec<_> = chunks.iter().map(|chunk| chunk.number.clone()).collect();
    assert_eq!(numbers, persisted, "{stream}");
    for chunk in &chunks {
        assert!(chunk.is_whole(), "{stream}");
        let cluster = [0x1F, 0x43, 0xB6, 0x75];
        let from = chunk.bytes.windows(4).position(|window| window == cluster);
        let first = chunk.frames.first().expect("a frame").data.to_bytes();
        let at = chunk
            .bytes
            .windows(first.len())
            .position(|window| window == first);
        let (from, to) = (
            from.expect("a cluster"),
            at.expect("its frame") + first.len(),
        );
        let cluster = &chunk.bytes[from..to];
        let found = sent.windows(cluster.len()).any(|window| window == cluster);
        assert!(found, "{stream}: bytes that nobody sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_cut_anywhere_keeps_what_came_before() {
    let server = start().await;
    let body = movie::body(4);
    let fragment = Movie::new().fragment(0).len();
    let header = Movie::new().header().len();
    let frame = fragment / movie::FRAMES as usize;
    for cut in (1000..body.len()).step_by(1000) {
        let said = upload_and_check(&server, &format!("cut-at-{cut}"), &body[..cut]).await;
        let inside = (cut - header) % fragment;
        let before = (cut - header) / fragment;
        assert!(said.matches('P').count() >= before, "cut at {cut}: {said}");
        // A cut between two frames cannot be told from an end; one inside a frame can.
        let first_is_whole = inside > frame;
        match said.split(' ').next_back() {
            Some(last) if last.starts_with('E') => {
                assert!(
                    last.starts_with("E4006@") || !first_is_whole,
                    "cut at {cut}: {said}"
                );
            }
            last => assert!(
                last.is_some_and(|last| last.starts_with('P')),
                "{cut}: {said}"
            ),
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_inside_a_fragment_is_a_read_error() {
    let server = with_stream().await;
    let mut put = Put::open(server.address(), "cam").await;
    let body = movie::body(2);
    put.send(&body).await.expect("taken");
    put.until(|ack| matches!(ack, Ack::Persisted(_))).await;
    put.break_off().await;
    assert_eq!(short(&put.acks().await), "E4000@1");
    assert_eq!(earliest(&server, "cam").await.len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bytes_never_reach_a_reader_as_something_else() {
    let rounds = if std::env::var_os("KVS_LONG_TESTS").is_some() {
        500
    } else {
        50
    };
    let server = start().await;
    let mut random = Random::new("flipped bytes");
    for round in 0..rounds {
        let mut body = movie::body(4);
        for _ in 0..=random.below(4) {
            let at = random.below(body.len() as u64) as usize;
            body[at] ^= 1 << random.below(8);
        }
        upload_and_check(&server, &format!("round-{round}"), &body).await;
    }
    server.stop().await;
}

/// Uploads a header, a good fragment, then this; gives what the acks say.
async fn after_a_good_fragment(make: impl FnOnce(&mut Movie) -> Vec<u8>) -> String {
    let server = with_stream().await;
    let mut movie = Movie::new();
    let good = [movie.header(), movie.fragment(0)].concat();
    let bad = make(&mut movie);
    let acks = upload(server.address(), "cam", &[good, bad].concat()).await;
    let kept = earliest(&server, "cam").await;
    assert!(
        !kept.is_empty() && kept[0].first_ms() == START_MS,
        "the one before is kept"
    );
    server.stop().await;
    short(&acks)
}

#[tokio::test]
async fn a_second_document_is_invalid() {
    let said = after_a_good_fragment(|movie| {
        [movie.end_of_fragment(), movie.header(), movie.fragment(1)].concat()
    });
    assert_eq!(said.await, "B1 R1 P1 E4006@1");
}

#[tokio::test]
async fn a_frame_of_an_undeclared_track_is_a_mismatch() {
    let said = after_a_good_fragment(|movie| {
        let foreign = b"\xA3\x85\x82\x00\x00\x80x";
        [movie.fragment(1), foreign.to_vec()].concat()
    });
    let said = said.await;
    assert!(said.contains("P1") && said.ends_with("E4010@2"), "{said}");
}

#[tokio::test]
async fn a_fragment_of_25_seconds_is_too_long() {
    let said = after_a_good_fragment(|movie| {
        let start_ms = START_MS + FRAGMENT_MS;
        let mut out = movie.cluster(start_ms);
        for at in 0..=50 {
            out.extend(movie.frame(1, start_ms + at * 500));
        }
        out
    });
    let said = said.await;
    assert!(said.contains("P1") && said.ends_with("E4002@2"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_of_60_megabytes_is_too_large() {
    let said = after_a_good_fragment(|movie| {
        movie.frame_bytes = 1 << 20;
        let start_ms = START_MS + FRAGMENT_MS;
        let mut out = movie.cluster(start_ms);
        for at in 0..60 {
            out.extend(movie.frame(1, start_ms + at * 10));
        }
        out
    });
    let said = said.await;
    assert!(said.contains("P1") && said.ends_with("E4001@2"), "{said}");
}

#[tokio::test]
async fn a_silent_body_after_a_known_size_is_complete_after_a_pause() {
    let server = with_stream().await;
    let mut put = Put::open(server.address(), "cam").await;
    let cluster = b"\x1F\x43\xB6\x75\x8A\xE7\x81\x05\xA3\x85\x81\x00\x00\x00x";
    put.send(&[&Movie::new().header()[..], cluster].concat())
        .await
        .expect("taken");
    let acks = [put.ack().await, put.ack().await, put.ack().await].map(|ack| ack.expect("an ack"));
    assert_eq!(short(&acks), "B1 R1 P1");
    server.stop().await;
}

#[tokio::test]
async fn a_session_that_starts_beyond_what_readers_can_count_is_refused() {
    let server = with_stream().await;
    let headers = "x-amzn-stream-name: cam\r\nx-amzn-fragment-timecode-type: RELATIVE\r\n\
                   x-amzn-producer-start-timestamp: 99999999999\r\n";
    let mut put = Put::with_headers(server.address(), headers).await;
    put.send(&movie::body(1)).await.expect("taken");
    assert_eq!(short(&put.acks().await), "E4007");
    server.stop().await;
}

#[tokio::test]
async fn a_clock_that_steps_back_loses_nobody_a_fragment() {
    let clock = std::sync::Arc::new(SimulatedClock::new(START_MS));
    let config = Config {
        clock: clock.clone(),
        get_media_idle: Some(std::time::Duration::from_millis(50)),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("in memory");
    create(server.address(), "cam", 24).await;
    for step_ms in [0, 3_600_000, 7_200_000] {
        clock.step_to_ms(START_MS - step_ms);
        let acks = upload(server.address(), "cam", &movie::body(1)).await;
        assert_eq!(short(&acks), "B1 R1 P1");
    }
    let chunks = earliest(&server, "cam").await;
    let numbers: Vec<_> = chunks.iter().map(|chunk| chunk.number.clone()).collect();
    assert!(numbers.len() == 3 && numbers.is_sorted(), "{numbers:?}");
    server.stop().await;
}

//! Two sessions of one stream, a session that gets old, and a stream that is in memory alone.

use std::sync::Arc;
use std::time::Duration;

use kvs_protocol::{Ack, FragmentNumber};
use kvs_server::clock::SimulatedClock;
use kvs_server::{Config, Handle, Server};
use tokio::time::{Instant, pause, resume, sleep};

use crate::harness::{Put, create, open, post, short, start_to_follow, upload};
use crate::movie::{self, Chunk, FRAGMENT_MS, Movie, START_MS};
use crate::read::{earliest, get_media};

const NOW: &str = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"NOW"}}"#;

/// The acks, but for those that tell of silence: how many there are depends on the machine, as the
/// paused clock runs while nobody else does.
fn spoken(acks: &[Ack]) -> String {
    let spoken: Vec<_> = acks
        .iter()
        .filter(|ack| **ack != Ack::Idle)
        .cloned()
        .collect();
    short(&spoken)
}

/// Opens a session in which a fragment has begun.
async fn begin(server: &Handle, movie: &mut Movie, start_ms: u64) -> Put {
    let mut put = Put::open(server.address(), "cam").await;
    let cluster = movie.cluster(start_ms);
    let begun = [movie.header(), cluster, movie.frame(1, start_ms)].concat();
    put.send(&begun).await.expect("taken");
    put.until(|ack| matches!(ack, Ack::Buffering(_))).await;
    put
}

#[tokio::test]
async fn a_fragment_that_grows_holds_newer_ones_back_until_it_ends() {
    for retention_hours in [24, 0] {
        let server = start_to_follow().await;
        create(server.address(), "cam", retention_hours).await;
        let mut movie = Movie::new();
        let mut old = begin(&server, &mut movie, START_MS).await;
        let mut reader = open(server.address(), "/getMedia", NOW).await;
        // Their producer times overlap, as those of other sessions may.
        let acks = upload(server.address(), "cam", &movie::body(3)).await;
        assert!(short(&acks).contains("R3"), "{}", short(&acks));
        old.send(&movie.frame(1, START_MS + 100))
            .await
            .expect("taken");
        old.send(&movie.end_of_fragment()).await.expect("taken");
        old.end().await;
        old.acks().await;
        let mut body = Vec::new();
        while let Some(chunk) = reader.chunk().await.expect("a whole response") {
            body.extend(chunk);
        }
        let chunks = movie::chunks(&body);
        let numbers: Vec<_> = chunks.iter().map(|chunk| chunk.number.clone()).collect();
        assert!(numbers.len() == 4 && numbers.is_sorted(), "{numbers:?}");
        assert!(chunks.iter().all(Chunk::is_whole));
        assert_eq!(chunks[0].frames.len(), 2, "the one that was first");
        server.stop().await;
    }
}

#[tokio::test]
async fn it_holds_them_back_for_30_s_at_most() {
    let server = start_to_follow().await;
    create(server.address(), "cam", 24).await;
    let mut movie = Movie::new();
    movie.frame_bytes = 10;
    let old = begin(&server, &mut movie, START_MS).await;
    let mut reader = open(server.address(), "/getMedia", NOW).await;
    let acks = upload(server.address(), "cam", &movie::body(1)).await;
    assert_eq!(short(&acks), "B1 R1 P1");
    pause();
    let begun = Instant::now();
    let (mut body, mut acks) = old.split();
    let goes_on = async {
        for at in 1.. {
            // Long enough for an idle ack, which the test waits for.
            sleep(Duration::from_secs(7)).await;
            let frame = movie.frame(1, START_MS + at);
            if body.send(&frame).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let refused = async {
        let mut all = Vec::new();
        while let Ok(Some(ack)) = acks.next().await {
            all.push(ack);
        }
        all
    };
    let all = tokio::select! {
        () = goes_on => unreachable!("it goes on for ever"),
        all = refused => all,
    };
    assert_eq!(spoken(&all), "E4000@1");
    // The upload's time passed too, but for what the paused clock did not see.
    assert!(
        (25..=33).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
    resume();
    while reader.chunk().await.expect("an end in good form").is_some() {}
    assert_eq!(earliest(&server, "cam").await.len(), 1);
    server.stop().await;
}

/// A server whose sessions get no older than a minute. (AWS's 45 are the default.)
async fn of_a_minute() -> Handle {
    let of_aws = Config::default().connection_age_max;
    assert_eq!(of_aws, Some(Duration::from_secs(45 * 60)));
    let config = Config {
        connection_age_max: Some(Duration::from_secs(60)),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("in memory");
    // Nothing waits for a disk, whose time does not stand still.
    create(server.address(), "cam", 0).await;
    server
}

#[tokio::test]
async fn at_its_age_the_fragment_under_way_may_end_and_the_next_is_sent_again() {
    let server = of_a_minute().await;
    let mut movie = Movie::new();
    movie.frame_bytes = 10;
    let mut put = begin(&server, &mut movie, START_MS).await;
    pause();
    let begun = Instant::now();
    for at in 1..=4 {
        sleep(Duration::from_secs(18)).await;
        put.send(&movie.frame(1, START_MS + at))
            .await
            .expect("taken");
    }
    assert!(begun.elapsed() > Duration::from_secs(60));
    let next = [movie.cluster(START_MS + 9), movie.frame(1, START_MS + 9)].concat();
    put.send(&next).await.expect("taken");
    resume();
    let acks = put.acks().await;
    assert_eq!(spoken(&acks), "R1 E4003@2");
    let Some(Ack::Error { timecode, .. }) = acks.last() else {
        panic!("the last ack")
    };
    assert_eq!(*timecode, Some(START_MS + 9));
    server.stop().await;
}

#[tokio::test]
async fn an_old_session_ends_though_its_fragment_does_not() {
    let server = of_a_minute().await;
    let mut movie = Movie::new();
    movie.frame_bytes = 10;
    let mut put = begin(&server, &mut movie, START_MS).await;
    pause();
    let begun = Instant::now();
    for at in 1..9 {
        sleep(Duration::from_secs(10)).await;
        let frame = movie.frame(1, START_MS + at);
        put.send(&frame).await.expect("taken");
    }
    let acks = put.acks().await;
    assert_eq!(spoken(&acks), "E4003@1");
    assert!(
        (85..=91).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn no_session_is_too_old_where_age_does_not_matter() {
    let config = Config {
        connection_age_max: None,
        ..Config::default()
    };
    let server = Server::start(config).await.expect("in memory");
    create(server.address(), "cam", 24).await;
    let mut movie = Movie::new();
    let mut put = begin(&server, &mut movie, START_MS).await;
    pause();
    for _ in 0..400 {
        sleep(Duration::from_secs(15)).await;
        put.send(&movie.frame(1, START_MS + 1))
            .await
            .expect("taken");
    }
    resume();
    put.end().await;
    assert!(short(&put.acks().await).ends_with("P1"));
    server.stop().await;
}

#[tokio::test]
async fn a_reader_that_is_too_slow_for_memory_ends_and_resumes_with_what_there_is() {
    let server = start_to_follow().await;
    create(server.address(), "cam", 0).await;
    let mut movie = Movie::new();
    movie.frame_bytes = 2 << 20;
    let mut put = Put::open(server.address(), "cam").await;
    put.send(&[movie.header(), movie.fragment(0), movie.end_of_fragment()].concat())
        .await
        .expect("taken");
    put.until(|ack| matches!(ack, Ack::Received(_))).await;
    let json = NOW.replace("NOW", "EARLIEST");
    let mut reader = open(server.address(), "/getMedia", &json).await;
    let first = reader.chunk().await.expect("it begins").expect("it begins");
    // 30 fragments of 10 MB, of which memory keeps 200 MB.
    let mut last = None;
    for index in 1..=30 {
        put.send(&[movie.fragment(index), movie.end_of_fragment()].concat())
            .await
            .expect("taken");
        let ack = put.until(|ack| matches!(ack, Ack::Received(_))).await;
        last = Some(ack);
    }
    let mut bytes = first.len();
    while let Some(chunk) = reader.chunk().await.expect("an end in good form") {
        bytes += chunk.len();
    }
    assert!(bytes < 10 << 20, "the fragment is gone: {bytes}");
    // It resumes with what there is.
    let Some(Ack::Received(last)) = last else {
        panic!("a last ack")
    };
    let rest = earliest(&server, "cam").await;
    assert!(rest.len() < 21, "{}", rest.len());
    assert_eq!(
        rest.last().expect("the newest").number,
        last.number.as_str()
    );
    put.end().await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_in_memory_alone_is_in_no_archive() {
    let clock = Arc::new(SimulatedClock::new(START_MS));
    let config = Config {
        clock: clock.clone(),
        get_media_idle: Some(Duration::from_millis(50)),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("in memory");
    create(server.address(), "cam", 0).await;
    let acks = upload(server.address(), "cam", &movie::body(3)).await;
    assert_eq!(short(&acks), "B1 R1 B2 R2 B3 R3");
    let Ack::Received(first) = &acks[1] else {
        panic!("RECEIVED")
    };
    let list = format!(
        r#"{{"StreamName":"cam","FragmentSelector":{{"FragmentSelectorType":"PRODUCER_TIMESTAMP",
        "TimestampRange":{{"StartTimestamp":0,"EndTimestamp":{}}}}}}}"#,
        (START_MS + 9 * FRAGMENT_MS) / 1000
    );
    let listed = post(server.address(), "/listFragments", &list).await;
    assert_eq!(listed.status, 200);
    assert_eq!(listed.json()["Fragments"].as_array().map(Vec::len), Some(0));
    let json = format!(r#"{{"StreamName":"cam","Fragments":["{}"]}}"#, first.number);
    let media = post(server.address(), "/getMediaForFragmentList", &json).await;
    assert_eq!(
        (media.status, media.error()),
        (404, "ResourceNotFoundException")
    );
    // Every selector reads from memory.
    let after = |number: &FragmentNumber| {
        format!(r#""StartSelectorType":"CONTINUATION_TOKEN","ContinuationToken":"{number}""#)
    };
    assert_eq!(
        get_media(&server, "cam", &after(&first.number)).await.len(),
        2
    );
    let at = START_MS + FRAGMENT_MS;
    let at = format!(
        r#""StartSelectorType":"PRODUCER_TIMESTAMP","StartTimestamp":{}"#,
        at as f64 / 1000.0
    );
    assert_eq!(get_media(&server, "cam", &at).await.len(), 2);
    server.stop().await;
}

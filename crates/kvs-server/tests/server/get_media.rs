//! GetMedia: where it begins, how it follows, how it ends.

use kvs_protocol::{Ack, FragmentNumber};
use kvs_server::Handle;

use crate::harness::{Put, Response, create, open, post, start, start_to_follow, upload};
use crate::movie::{self, Chunk, FRAGMENT_MS, Movie, START_MS};
use crate::read::{earliest, get_media};

/// A server with five fragments, and their numbers.
async fn five(server: Handle) -> (Handle, Vec<FragmentNumber>) {
    create(server.address(), "cam", 24).await;
    let acks = upload(server.address(), "cam", &movie::body(5)).await;
    let numbers = acks.iter().filter_map(|ack| match ack {
        Ack::Persisted(acked) => Some(acked.number.clone()),
        _ => None,
    });
    let numbers: Vec<_> = numbers.collect();
    assert_eq!(numbers.len(), 5);
    assert!(numbers.is_sorted());
    (server, numbers)
}

fn numbers(chunks: &[Chunk]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk.number.as_str()).collect()
}

#[tokio::test]
async fn each_selector_begins_where_it_says() {
    let (server, all) = five(start().await).await;
    let all: Vec<_> = all.iter().map(FragmentNumber::as_str).collect();
    let second_ms = START_MS + FRAGMENT_MS;
    let server_s = all[2]
        .parse::<FragmentNumber>()
        .expect("a number")
        .parts()
        .expect("ours");
    for (selector, first) in [
        (r#""StartSelectorType":"EARLIEST""#.to_owned(), 0),
        (
            format!(
                r#""StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"{}""#,
                all[1]
            ),
            2,
        ),
        (
            format!(
                r#""StartSelectorType":"CONTINUATION_TOKEN","ContinuationToken":"{}""#,
                all[2]
            ),
            3,
        ),
        // In the middle of the second, just after its last frame, and long before the first.
        (producer(second_ms + 300), 1),
        (producer(second_ms + FRAGMENT_MS - 1), 2),
        (producer(1000), 0),
        (
            r#""StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"1""#.to_owned(),
            0,
        ),
    ] {
        let chunks = get_media(&server, "cam", &selector).await;
        assert_eq!(numbers(&chunks), all[first..], "{selector}");
    }
    let at_server = format!(
        r#""StartSelectorType":"SERVER_TIMESTAMP","StartTimestamp":{}.{:03}"#,
        server_s.server_ms / 1000,
        server_s.server_ms % 1000
    );
    // Several may have arrived in that millisecond; the last of them is the one.
    let found = get_media(&server, "cam", &at_server).await;
    let found = found[0]
        .number
        .parse::<FragmentNumber>()
        .expect("a number")
        .parts();
    assert_eq!(found.map(|found| found.server_ms), Some(server_s.server_ms));
    for selector in [
        r#""StartSelectorType":"NOW""#.to_owned(),
        format!(
            r#""StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"{}""#,
            all[4]
        ),
        producer(START_MS * 2),
    ] {
        assert_eq!(
            get_media(&server, "cam", &selector).await.len(),
            0,
            "{selector}"
        );
    }
    server.stop().await;
}

fn producer(ms: u64) -> String {
    format!(
        r#""StartSelectorType":"PRODUCER_TIMESTAMP","StartTimestamp":{}.{:03}"#,
        ms / 1000,
        ms % 1000
    )
}

#[tokio::test]
async fn a_chunk_is_the_producers_document_with_the_services_tags() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let mut movie = Movie::new();
    let (cluster, tags) = (movie.fragment(0), movie.tags(&[("colour", "red")]));
    let body = [
        movie.header(),
        cluster.clone(),
        tags.clone(),
        movie.end_of_fragment(),
    ]
    .concat();
    upload(server.address(), "cam", &body).await;
    let chunks = earliest(&server, "cam").await;
    let chunk = &chunks[0];
    let names: Vec<_> = chunk.tags.iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "AWS_KINESISVIDEO_FRAGMENT_NUMBER",
            "AWS_KINESISVIDEO_SERVER_TIMESTAMP",
            "AWS_KINESISVIDEO_PRODUCER_TIMESTAMP",
            "colour",
            "AWS_KINESISVIDEO_MILLIS_BEHIND_NOW",
            "AWS_KINESISVIDEO_CONTINUATION_TOKEN",
        ]
    );
    let at = |part: &[u8]| {
        let found = chunk
            .bytes
            .windows(part.len())
            .position(|window| window == part);
        found.expect("it is there, byte for byte")
    };
    assert_eq!(at(&movie.header()), 0);
    assert_eq!(at(&tags), at(&cluster) + cluster.len());
    assert_eq!(
        chunk.tag("AWS_KINESISVIDEO_CONTINUATION_TOKEN"),
        Some(chunk.number.as_str())
    );
    let producer = format!("{}.{:03}", START_MS / 1000, START_MS % 1000);
    assert_eq!(
        chunk.tag("AWS_KINESISVIDEO_PRODUCER_TIMESTAMP"),
        Some(producer.as_str())
    );
    server.stop().await;
}

/// Reads a body that grows until it holds so many frames.
async fn frames(response: &mut Response, body: &mut Vec<u8>, count: usize) {
    while movie::frames_so_far(body) < count {
        let chunk = response.chunk().await.expect("the response goes on");
        body.extend(chunk.expect("the response goes on"));
    }
}

#[tokio::test]
async fn a_reader_sees_each_frame_before_the_next_is_sent() {
    for retention_hours in [24, 0] {
        let server = start_to_follow().await;
        create(server.address(), "cam", retention_hours).await;
        let mut put = Put::open(server.address(), "cam").await;
        let mut movie = Movie::new();
        put.send(&[movie.header(), movie.cluster(START_MS)].concat())
            .await
            .expect("taken");
        put.send(&movie.frame(1, START_MS)).await.expect("taken");
        put.until(|ack| matches!(ack, Ack::Buffering(_))).await;
        let json = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"NOW"}}"#;
        let mut reader = open(server.address(), "/getMedia", json).await;
        let mut body = Vec::new();
        frames(&mut reader, &mut body, 1).await;
        for at in 1..20 {
            if at % movie::FRAMES == 0 {
                let start = movie.cluster(START_MS + at * 200);
                put.send(&start).await.expect("taken");
            }
            put.send(&movie.frame(1, START_MS + at * 200))
                .await
                .expect("taken");
            frames(&mut reader, &mut body, at as usize + 1).await;
        }
        put.end().await;
        put.acks().await;
        while let Some(chunk) = reader.chunk().await.expect("a whole response") {
            body.extend(chunk);
        }
        let chunks = movie::chunks(&body);
        assert_eq!(chunks.len(), 4);
        assert!(chunks.iter().all(Chunk::is_whole));
        server.stop().await;
    }
}

#[tokio::test]
async fn what_is_stored_and_what_is_live_join_without_a_gap() {
    let (server, before) = five(start_to_follow().await).await;
    let mut put = Put::open(server.address(), "cam").await;
    let mut movie = Movie::new();
    put.send(&[movie.header(), movie.fragment(5)].concat())
        .await
        .expect("taken");
    put.until(|ack| matches!(ack, Ack::Buffering(_))).await;
    let json = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    let mut reader = open(server.address(), "/getMedia", json).await;
    let mut body = Vec::new();
    frames(&mut reader, &mut body, 30).await;
    for index in 6..20 {
        put.send(&movie.fragment(index)).await.expect("taken");
    }
    put.end().await;
    put.acks().await;
    while let Some(chunk) = reader.chunk().await.expect("a whole response") {
        body.extend(chunk);
    }
    let chunks = movie::chunks(&body);
    let starts: Vec<_> = chunks.iter().map(Chunk::first_ms).collect();
    let expected: Vec<_> = (0..20)
        .map(|index| START_MS + index * FRAGMENT_MS)
        .collect();
    assert_eq!(starts, expected);
    assert_eq!(chunks[0].number, before[0].as_str());
    assert!(chunks.iter().all(Chunk::is_whole));
    server.stop().await;
}

#[tokio::test]
async fn a_fragment_that_fails_ends_the_response_without_its_last_tags() {
    let server = start_to_follow().await;
    create(server.address(), "cam", 24).await;
    let mut put = Put::open(server.address(), "cam").await;
    let mut movie = Movie::new();
    put.send(&[movie.header(), movie.fragment(0), movie.fragment(1)].concat())
        .await
        .expect("taken");
    put.until(|ack| matches!(ack, Ack::Persisted(_))).await;
    let json = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    let mut reader = open(server.address(), "/getMedia", json).await;
    let mut body = Vec::new();
    frames(&mut reader, &mut body, 10).await;
    put.send(&[0; 8]).await.expect("taken");
    put.until(|ack| matches!(ack, Ack::Error { .. })).await;
    while let Some(chunk) = reader.chunk().await.expect("an end in good form") {
        body.extend(chunk);
    }
    let chunks = movie::chunks(&body);
    assert_eq!(
        chunks.iter().map(Chunk::is_whole).collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(
        earliest(&server, "cam").await.len(),
        1,
        "nobody begins to read it any more"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_readers_of_a_stream_that_is_deleted_end_without_an_error() {
    // More than the sockets take.
    const FRAGMENTS: u64 = 8;
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let mut movie = Movie::new();
    movie.frame_bytes = 1 << 20;
    let mut body = movie.header();
    (0..FRAGMENTS).for_each(|index| body.extend(movie.fragment(index)));
    let acks = upload(server.address(), "cam", &body).await;
    let numbers = acks.iter().filter_map(|ack| match ack {
        Ack::Persisted(acked) => Some(acked.number.as_str()),
        _ => None,
    });
    let numbers: Vec<_> = numbers.collect();
    let list = serde_json::json!({ "StreamName": "cam", "Fragments": numbers }).to_string();
    let all = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    let (address, name) = (server.address(), r#"{"StreamName":"cam"}"#);
    let readers = [
        open(address, "/getMedia", all).await,
        open(address, "/getMediaForFragmentList", &list).await,
    ];
    let described = post(address, "/describeStream", name).await.json();
    let arn = described["StreamInfo"]["StreamARN"].as_str().expect("text");
    let delete = serde_json::json!({ "StreamARN": arn }).to_string();
    assert_eq!(post(address, "/deleteStream", &delete).await.status, 200);
    for reader in readers {
        let read = reader.body().await.body;
        assert!(read.len() < body.len(), "it had all before the deletion");
        // In the middle of a fragment, too, where no parser would find it.
        let error = b"AWS_KINESISVIDEO_ERROR_ID";
        assert!(!read.windows(error.len()).any(|bytes| bytes == error));
    }
    server.stop().await;
}

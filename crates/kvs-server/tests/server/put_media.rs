//! PutMedia as producers use it: acks in order, 100 Continue, END_OF_FRAGMENT, two sessions.

use kvs_protocol::Ack;

use crate::harness::{Put, create, post, short, start, upload};
use crate::movie::{self, Movie};
use crate::read::earliest;

#[tokio::test]
async fn a_body_becomes_fragments_acks_and_media_again() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let acks = upload(server.address(), "cam", &movie::body(3)).await;
    assert_eq!(short(&acks).matches('P').count(), 3, "{}", short(&acks));
    let chunks = earliest(&server, "cam").await;
    assert_eq!(chunks.len(), 3);
    for (index, chunk) in chunks.iter().enumerate() {
        assert!(chunk.is_whole());
        assert_eq!(chunk.frames.len() as u64, movie::FRAMES);
        assert_eq!(
            chunk.first_ms(),
            movie::START_MS + index as u64 * movie::FRAGMENT_MS
        );
    }
    server.stop().await;
}

/// A producer may take PERSISTED of a fragment for that of all before it, as AWS's does.
#[tokio::test(flavor = "multi_thread")]
async fn persisted_comes_in_the_order_of_the_fragments() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let acks = upload(server.address(), "cam", &movie::body(600)).await;
    let persisted = acks.iter().filter_map(|ack| match ack {
        Ack::Persisted(acked) => Some(acked.timecode),
        _ => None,
    });
    let persisted: Vec<_> = persisted.collect();
    assert_eq!(persisted.len(), 600);
    assert!(persisted.is_sorted(), "{persisted:?}");
    server.stop().await;
}

#[tokio::test]
async fn the_end_of_a_fragment_is_heard_while_the_body_is_open() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let mut put = Put::open(server.address(), "cam").await;
    assert!(put.continued, "100 Continue comes before the answer");
    assert_eq!(put.status, 200);
    assert_eq!(put.header("content-type"), Some("application/json"));
    let mut movie = Movie::new();
    let mut bytes = [movie.header(), movie.fragment(0)].concat();
    bytes.extend(movie.end_of_fragment());
    put.send(&bytes).await.expect("taken");
    let acks = [put.ack().await, put.ack().await, put.ack().await].map(|ack| ack.expect("an ack"));
    assert_eq!(short(&acks), "B1 R1 P1");
    let Ack::Persisted(acked) = &acks[2] else {
        panic!("the last ack")
    };
    assert_eq!(acked.timecode, movie::START_MS);
    put.end().await;
    assert_eq!(put.ack().await, None);
    let chunks = earliest(&server, "cam").await;
    assert_eq!(
        chunks[0].tag("AWS_KINESISVIDEO_END_OF_FRAGMENT"),
        None,
        "stripped"
    );
    server.stop().await;
}

#[tokio::test]
async fn two_sessions_overlap_and_a_third_is_refused() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let (mut one, mut two) = (
        Put::open(server.address(), "cam").await,
        Put::open(server.address(), "cam").await,
    );
    let three = Put::open(server.address(), "cam").await;
    let refused = three.into_response().body().await;
    assert_eq!(
        (refused.status, refused.error()),
        (400, "ConnectionLimitExceededException")
    );
    let mut movie = Movie::new();
    let first = [movie.header(), movie.fragment(0), movie.end_of_fragment()].concat();
    let second = [movie.header(), movie.fragment(1), movie.end_of_fragment()].concat();
    one.send(&first).await.expect("taken");
    one.until(|ack| matches!(ack, Ack::Persisted(_))).await;
    two.send(&second).await.expect("taken");
    two.until(|ack| matches!(ack, Ack::Persisted(_))).await;
    one.end().await;
    two.end().await;
    assert_eq!((one.ack().await, two.ack().await), (None, None));
    assert_eq!(earliest(&server, "cam").await.len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn without_retention_received_is_the_last_word() {
    let server = start().await;
    create(server.address(), "cam", 0).await;
    let acks = upload(server.address(), "cam", &movie::body(2)).await;
    assert_eq!(short(&acks), "B1 R1 B2 R2");
    assert_eq!(earliest(&server, "cam").await.len(), 2, "from memory");
    server.stop().await;
}

#[tokio::test]
async fn relative_timecodes_count_from_the_start_given() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let mut put = Put::with_headers(
        server.address(),
        "x-amzn-stream-name: cam\r\nx-amzn-fragment-timecode-type: RELATIVE\r\n\
         x-amzn-producer-start-timestamp: 1000.5\r\n",
    )
    .await;
    let mut movie = Movie::new();
    let body = [movie.header(), movie.cluster(160), movie.frame(1, 160)].concat();
    put.send(&body).await.expect("taken");
    put.end().await;
    let acks = put.acks().await;
    let Ack::Buffering(acked) = &acks[0] else {
        panic!("the first ack")
    };
    assert_eq!(acked.timecode, 160);
    let chunks = earliest(&server, "cam").await;
    assert_eq!(
        chunks[0].tag("AWS_KINESISVIDEO_PRODUCER_TIMESTAMP"),
        Some("1000.660")
    );
    assert_eq!(
        chunks[0].first_ms(),
        160,
        "the cluster goes out as it came in"
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_head_is_said_before_any_media() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    for (headers, error) in [
        (
            "x-amzn-stream-name: none\r\nx-amzn-fragment-timecode-type: ABSOLUTE\r\n",
            "ResourceNotFoundException",
        ),
        (
            "x-amzn-fragment-timecode-type: ABSOLUTE\r\n",
            "InvalidArgumentException",
        ),
        ("x-amzn-stream-name: cam\r\n", "InvalidArgumentException"),
        (
            "x-amzn-stream-name: cam\r\nx-amzn-fragment-timecode-type: RELATIVE\r\n",
            "InvalidArgumentException",
        ),
    ] {
        let reply = Put::with_headers(server.address(), headers)
            .await
            .into_response()
            .body()
            .await;
        assert_eq!(reply.error(), error, "{headers}");
        assert!(reply.header("x-amzn-requestid").is_some());
    }
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_stream_ends_its_sessions() {
    let server = start().await;
    let arn = create(server.address(), "cam", 24).await;
    let mut put = Put::open(server.address(), "cam").await;
    let mut movie = Movie::new();
    put.send(&[movie.header(), movie.fragment(0)].concat())
        .await
        .expect("taken");
    put.until(|ack| matches!(ack, Ack::Buffering(_))).await;
    let json = format!(r#"{{"StreamARN":"{arn}"}}"#);
    assert_eq!(
        post(server.address(), "/deleteStream", &json).await.status,
        200
    );
    assert_eq!(short(&put.acks().await), "E4008@1");
    server.stop().await;
}

#[tokio::test]
async fn who_wants_no_acks_gets_none() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let headers = "x-amzn-stream-name: cam\r\nx-amzn-fragment-timecode-type: ABSOLUTE\r\n\
                   x-amzn-fragment-acknowledgment-required: 0\r\n";
    let mut put = Put::with_headers(server.address(), headers).await;
    let mut body = movie::body(3);
    // Also of what is wrong.
    body.extend(b"garbage");
    put.send(&body).await.expect("taken");
    put.end().await;
    assert_eq!(short(&put.acks().await), "");
    assert_eq!(earliest(&server, "cam").await.len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn tracks_and_tags_keep_their_rules() {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    let tracks = |count: u64| -> Movie {
        let tracks: Vec<_> = (1..=count).map(movie::track).collect();
        Movie::of_tracks(&tracks)
    };
    let mut silent = tracks(2);
    let no_frame = [silent.header(), silent.fragment(0), silent.fragment(1)].concat();
    let mut many = tracks(4);
    let too_many = [many.header(), many.fragment(0)].concat();
    let mut named = Movie::new();
    let ours = [
        named.header(),
        named.fragment(0),
        named.tags(&[("AWS_X", "")]),
    ]
    .concat();
    let mut back = Movie::new();
    let earlier = [back.header(), back.fragment(1), back.fragment(0)].concat();
    let mut tagged = Movie::new();
    let names: Vec<_> = (0..11).map(|at| format!("tag-{at}")).collect();
    let eleven: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let tags = [tagged.header(), tagged.fragment(0), tagged.tags(&eleven)].concat();
    for (body, error) in [
        (earlier, "E4004@2"),
        (tags, "E4009@1"),
        (no_frame, "E4011@1"),
        (too_many, "E4012"),
        (ours, "E4012@1"),
    ] {
        let acks = short(&upload(server.address(), "cam", &body).await);
        assert_eq!(acks.split(' ').next_back(), Some(error), "{acks}");
    }
    server.stop().await;
}

//! ListFragments and GetMediaForFragmentList.

use kvs_protocol::{Ack, FragmentNumber};
use kvs_server::Handle;

use crate::harness::{Put, Reply, create, post, start, upload};
use crate::movie::{self, FRAGMENT_MS, Movie, START_MS};

async fn with_fragments(count: u64) -> Handle {
    let server = start().await;
    create(server.address(), "cam", 24).await;
    upload(server.address(), "cam", &movie::body(count)).await;
    server
}

async fn list(server: &Handle, members: &str) -> Reply {
    let json = format!(r#"{{"StreamName":"cam"{members}}}"#);
    post(server.address(), "/listFragments", &json).await
}

fn range(origin: &str, from_ms: u64, to_ms: u64) -> String {
    format!(
        r#","FragmentSelector":{{"FragmentSelectorType":"{origin}_TIMESTAMP","TimestampRange":
        {{"StartTimestamp":{}.{:03},"EndTimestamp":{}.{:03}}}}}"#,
        from_ms / 1000,
        from_ms % 1000,
        to_ms / 1000,
        to_ms % 1000
    )
}

fn listed(reply: &Reply) -> Vec<String> {
    assert_eq!(
        reply.status,
        200,
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
    let json = reply.json();
    let fragments = json["Fragments"].as_array().expect("a list");
    let number = |fragment: &serde_json::Value| {
        fragment["FragmentNumber"]
            .as_str()
            .expect("a number")
            .to_owned()
    };
    fragments.iter().map(number).collect()
}

#[tokio::test]
async fn pages_hold_every_fragment_once() {
    let server = with_fragments(7).await;
    let all = range("PRODUCER", 0, START_MS * 2);
    let first = list(&server, &all).await;
    let numbers = listed(&first);
    assert_eq!(
        (numbers.len(), &first.json()["NextToken"]),
        (7, &serde_json::Value::Null)
    );
    let one = &first.json()["Fragments"][0];
    assert_eq!(
        one["FragmentLengthInMilliseconds"],
        FRAGMENT_MS - movie::FRAME_MS
    );
    assert_eq!(one["ProducerTimestamp"], START_MS as f64 / 1000.0);
    assert_eq!(one["FragmentSizeInBytes"], Movie::new().fragment(0).len());
    let mut paged = Vec::new();
    let mut members = format!(r#"{all},"MaxResults":3"#);
    loop {
        let page = list(&server, &members).await;
        paged.extend(listed(&page));
        match page.json()["NextToken"].as_str() {
            Some(token) => members = format!(r#","MaxResults":3,"NextToken":"{token}""#),
            None => break,
        }
    }
    assert_eq!(paged, numbers);
    server.stop().await;
}

#[tokio::test]
async fn a_range_takes_starts_with_both_ends() {
    let server = with_fragments(5).await;
    let at = |index: u64| START_MS + index * FRAGMENT_MS;
    for (from_ms, to_ms, count) in [
        (at(1), at(3), 3),
        (at(1) + 1, at(3), 2),
        (at(1), at(3) - 1, 2),
        (at(5), at(9), 0),
        (at(2), at(2), 1),
    ] {
        let reply = list(&server, &range("PRODUCER", from_ms, to_ms)).await;
        assert_eq!(listed(&reply).len(), count, "{from_ms} to {to_ms}");
    }
    assert_eq!(
        listed(&list(&server, &range("SERVER", at(0), at(4))).await).len(),
        0
    );
    server.stop().await;
}

#[tokio::test]
async fn a_bad_request_is_refused() {
    let server = with_fragments(1).await;
    create(server.address(), "other", 24).await;
    let all = range("PRODUCER", 0, START_MS * 2);
    upload(server.address(), "cam", &movie::body(1)).await;
    let page = list(&server, &format!(r#"{all},"MaxResults":1"#)).await;
    let token = page.json()["NextToken"].as_str().expect("two").to_owned();
    let with = |selector: &str| format!(r#"{selector},"NextToken":"{token}""#);
    // boto3's paginator and the command line send the selector with each token.
    assert_eq!(listed(&list(&server, &with(&all)).await).len(), 1);
    for members in [
        "",
        &with(&range("SERVER", 0, START_MS * 2)),
        &with(&range("PRODUCER", 1, START_MS * 2)),
        &with(&range("PRODUCER", 0, START_MS)),
        &range("PRODUCER", START_MS, START_MS - 1),
        &format!(r#"{all},"MaxResults":0"#),
        r#","NextToken":"00""#,
        &format!(r#"{all},"MaxResults":1001"#),
    ] {
        let reply = list(&server, members).await;
        assert_eq!(
            (reply.status, reply.error()),
            (400, "InvalidArgumentException"),
            "{members}"
        );
    }
    let json = format!(r#"{{"StreamName":"none"{all}}}"#);
    let reply = post(server.address(), "/listFragments", &json).await;
    assert_eq!(
        (reply.status, reply.error()),
        (404, "ResourceNotFoundException")
    );
    server.stop().await;
}

async fn media(server: &Handle, numbers: &[&str]) -> Reply {
    let numbers = serde_json::to_string(numbers).expect("a list");
    let json = format!(r#"{{"StreamName":"cam","Fragments":{numbers}}}"#);
    post(server.address(), "/getMediaForFragmentList", &json).await
}

#[tokio::test]
async fn fragments_come_in_the_order_asked_for() {
    let server = with_fragments(5).await;
    let all = listed(&list(&server, &range("PRODUCER", 0, START_MS * 2)).await);
    let wanted = [&*all[3], &*all[0], &*all[4], &*all[0]];
    let reply = media(&server, &wanted).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("video/webm"))
    );
    let chunks = movie::chunks(&reply.body);
    let numbers: Vec<_> = chunks.iter().map(|chunk| chunk.number.as_str()).collect();
    assert_eq!(numbers, wanted);
    for chunk in &chunks {
        assert_eq!(chunk.frames.len() as u64, movie::FRAMES);
        assert!(
            !chunk.is_whole(),
            "the tags that end a chunk are GetMedia's alone"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_number_that_is_nobodys_is_refused_and_a_growing_one_comes_later() {
    let server = with_fragments(1).await;
    let mut parts = listed(&list(&server, &range("PRODUCER", 0, START_MS * 2)).await)[0]
        .parse::<FragmentNumber>()
        .expect("a number")
        .parts()
        .expect("ours");
    parts.random ^= 1;
    for number in [
        FragmentNumber::from_parts(parts).as_str(),
        "1",
        &"9".repeat(128),
    ] {
        let reply = media(&server, &[number]).await;
        assert_eq!(
            (reply.status, reply.error()),
            (400, "InvalidArgumentException")
        );
        let message = reply.json()["Message"]
            .as_str()
            .expect("a message")
            .to_owned();
        assert!(
            message.starts_with("Fragment numbers are invalid :"),
            "{message}"
        );
    }
    let mut put = Put::open(server.address(), "cam").await;
    let mut movie = Movie::new();
    put.send(&[movie.header(), movie.fragment(1)].concat())
        .await
        .expect("taken");
    let Ack::Buffering(growing) = put.until(|ack| matches!(ack, Ack::Buffering(_))).await else {
        unreachable!("it was asked for");
    };
    let reply = media(&server, &[growing.number.as_str()]).await;
    let chunks = movie::chunks(&reply.body);
    assert_eq!(chunks[0].tag("AWS_KINESISVIDEO_ERROR_ID"), Some("3000"));
    assert_eq!(
        chunks[0].tag("AWS_KINESISVIDEO_ERROR_CODE"),
        Some("FRAGMENT_NOT_FOUND")
    );
    put.end().await;
    put.acks().await;
    let reply = media(&server, &[growing.number.as_str()]).await;
    assert_eq!(
        movie::chunks(&reply.body)[0].frames.len() as u64,
        movie::FRAMES
    );
    server.stop().await;
}

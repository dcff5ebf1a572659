//! CONTINUATION_TOKEN: it goes on exactly where it stopped, and is of its stream alone.

use std::sync::Arc;
use std::time::Duration;

use kvs_protocol::FragmentNumber;
use kvs_server::clock::SimulatedClock;
use kvs_server::{Config, Handle, Server};

use crate::harness::{create, post, upload};
use crate::movie::{self, START_MS};
use crate::read::{earliest, get_media};

const HOUR_MS: u64 = 3_600_000;

fn config() -> Config {
    Config {
        get_media_idle: Some(Duration::from_millis(50)),
        ..Config::default()
    }
}

/// The tokens of all chunks of a stream.
async fn tokens(server: &Handle, stream: &str) -> Vec<String> {
    let chunks = earliest(server, stream).await;
    let token = |chunk: &movie::Chunk| {
        let token = chunk.tag("AWS_KINESISVIDEO_CONTINUATION_TOKEN");
        token.expect("it is whole").to_owned()
    };
    chunks.iter().map(token).collect()
}

fn selector(token: &str) -> String {
    format!(r#""StartSelectorType":"CONTINUATION_TOKEN","ContinuationToken":"{token}""#)
}

/// The tokens of the chunks behind this one.
async fn behind(server: &Handle, stream: &str, token: &str) -> Vec<String> {
    let chunks = get_media(server, stream, &selector(token)).await;
    chunks.into_iter().map(|chunk| chunk.number).collect()
}

async fn is_refused(server: &Handle, stream: &str, token: &str) {
    let json = format!(
        r#"{{"StreamName":"{stream}","StartSelector":{{{}}}}}"#,
        selector(token)
    );
    let reply = post(server.address(), "/getMedia", &json).await;
    assert_eq!(
        (reply.status, reply.error()),
        (400, "InvalidArgumentException"),
        "{stream}: {:?}",
        token.parse::<FragmentNumber>().map(|number| number.parts())
    );
}

#[tokio::test]
async fn it_goes_on_behind_its_fragment_also_when_that_is_gone() {
    let clock = Arc::new(SimulatedClock::new(START_MS));
    let config = Config {
        clock: clock.clone(),
        ..config()
    };
    let server = Server::start(config).await.expect("in memory");
    create(server.address(), "cam", 1).await;
    let mut given = Vec::new();
    for _ in 0..3 {
        upload(server.address(), "cam", &movie::body(2)).await;
        given = tokens(&server, "cam").await;
        clock.advance_ms(1000);
    }
    for at in 0..6 {
        assert_eq!(behind(&server, "cam", &given[at]).await, given[at + 1..]);
    }
    // The first four are past their retention, the last two are not.
    clock.advance_ms(HOUR_MS - 1000);
    for gone in &given[..4] {
        assert_eq!(behind(&server, "cam", gone).await, given[4..], "{gone}");
    }
    clock.advance_ms(HOUR_MS);
    upload(server.address(), "cam", &movie::body(1)).await;
    let rest = tokens(&server, "cam").await;
    assert_eq!(rest.len(), 1);
    for gone in &given {
        assert_eq!(behind(&server, "cam", gone).await, rest, "{gone}");
    }
    server.stop().await;
}

#[tokio::test]
async fn it_goes_on_across_restarts() {
    let data = tempfile::tempdir().expect("a folder");
    let config = Config {
        data: Some(data.path().into()),
        ..config()
    };
    let server = Server::start(config.clone()).await.expect("a new folder");
    create(server.address(), "cam", 24).await;
    upload(server.address(), "cam", &movie::body(3)).await;
    let given = tokens(&server, "cam").await;
    server.abort().await;
    let server = Server::start(config).await.expect("the same folder");
    assert_eq!(behind(&server, "cam", &given[1]).await, given[2..]);
    upload(server.address(), "cam", &movie::body(1)).await;
    let all = tokens(&server, "cam").await;
    assert_eq!(behind(&server, "cam", &given[2]).await, all[3..]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_token_of_the_stream_is_refused() {
    let server = Server::start(config()).await.expect("in memory");
    for (stream, retention_hours) in [("cam", 24), ("other", 24), ("live", 0)] {
        create(server.address(), stream, retention_hours).await;
        upload(server.address(), stream, &movie::body(4)).await;
    }
    let given = tokens(&server, "cam").await;
    for other in ["other", "live"] {
        for token in &given {
            is_refused(&server, other, token).await;
        }
        for token in tokens(&server, other).await {
            is_refused(&server, "cam", &token).await;
        }
    }
    let parts = given[1]
        .parse::<FragmentNumber>()
        .expect("a number")
        .parts();
    let parts = parts.expect("ours");
    let mut forged = [parts; 3];
    forged[0].random ^= 1;
    forged[1].sequence += 1_000_000;
    forged[2].server_ms += HOUR_MS;
    for forged in forged {
        let token = FragmentNumber::from_parts(forged);
        is_refused(&server, "cam", token.as_str()).await;
    }
    for garbage in ["1", "0", "abc", "a-b_c.d", "", &"9".repeat(128), "../etc"] {
        is_refused(&server, "cam", garbage).await;
    }
    server.stop().await;
}

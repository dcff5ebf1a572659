//! Tags of a stream, in the form for streams and in that for resources.

use std::net::SocketAddr;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{create, post, start};

/// Calls an operation; gives status and exception (`none` for a success).
async fn call(address: SocketAddr, path: &str, members: &Value) -> (u16, String) {
    let reply = post(address, path, &members.to_string()).await;
    (reply.status, reply.error().to_owned())
}

/// The tags, which both forms show alike.
async fn listed(address: SocketAddr, arn: &str) -> Value {
    let of_stream = json!({"StreamName": "cam"}).to_string();
    let of_resource = json!({"ResourceARN": arn}).to_string();
    let one = post(address, "/listTagsForStream", &of_stream).await.json();
    let other = post(address, "/ListTagsForResource", &of_resource)
        .await
        .json();
    assert_eq!(one, other);
    assert_eq!(one["NextToken"], Value::Null);
    one["Tags"].clone()
}

fn done() -> (u16, String) {
    (200, "none".into())
}

#[tokio::test]
async fn both_forms_work_on_the_same_tags() {
    let server = start().await;
    let address = server.address();
    let arn = create(address, "cam", 24).await;
    assert_eq!(listed(address, &arn).await, json!({}));
    let described = async || {
        post(address, "/describeStream", r#"{"StreamName":"cam"}"#)
            .await
            .json()
    };
    let before = described().await;
    for (path, members, after) in [
        (
            "/tagStream",
            json!({"StreamName": "cam", "Tags": {"a": "1", "b": ""}}),
            json!({"a": "1", "b": ""}),
        ),
        (
            "/TagResource",
            json!({"ResourceARN": arn,
                "Tags": [{"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]}),
            json!({"a": "1", "b": "2", "c": "3"}),
        ),
        (
            "/untagStream",
            json!({"StreamARN": arn, "TagKeyList": ["a", "absent", "a"]}),
            json!({"b": "2", "c": "3"}),
        ),
        (
            "/UntagResource",
            json!({"ResourceARN": arn, "TagKeyList": ["c"]}),
            json!({"b": "2"}),
        ),
    ] {
        assert_eq!(call(address, path, &members).await, done(), "{members}");
        assert_eq!(listed(address, &arn).await, after, "{members}");
    }
    assert_eq!(described().await, before, "the version stays");
    server.stop().await;
}

#[tokio::test]
async fn there_are_fifty_tags_at_most() {
    let server = start().await;
    let address = server.address();
    let arn = create(address, "cam", 24).await;
    let tags = |from: usize, to: usize| -> Value {
        (from..to)
            .map(|n| (n.to_string(), json!("x")))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let add = async |tags: Value| {
        call(
            address,
            "/tagStream",
            &json!({"StreamName": "cam", "Tags": tags}),
        )
        .await
    };
    let exceeded = (400, "TagsPerResourceExceededLimitException".to_owned());
    assert_eq!(add(tags(0, 51)).await, exceeded);
    assert_eq!(add(tags(0, 49)).await, done());
    assert_eq!(add(tags(48, 51)).await, exceeded, "51 with those it has");
    assert_eq!(add(tags(40, 50)).await, done());
    let resource = json!({"ResourceARN": arn, "Tags": [{"Key": "50", "Value": ""}]});
    assert_eq!(call(address, "/TagResource", &resource).await, exceeded);
    assert_eq!(listed(address, &arn).await, tags(0, 50));
    server.stop().await;
}

/// Tags have no version to be checked, so none may be lost.
#[tokio::test]
async fn tags_given_at_once_are_all_there() {
    let server = start().await;
    let address = server.address();
    let arn = create(address, "cam", 24).await;
    let requests: Vec<_> = (0..20)
        .map(|n| json!({"StreamName": "cam", "Tags": {format!("{n}"): ""}}))
        .collect();
    let calls = requests
        .iter()
        .map(|members| call(address, "/tagStream", members));
    for answer in join_all(calls).await {
        assert_eq!(answer, done());
    }
    let tags = listed(address, &arn).await;
    assert_eq!(tags.as_object().map(serde_json::Map::len), Some(20));
    server.stop().await;
}

/// Requests that are refused; `ARN` stands for the stream's.
const WRONG: &str = r#"
400 InvalidArgumentException /tagStream {"Tags": {"a": ""}}
400 InvalidArgumentException /tagStream {"StreamName": "cam"}
400 InvalidArgumentException /tagStream {"StreamName": "cam", "Tags": {}}
400 InvalidArgumentException /tagStream {"StreamName": "cam", "Tags": {"a": null}}
400 InvalidArgumentException /tagStream {"StreamName": "cam", "Tags": {"a": 1}}
400 InvalidArgumentException /tagStream {"StreamName": "cam", "Tags": [{"Key": "a", "Value": ""}]}
400 InvalidArgumentException /tagStream {"StreamName": "cam", "Tags": {"AWS:a": ""}}
400 InvalidResourceFormatException /tagStream {"StreamARN": "cam", "Tags": {"a": ""}}
400 InvalidArgumentException /tagStream {"StreamARN": 1, "Tags": {"a": ""}}
404 ResourceNotFoundException /tagStream {"StreamARN": "ARN0", "Tags": {"a": ""}}
400 InvalidArgumentException /untagStream {"StreamName": "cam", "TagKeyList": []}
400 InvalidArgumentException /untagStream {"StreamName": "cam", "TagKeyList": "a"}
404 ResourceNotFoundException /untagStream {"StreamName": "door", "TagKeyList": ["a"]}
400 InvalidArgumentException /listTagsForStream {"StreamName": "cam", "NextToken": "abcd"}
400 InvalidResourceFormatException /listTagsForStream {"StreamARN": "CHANNEL"}
400 InvalidArgumentException /TagResource {"Tags": [{"Key": "a", "Value": ""}]}
400 InvalidArgumentException /TagResource {"ResourceARN": "ARN", "Tags": {"a": ""}}
404 ResourceNotFoundException /TagResource {"ResourceARN": "CHANNEL", "Tags": []}
400 InvalidArgumentException /ListTagsForResource {"ResourceARN": "cam"}
404 UnknownOperationException /listTagsForResource {"ResourceARN": "ARN"}
"#;

#[tokio::test]
async fn what_is_wrong_changes_nothing() {
    let server = start().await;
    let address = server.address();
    let arn = create(address, "cam", 24).await;
    let channel = arn.replace(":stream/", ":channel/");
    for line in WRONG.lines().filter(|line| !line.is_empty()) {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        let members = words[3]
            .replace("\"ARN", &format!("\"{arn}"))
            .replace("CHANNEL", &channel);
        let members = serde_json::from_str(&members).expect(line);
        let (status, error) = call(address, words[2], &members).await;
        assert_eq!(format!("{status} {error}"), words[..2].join(" "), "{line}");
    }
    assert_eq!(listed(address, &arn).await, json!({}));
    server.stop().await;
}

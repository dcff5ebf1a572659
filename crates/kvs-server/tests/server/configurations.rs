//! What a stream is told to do beside storing: set, shown, deleted, refused.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{create, post, start};

/// Calls an operation on the stream `cam`; gives status and answer.
async fn call(address: SocketAddr, path: &str, mut members: Value) -> (u16, Value) {
    members["StreamName"] = "cam".into();
    let reply = post(address, path, &members.to_string()).await;
    (reply.status, reply.json())
}

fn images() -> Value {
    json!({
        "Status": "ENABLED", "ImageSelectorType": "SERVER_TIMESTAMP", "SamplingInterval": 3000,
        "DestinationConfig": {"Uri": "s3://bucket", "DestinationRegion": "us-west-2"},
        "Format": "PNG", "WidthPixels": 320,
    })
}

fn notification() -> Value {
    let topic = "arn:aws:sns:us-west-2:000000000000:topic";
    json!({"Status": "DISABLED", "DestinationConfig": {"Uri": topic}})
}

/// Each configuration by the name of its member, with a good one.
fn each() -> [(&'static str, Value); 2] {
    [
        ("ImageGenerationConfiguration", images()),
        ("NotificationConfiguration", notification()),
    ]
}

#[tokio::test]
async fn a_configuration_is_set_shown_and_deleted() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 1).await;
    let (_, before) = call(address, "/describeStream", json!({})).await;
    for (name, good) in each() {
        let (update, describe) = (format!("/update{name}"), format!("/describe{name}"));
        let described = async || call(address, &describe, json!({})).await;
        assert_eq!(described().await, (200, json!({ name: null })));
        let set = call(address, &update, json!({ name: good })).await;
        assert_eq!(set, (200, json!({})));
        assert_eq!(described().await, (200, json!({ name: good })));
        let mut bad = good.clone();
        bad["DestinationConfig"]["Uri"] = "nowhere".into();
        let (status, error) = call(address, &update, json!({ name: bad })).await;
        assert_eq!(
            (status, &error["__type"]),
            (400, &json!("InvalidArgumentException"))
        );
        assert_eq!(described().await, (200, json!({ name: good })));
        assert_eq!(call(address, &update, json!({})).await.0, 200);
        assert_eq!(described().await, (200, json!({ name: null })));
    }
    let (_, after) = call(address, "/describeStream", json!({})).await;
    assert_eq!(before, after, "the version stays");
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_made_of_what_is_not_kept_but_a_configuration_can_go() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 1).await;
    for (name, good) in each() {
        let (status, _) = call(address, &format!("/update{name}"), json!({ name: good })).await;
        assert_eq!(status, 200);
    }
    let (_, described) = call(address, "/describeStream", json!({})).await;
    let none = json!({"CurrentVersion": described["StreamInfo"]["Version"],
        "Operation": "DECREASE_DATA_RETENTION", "DataRetentionChangeInHours": 1});
    assert_eq!(call(address, "/updateDataRetention", none).await.0, 200);
    for (name, good) in each() {
        let update = format!("/update{name}");
        let (status, error) = call(address, &update, json!({ name: good })).await;
        assert_eq!(
            (status, &error["__type"]),
            (400, &json!("NoDataRetentionException"))
        );
        assert_eq!(call(address, &update, json!({ name: null })).await.0, 200);
        let shown = call(address, &format!("/describe{name}"), json!({})).await;
        assert_eq!(shown, (200, json!({ name: null })));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_tier_is_given_at_the_start_and_changed_with_the_right_version() {
    let server = start().await;
    let address = server.address();
    let tier = |tier: &str| json!({"StreamStorageConfiguration": {"DefaultStorageTier": tier}});
    let (status, created) = call(address, "/createStream", tier("WARM")).await;
    assert_eq!(status, 200);
    let shown = async || {
        let path = "/describeStreamStorageConfiguration";
        let (_, shown) = call(address, path, json!({})).await;
        assert_eq!(shown["StreamARN"], created["StreamARN"]);
        assert_eq!(shown["StreamName"], "cam");
        shown["StreamStorageConfiguration"]["DefaultStorageTier"].clone()
    };
    assert_eq!(shown().await, "WARM");
    let (_, before) = call(address, "/describeStream", json!({})).await;
    let mut change = tier("HOT");
    change["CurrentVersion"] = before["StreamInfo"]["Version"].clone();
    let update = "/updateStreamStorageConfiguration";
    assert_eq!(
        call(address, update, change.clone()).await,
        (200, json!({}))
    );
    assert_eq!(shown().await, "HOT");
    let (status, error) = call(address, update, change).await;
    assert_eq!(
        (status, &error["__type"]),
        (400, &json!("VersionMismatchException"))
    );
    server.stop().await;
}

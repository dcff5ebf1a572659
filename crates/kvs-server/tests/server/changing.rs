//! Streams that change: what a client is told of it, and what it may get wrong.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{create, post, start};

/// Calls an operation; gives status and exception (`none` for a success).
async fn call(address: SocketAddr, path: &str, members: &Value) -> (u16, String) {
    let reply = post(address, path, &members.to_string()).await;
    (reply.status, reply.error().to_owned())
}

async fn describe(address: SocketAddr) -> Value {
    let reply = post(address, "/describeStream", r#"{"StreamName":"cam"}"#).await;
    reply.json()["StreamInfo"].clone()
}

fn done() -> (u16, String) {
    (200, "none".into())
}

fn refused(error: &str) -> (u16, String) {
    (400, error.into())
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_the_version() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    let before = describe(address).await;
    let update = json!({"StreamName": "cam", "CurrentVersion": before["Version"],
        "DeviceName": "door", "MediaType": null});
    assert_eq!(call(address, "/updateStream", &update).await, done());
    let after = describe(address).await;
    assert_eq!(
        (&after["DeviceName"], &after["MediaType"]),
        (&json!("door"), &json!(null))
    );
    assert_ne!(after["Version"], before["Version"]);
    assert_eq!(after["StreamARN"], before["StreamARN"]);
    let error = call(address, "/updateStream", &update).await;
    assert_eq!(error, refused("VersionMismatchException"));
    let media = json!({"StreamARN": after["StreamARN"], "CurrentVersion": after["Version"],
        "MediaType": "video/h264"});
    assert_eq!(call(address, "/updateStream", &media).await, done());
    let last = describe(address).await;
    assert_eq!(
        (&last["DeviceName"], &last["MediaType"]),
        (&json!("door"), &json!("video/h264"))
    );
    server.stop().await;
}

#[tokio::test]
async fn retention_changes_by_hours_within_its_bounds() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    let change = async |operation: &str, hours: Value| {
        let version = describe(address).await["Version"].clone();
        let members = json!({"StreamName": "cam", "CurrentVersion": version,
            "Operation": operation, "DataRetentionChangeInHours": hours});
        let answer = call(address, "/updateDataRetention", &members).await;
        let after = describe(address).await;
        let changed = after["Version"] != version;
        assert_eq!(changed, answer == done(), "{members}");
        (answer, after["DataRetentionInHours"].as_u64())
    };
    const LONGER: &str = "INCREASE_DATA_RETENTION";
    const SHORTER: &str = "DECREASE_DATA_RETENTION";
    let invalid = || refused("InvalidArgumentException");
    for (operation, hours, answer, after) in [
        (LONGER, json!(24), done(), 48),
        (SHORTER, json!(49), invalid(), 48),
        (SHORTER, json!(47), done(), 1),
        (SHORTER, json!(1), done(), 0),
        (SHORTER, json!(1), invalid(), 0),
        (LONGER, json!(87_601), invalid(), 0),
        (LONGER, json!(87_600), done(), 87_600),
        (LONGER, json!(1), invalid(), 87_600),
        (LONGER, json!(0), invalid(), 87_600),
        (SHORTER, json!(-1), invalid(), 87_600),
        (SHORTER, json!(1.5), invalid(), 87_600),
        (SHORTER, json!("1"), invalid(), 87_600),
        (SHORTER, json!(1e30), invalid(), 87_600),
        ("HALVE", json!(1), invalid(), 87_600),
    ] {
        let result = change(operation, hours.clone()).await;
        assert_eq!(result, (answer, Some(after)), "{operation} {hours}");
    }
    server.stop().await;
}

/// Of two that saw the same version one wins, whoever it is.
#[tokio::test]
async fn two_updates_of_one_version_are_one_change() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    let version = describe(address).await["Version"].clone();
    let update = |device: usize| {
        let device = format!("d{device}");
        json!({"StreamName": "cam", "CurrentVersion": version, "DeviceName": device})
    };
    let updates: Vec<_> = (0..8).map(update).collect();
    let calls = updates
        .iter()
        .map(|update| call(address, "/updateStream", update));
    let answers = futures_util::future::join_all(calls).await;
    let won: Vec<_> = (0..8).filter(|&nth| answers[nth] == done()).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    for nth in (0..8).filter(|nth| !won.contains(nth)) {
        assert_eq!(answers[nth], refused("VersionMismatchException"));
    }
    assert_eq!(
        describe(address).await["DeviceName"],
        format!("d{}", won[0])
    );
    server.stop().await;
}

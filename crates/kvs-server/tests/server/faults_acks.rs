//! Faults on purpose of acks: dropped, late, or an ERROR at a fragment.

use serde_json::json;

use crate::faults::{add, clear, fired, start, until_fired};
use crate::harness::{create, short, upload};
use crate::movie;
use crate::read::earliest;

#[tokio::test]
async fn an_ack_stays_away_by_its_kind() {
    let server = start().await;
    let address = server.address();
    for stream in ["cam", "door"] {
        create(address, stream, 24).await;
    }
    for (event, acks) in [
        ("BUFFERING", "R1 P1"),
        ("RECEIVED", "B1 P1"),
        ("PERSISTED", "B1 R1"),
    ] {
        add(
            address,
            &json!({"kind": "ack_drop", "event": event, "stream": "cam", "count": 1}),
        )
        .await;
        let door = upload(address, "door", &movie::body(1)).await;
        assert_eq!(short(&door), "B1 R1 P1");
        assert_eq!(short(&upload(address, "cam", &movie::body(1)).await), acks);
        assert_eq!(fired(address).await, 1);
    }
    add(address, &json!({"kind": "ack_drop"})).await;
    assert_eq!(upload(address, "cam", &movie::body(1)).await, []);
    let kept = earliest(&server, "cam").await;
    assert_eq!(kept.len(), 4, "what is not acked is stored all the same");
}

#[tokio::test]
async fn any_error_comes_at_the_fragment_that_is_asked_for() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    for (id, fragment) in [(4006, 2), (4500, 1), (5001, 3), (9999, 1)] {
        add(
            address,
            &json!({"kind": "ack_error", "id": id, "fragment": fragment, "count": 1}),
        )
        .await;
        let acks = upload(address, "cam", &movie::body(4)).await;
        let said = short(&acks);
        let error = format!("B{fragment} E{id}@{fragment}");
        let without = said.replace(" P1", "").replace(" P2", "");
        assert!(without.ends_with(&error), "{said}");
        let whole = (1..fragment).all(|before| said.contains(&format!("P{before}")));
        assert!(whole, "{said}");
    }
    add(
        address,
        &json!({"kind": "ack_error", "id": 4003, "after": 1}),
    )
    .await;
    let acks = upload(address, "cam", &movie::body(3)).await;
    assert!(short(&acks).ends_with("E4003@2"), "{}", short(&acks));
    let acks = upload(address, "cam", &movie::body(3)).await;
    assert_eq!(
        short(&acks),
        "B1 E4003@1",
        "the second session, the third occasion"
    );
}

#[tokio::test]
async fn acks_are_late_until_the_fault_is_cleared() {
    let server = start().await;
    let address = server.address();
    create(address, "cam", 24).await;
    add(
        address,
        &json!({"kind": "ack_delay", "event": "PERSISTED", "delay_ms": 3_600_000}),
    )
    .await;
    let mut put = crate::harness::Put::open(address, "cam").await;
    put.send(&movie::body(1)).await.expect("it is taken");
    put.end().await;
    let before = [put.ack().await, put.ack().await].map(|ack| ack.expect("an ack"));
    assert_eq!(short(&before), "B1 R1");
    until_fired(address).await;
    clear(address).await;
    assert_eq!(short(&put.acks().await), "P1");
}

//! A server that holds its callers to AWS's quotas.

use std::sync::Arc;

use kvs_server::clock::SimulatedClock;
use kvs_server::{Config, Server};

use crate::harness::{create, post};

#[tokio::test]
async fn who_calls_too_often_is_told_so_until_time_passes() {
    let clock = Arc::new(SimulatedClock::new(1_700_000_000_000));
    let server = Server::start(Config {
        aws_quotas: true,
        clock: clock.clone(),
        ..Config::default()
    })
    .await
    .expect("a server in memory starts");
    let address = server.address();
    create(address, "cam", 24).await;
    create(address, "door", 24).await;
    let describe = async |name: &str| {
        let json = format!(r#"{{"StreamName":"{name}"}}"#);
        let reply = post(address, "/describeStream", &json).await;
        (reply.status, reply.error().to_owned())
    };
    let exceeded = (400, "ClientLimitExceededException".to_owned());
    for _ in 0..5 {
        assert_eq!(describe("cam").await.0, 200);
    }
    assert_eq!(describe("cam").await, exceeded);
    assert_eq!(describe("door").await.0, 200);
    clock.advance_ms(200);
    assert_eq!(describe("cam").await.0, 200);
    assert_eq!(describe("cam").await, exceeded);
    for _ in 0..50 {
        assert_eq!(post(address, "/listStreams", "{}").await.status, 200);
    }
    let reply = post(address, "/listStreams", "{}").await;
    assert_eq!((reply.status, reply.error().to_owned()), exceeded);
    server.stop().await;
}

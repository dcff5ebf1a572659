//! `/healthz`: red while nothing can be stored, with the reason, and green again by itself.

use kvs_server::{Config, Handle, Server};

use crate::harness::{Reply, create, send, short, soon, upload};
use crate::movie;

async fn healthz(server: &Handle) -> Reply {
    let address = server.address();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
    send(address, request.as_bytes()).await.body().await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_why_nothing_is_stored_and_when_that_is_over() {
    let data = tempfile::tempdir().expect("a folder");
    let config = Config {
        data: Some(data.path().into()),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("a new folder");
    create(server.address(), "cam", 24).await;
    assert_eq!(healthz(&server).await.status, 200);
    // Nobody, not even root, makes a file below a file.
    let (segments, aside) = (data.path().join("segments"), data.path().join("aside"));
    std::fs::rename(&segments, &aside).expect("it is there");
    std::fs::write(&segments, "").expect("writable");
    let acks = upload(server.address(), "cam", &movie::body(1)).await;
    assert_eq!(short(&acks), "B1 R1 E5001@1");
    let red = healthz(&server).await;
    let said = String::from_utf8(red.body).expect("text");
    assert_eq!(red.status, 503, "{said}");
    assert!(said.contains("write a segment"), "{said}");
    std::fs::remove_file(&segments).expect("it is there");
    std::fs::rename(&aside, &segments).expect("it is there");
    soon("green", async {
        while healthz(&server).await.status != 200 {}
    })
    .await;
    let acks = upload(server.address(), "cam", &movie::body(1)).await;
    assert_eq!(short(&acks), "B1 R1 P1");
    server.stop().await;
}

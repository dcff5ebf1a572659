//! What the server says while it is not quite well, and what goes on meanwhile.

use kvs_server::{Config, Handle, Server};

use crate::harness::{Reply, create, post, send, short, soon, upload};
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

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_that_is_gone_takes_nothing() {
    let place = tempfile::tempdir().expect("a folder");
    let (data, aside) = (place.path().join("data"), place.path().join("aside"));
    let config = Config {
        data: Some(data.clone()),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("a new folder");
    create(server.address(), "cam", 24).await;
    let upload = async || short(&upload(server.address(), "cam", &movie::body(1)).await);
    assert_eq!(upload().await, "B1 R1 P1");
    // As an unmounted volume: what is open can be written still.
    std::fs::rename(&data, &aside).expect("it is there");
    assert_eq!(upload().await, "B1 R1 E5001@1");
    assert_eq!(healthz(&server).await.status, 503);
    std::fs::create_dir(&data).expect("nothing is there");
    assert_eq!(upload().await, "B1 R1 E5001@1");
    let red = healthz(&server).await;
    let said = String::from_utf8(red.body).expect("text");
    assert!(
        red.status == 503 && said.contains("another folder"),
        "{said}"
    );
    std::fs::remove_dir(&data).expect("it is empty");
    std::fs::rename(&aside, &data).expect("it is there");
    assert_eq!(upload().await, "B1 R1 P1");
    assert_eq!(healthz(&server).await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_its_key_is_refused_and_the_others_go_on() {
    let data = tempfile::tempdir().expect("a folder");
    let config = Config {
        data: Some(data.path().into()),
        get_media_idle: Some(std::time::Duration::from_millis(50)),
        ..Config::default()
    };
    let server = Server::start(config.clone()).await.expect("a new folder");
    let arn = create(server.address(), "cam", 24).await;
    create(server.address(), "door", 24).await;
    for stream in ["cam", "door"] {
        let acks = upload(server.address(), stream, &movie::body(1)).await;
        assert_eq!(short(&acks), "B1 R1 P1");
    }
    server.stop().await;
    std::fs::write(data.path().join("keys/00000001"), "damaged").expect("writable");
    let server = Server::start(config).await.expect("the others are well");
    let address = server.address();
    let green = healthz(&server).await;
    let said = String::from_utf8(green.body).expect("text");
    assert_eq!(green.status, 200);
    assert!(said.starts_with("ok\nkeys/00000001 is damaged"), "{said}");
    let acks = upload(address, "cam", &movie::body(1)).await;
    assert_eq!(short(&acks), "E4506");
    let listed = post(
        address,
        "/listFragments",
        r#"{"StreamName":"cam","FragmentSelector":{"FragmentSelectorType":"SERVER_TIMESTAMP",
            "TimestampRange":{"StartTimestamp":0,"EndTimestamp":9999999999}}}"#,
    );
    let listed = listed.await.json();
    let number = listed["Fragments"][0]["FragmentNumber"].as_str();
    let number = number.expect("it is listed");
    let media = |json: &str, path: &'static str| {
        let json = json.to_owned();
        async move {
            let reply = post(address, path, &json).await;
            assert_eq!(reply.status, 200);
            String::from_utf8_lossy(&reply.body).into_owned()
        }
    };
    for start in ["NOW", "EARLIEST"] {
        let json =
            format!(r#"{{"StreamName":"cam","StartSelector":{{"StartSelectorType":"{start}"}}}}"#);
        let said = media(&json, "/getMedia").await;
        assert!(said.contains("KMS_KEY_NOT_FOUND"), "{start}");
    }
    let json = format!(r#"{{"StreamName":"cam","Fragments":["{number}"]}}"#);
    let said = media(&json, "/getMediaForFragmentList").await;
    assert!(said.contains("KMS_KEY_NOT_FOUND"));
    let acks = upload(address, "door", &movie::body(1)).await;
    assert_eq!(short(&acks), "B1 R1 P1");
    let deleted = post(
        address,
        "/deleteStream",
        &format!(r#"{{"StreamARN":"{arn}"}}"#),
    )
    .await;
    assert_eq!(deleted.status, 200);
    assert_eq!(healthz(&server).await.body, b"ok\n");
    server.stop().await;
}

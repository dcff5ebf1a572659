//! The control plane, and what is no operation.

use kvs_server::{Config, Server};

use crate::harness::{create, post, send, start};

#[tokio::test]
async fn a_stream_is_made_shown_listed_and_deleted() {
    let server = start().await;
    let arn = create(server.address(), "cam", 24).await;
    let parts: Vec<_> = arn.rsplitn(2, '/').collect();
    assert_eq!(
        parts[1],
        "arn:aws:kinesisvideo:us-west-2:000000000000:stream/cam"
    );
    let again = post(server.address(), "/createStream", r#"{"StreamName":"cam"}"#).await;
    assert_eq!(
        (again.status, again.error()),
        (400, "ResourceInUseException")
    );
    let by_arn = format!(r#"{{"StreamARN":"{arn}"}}"#);
    let reply = post(server.address(), "/describeStream", &by_arn).await;
    let info = &reply.json()["StreamInfo"];
    assert_eq!(info["StreamName"], "cam");
    assert_eq!(info["Status"], "ACTIVE");
    assert_eq!(info["DataRetentionInHours"], 24);
    assert_eq!(
        info["KmsKeyId"],
        "arn:aws:kms:us-west-2:000000000000:alias/aws/kinesisvideo"
    );
    assert_eq!(info["Version"].as_str().map(str::len), Some(20));
    let wrong = format!(r#"{{"StreamARN":"{arn}","CurrentVersion":"x"}}"#);
    let reply = post(server.address(), "/deleteStream", &wrong).await;
    assert_eq!(
        (reply.status, reply.error()),
        (400, "VersionMismatchException")
    );
    let other = by_arn.replace(parts[0], "1");
    let reply = post(server.address(), "/deleteStream", &other).await;
    assert_eq!(
        (reply.status, reply.error()),
        (404, "ResourceNotFoundException")
    );
    let reply = post(server.address(), "/deleteStream", &by_arn).await;
    assert_eq!((reply.status, &*reply.body), (200, &b"{}"[..]));
    let reply = post(
        server.address(),
        "/describeStream",
        r#"{"StreamName":"cam"}"#,
    )
    .await;
    assert_eq!(
        (reply.status, reply.error()),
        (404, "ResourceNotFoundException")
    );
    server.stop().await;
}

#[tokio::test]
async fn a_list_has_pages_and_a_prefix() {
    let server = start().await;
    for name in ["door", "cam-2", "cam-1", "cam-3"] {
        create(server.address(), name, 0).await;
    }
    let list = async |members: String| {
        let reply = post(server.address(), "/listStreams", &format!("{{{members}}}")).await;
        let json = reply.json();
        let empty = Vec::new();
        let names: Vec<_> = json["StreamInfoList"]
            .as_array()
            .unwrap_or(&empty)
            .iter()
            .map(|info| info["StreamName"].as_str().expect("a name").to_owned())
            .collect();
        (
            names,
            json["NextToken"].as_str().map(String::from),
            reply.status,
        )
    };
    assert_eq!(
        list(String::new()).await.0,
        ["cam-1", "cam-2", "cam-3", "door"]
    );
    let condition = r#""MaxResults":2,"StreamNameCondition":
        {"ComparisonOperator":"BEGINS_WITH","ComparisonValue":"cam-"}"#;
    let (names, token, _) = list(condition.to_owned()).await;
    assert_eq!(names, ["cam-1", "cam-2"]);
    let next = format!(r#""NextToken":"{}""#, token.expect("there is more"));
    let (names, token, _) = list(format!("{condition},{next}")).await;
    assert_eq!((names, token), (vec!["cam-3".to_owned()], None));
    assert_eq!(
        list(next).await.2,
        400,
        "the condition belongs to the token"
    );
    let page = send(
        server.address(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await
    .body();
    assert!(String::from_utf8_lossy(&page.await.body).contains("\ncam-1 0\n"));
    server.stop().await;
}

#[tokio::test]
async fn the_endpoint_is_the_one_that_was_used() {
    let server = start().await;
    create(server.address(), "cam", 0).await;
    let json = r#"{"StreamName":"cam","APIName":"PUT_MEDIA"}"#;
    let port = server.address().port();
    for (host, endpoint) in [
        ("127.0.0.1".to_owned(), format!("http://127.0.0.1:{port}")),
        (
            format!("localhost:{port}"),
            format!("http://localhost:{port}"),
        ),
    ] {
        let request = format!(
            "POST /getDataEndpoint HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        );
        let reply = send(server.address(), request.as_bytes())
            .await
            .body()
            .await;
        assert_eq!(reply.json()["DataEndpoint"], endpoint);
    }
    server.stop().await;
    let public_url = Some("https://kvs.example".into());
    let server = Server::start(Config {
        public_url,
        ..Config::default()
    })
    .await
    .expect("starts");
    create(server.address(), "cam", 0).await;
    let reply = post(server.address(), "/getDataEndpoint", json).await;
    assert_eq!(reply.json()["DataEndpoint"], "https://kvs.example");
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_operation_is_said_in_the_services_form() {
    let server = start().await;
    for (request, status, error) in [
        (
            "POST /getClips HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            404,
            "UnknownOperationException",
        ),
        (
            "GET /createStream HTTP/1.1\r\nHost: localhost\r\n\r\n",
            404,
            "UnknownOperationException",
        ),
        (
            "POST /%2e%2e/etc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            404,
            "UnknownOperationException",
        ),
        (
            "POST /createStream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{]",
            400,
            "InvalidArgumentException",
        ),
        (
            "POST /createStream HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n",
            403,
            "AccessDeniedException",
        ),
        (
            "POST /createStream HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\
          Content-Length: 0\r\n\r\n",
            403,
            "AccessDeniedException",
        ),
        (
            "POST /createStream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n",
            400,
            "InvalidArgumentException",
        ),
    ] {
        let reply = send(server.address(), request.as_bytes())
            .await
            .body()
            .await;
        assert_eq!((reply.status, reply.error()), (status, error), "{request}");
        assert_eq!(reply.header("x-amzn-requestid").map(str::len), Some(36));
        assert_eq!(reply.json()["__type"], error);
    }
    server.stop().await;
}

#[tokio::test]
async fn an_operation_that_is_not_here_says_why() {
    let server = start().await;
    for (path, why) in [
        ("/createSignalingChannel", "out of scope"),
        ("/joinStorageSession", "out of scope"),
        ("/startEdgeConfigurationUpdate", "out of scope"),
        ("/getClip", "not built yet"),
        ("/getHLSStreamingSessionURL", "not built yet"),
        ("/getCoffee", "no operation"),
    ] {
        let reply = post(server.address(), path, "{}").await;
        let (status, error) = (reply.status, reply.error());
        assert_eq!(
            (status, error),
            (404, "UnknownOperationException"),
            "{path}"
        );
        let json = reply.json();
        let message = json["Message"].as_str().expect("a message");
        assert!(message.contains(why), "{message}");
    }
    server.stop().await;
}

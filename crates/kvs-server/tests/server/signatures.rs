//! With credentials nothing is done without a valid signature, nor beyond the key's rights.

use kvs_protocol::Ack;
use kvs_server::{Config, Handle, Server};

use crate::harness::{Put, Reply, post, send};
use crate::movie::Movie;
use crate::signing::{call, credentials, resign};

/// An upload to `cam-1`; only its signature is still to be made.
const PUT_MEDIA: &str = "POST /putMedia HTTP/1.1\r\nHost: h\r\nX-Amz-Date: 0\r\nAuthorization: \
    AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/0/us-west-2/kinesisvideo/aws4_request, \
    SignedHeaders=host;x-amz-date, Signature=0\r\nx-amzn-stream-name: cam-1\r\n\
    x-amzn-fragment-timecode-type: ABSOLUTE\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn start(lines: &str) -> (Handle, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        credentials: Some(credentials(&folder, lines)),
        ..Config::default()
    };
    (Server::start(config).await.expect("a good file"), folder)
}

async fn signed(server: &Handle, path: &str, json: &str) -> Reply {
    let request = call("127.0.0.1", path, json);
    send(server.address(), request.as_bytes())
        .await
        .body()
        .await
}

#[tokio::test]
async fn a_signature_is_needed_and_enough() {
    let (server, _folder) = start("").await;
    let json = r#"{"StreamName":"cam"}"#;
    let reply = post(server.address(), "/createStream", json).await;
    assert_eq!(
        (reply.status, reply.error()),
        (403, "MissingAuthenticationToken")
    );
    assert_eq!(signed(&server, "/createStream", json).await.status, 200);
    let forged = call("127.0.0.1", "/describeStream", json).replace("StreamName", "streamName");
    let reply = send(server.address(), forged.as_bytes()).await.body().await;
    assert_eq!(
        (reply.status, reply.error()),
        (403, "InvalidSignatureException")
    );
    let page = send(server.address(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .body()
        .await;
    assert_eq!(page.status, 403, "the list of streams is no public page");
    let health = send(
        server.address(),
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .await;
    assert_eq!(health.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_narrowed_key_does_no_more_than_it_may() {
    let (server, _folder) = start("kvs_streams = cam-*\nkvs_actions = read, admin\n").await;
    let name = |name: &str| format!(r#"{{"StreamName":"{name}"}}"#);
    assert_eq!(
        signed(&server, "/createStream", &name("cam-1"))
            .await
            .status,
        200
    );
    let reply = signed(&server, "/createStream", &name("door")).await;
    assert_eq!(
        (reply.status, reply.error()),
        (401, "NotAuthorizedException")
    );
    assert_eq!(
        signed(&server, "/describeStream", &name("cam-1"))
            .await
            .status,
        200
    );
    let head = resign(PUT_MEDIA, b"");
    let reply = send(server.address(), head.as_bytes()).await.body().await;
    assert_eq!(
        (reply.status, reply.error()),
        (401, "NotAuthorizedException")
    );
    server.stop().await;
}

/// The camera profile of `docs/server.md`. The stream is made by who may, before.
#[tokio::test]
async fn a_key_that_may_write_needs_no_more_to_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Some(folder.path().join("data"));
    let config = Config {
        data,
        credentials: Some(credentials(&folder, "")),
        ..Config::default()
    };
    let server = Server::start(config.clone()).await.expect("a good file");
    let json = r#"{"StreamName":"cam-1","DataRetentionInHours":2}"#;
    assert_eq!(signed(&server, "/createStream", json).await.status, 200);
    server.stop().await;
    credentials(
        &folder,
        "kvs_streams = cam-1, test-*\nkvs_actions = write\n",
    );
    let server = Server::start(config).await.expect("a good file");
    let status = async |path: &str, json: &str| signed(&server, path, json).await.status;
    let stream = r#"{"StreamName":"cam-1"}"#;
    assert_eq!(status("/describeStream", stream).await, 200);
    let endpoint = r#"{"StreamName":"cam-1","APIName":"PUT_MEDIA"}"#;
    assert_eq!(status("/getDataEndpoint", endpoint).await, 200);
    let mut put = Put::with_head(server.address(), &resign(PUT_MEDIA, b"")).await;
    assert_eq!(put.status, 200);
    put.end().await;
    for (path, json) in [
        ("/createStream", r#"{"StreamName":"test-1"}"#),
        ("/describeStream", r#"{"StreamName":"door"}"#),
        ("/listStreams", "{}"),
        (
            "/getMedia",
            r#"{"StreamName":"cam-1","StartSelector":{"StartSelectorType":"EARLIEST"}}"#,
        ),
    ] {
        let status = status(path, json).await;
        assert!((401..=403).contains(&status), "{path}: {status}");
    }
    server.stop().await;
}

/// As AWS's C++ producer signs: a Host without its port, hop-by-hop headers, an empty body.
#[tokio::test]
async fn a_producer_signs_what_it_sends_hop_by_hop() {
    let (server, _folder) = start("kvs_actions = write, admin\n").await;
    let json = r#"{"StreamName":"cam","DataRetentionInHours":2}"#;
    assert_eq!(signed(&server, "/createStream", json).await.status, 200);
    let head = "POST /putMedia HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Date: 0\r\nAuthorization: \
                AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/0/us-west-2/kinesisvideo/aws4_request, \
                SignedHeaders=connection;host;transfer-encoding;x-amz-date;\
                x-amzn-fragment-timecode-type;x-amzn-stream-name, Signature=0\r\n\
                connection: keep-alive\r\ntransfer-encoding: chunked\r\n\
                x-amzn-stream-name: cam\r\nx-amzn-fragment-timecode-type: ABSOLUTE\r\n\
                Expect: 100-continue\r\n\r\n";
    let mut put = Put::with_head(server.address(), &resign(head, b"")).await;
    assert!(put.continued, "100 Continue comes before any body");
    assert_eq!(put.status, 200);
    let mut movie = Movie::new();
    let body = [movie.header(), movie.fragment(0), movie.end_of_fragment()];
    put.send(&body.concat()).await.expect("taken");
    put.until(|ack| matches!(ack, Ack::Persisted(_))).await;
    put.end().await;
    assert_eq!(put.ack().await, None);
    server.stop().await;
}

#[tokio::test]
async fn the_keys_are_read_again_while_the_server_runs() {
    let (server, folder) = start("kvs_actions = read\n").await;
    let json = r#"{"StreamName":"cam"}"#;
    let refused = signed(&server, "/createStream", json).await;
    assert_eq!(refused.status, 401);
    let file = folder.path().join("credentials");
    std::fs::write(&file, "[damaged").expect("writable");
    server.reload().expect("a thread").join().expect("it ends");
    assert_eq!(signed(&server, "/listStreams", "{}").await.status, 200);
    credentials(&folder, "kvs_actions = admin\n");
    server.reload().expect("a thread").join().expect("it ends");
    assert_eq!(signed(&server, "/createStream", json).await.status, 200);
    assert_eq!(signed(&server, "/listStreams", "{}").await.status, 403);
    server.stop().await;
}

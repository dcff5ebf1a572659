//! With credentials nothing is done without a valid signature, nor beyond the key's rights.

use kvs_server::{Config, Handle, Server};

use crate::harness::{Reply, post, send};
use crate::signing::{call, credentials};

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
    let put = "POST /putMedia HTTP/1.1\r\nHost: h\r\nX-Amz-Date: 0\r\nAuthorization: \
               AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/0/us-west-2/kinesisvideo/aws4_request, \
               SignedHeaders=host;x-amz-date, Signature=0\r\nx-amzn-stream-name: cam-1\r\n\
               x-amzn-fragment-timecode-type: ABSOLUTE\r\nTransfer-Encoding: chunked\r\n\r\n";
    let head = crate::signing::resign(put, b"");
    let reply = send(server.address(), head.as_bytes()).await.body().await;
    assert_eq!(
        (reply.status, reply.error()),
        (401, "NotAuthorizedException")
    );
    server.stop().await;
}

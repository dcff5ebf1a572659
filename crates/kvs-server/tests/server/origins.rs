//! Web pages of other origins: what their browser sends changes nothing, and who may read what.

use std::net::SocketAddr;

use kvs_protocol::api::Operation;
use kvs_server::{Config, Handle, Server};

use crate::harness::{Reply, create, post, send, upload};
use crate::movie;
use crate::signing;

const FOREIGN: &str = "https://evil.example";
const PLAYER: &str = "https://player.example";

/// A request that a browser sends for a page, with these headers, each of which ends its line.
async fn browse(address: SocketAddr, line: &str, headers: &str, body: &str) -> Reply {
    let request = format!(
        "{line} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    send(address, request.as_bytes()).await.body().await
}

/// A body that every operation on the stream finds good, as far as one can be.
fn good(arn: &str) -> String {
    format!(
        r#"{{"StreamARN":"{arn}","ResourceARN":"{arn}","DataRetentionInHours":1,
        "APIName":"GET_MEDIA","Operation":"DECREASE_DATA_RETENTION",
        "DataRetentionChangeInHours":1,"StartSelector":{{"StartSelectorType":"EARLIEST"}},
        "TagKeyList":["place"]}}"#
    )
}

/// The stream as the server tells it.
async fn described(address: SocketAddr) -> (u16, String) {
    let reply = post(address, "/describeStream", r#"{"StreamName":"cam"}"#).await;
    let info = &reply.json()["StreamInfo"];
    (reply.status, info.to_string())
}

/// Everything that a foreign page can make a browser send to an operation, refused in this way.
async fn is_refused(address: SocketAddr, body: &str, error: &str, rebound: &str) {
    for operation in Operation::ALL {
        let (path, host) = (operation.path(), format!("Host: {address}\r\n"));
        let line = format!("POST {path}");
        for origin in [FOREIGN, "null", "http://127.0.0.1", "http://localhost:1"] {
            let from = format!(
                "{host}Origin: {origin}\r\nContent-Type: text/plain\r\n\
                 x-amzn-stream-name: cam\r\nx-amzn-fragment-timecode-type: ABSOLUTE\r\n"
            );
            let reply = browse(address, &line, &from, body).await;
            assert_eq!((reply.status, reply.error()), (403, error), "{line} {from}");
        }
        // The page's own name, which its owner lets stand for this machine.
        let name = "Host: evil.example:5600\r\nOrigin: http://evil.example:5600\r\n";
        for headers in [name, "Host: evil.example:5600\r\n"] {
            let reply = browse(address, &line, headers, body).await;
            assert_eq!(
                (reply.status, reply.error()),
                (403, rebound),
                "{line} {headers}"
            );
        }
    }
}

async fn asks_first(address: SocketAddr, origin: &str, path: &str) -> Reply {
    let headers = format!(
        "Host: {address}\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: authorization,x-amz-date\r\n"
    );
    browse(address, &format!("OPTIONS {path}"), &headers, "").await
}

#[tokio::test]
async fn a_foreign_page_changes_nothing_on_an_open_server() {
    let config = Config {
        allow_origins: vec![PLAYER.into()],
        ..Config::default()
    };
    let server = Server::start(config).await.expect("in memory");
    let address = server.address();
    let arn = create(address, "cam", 24).await;
    let before = described(address).await;
    is_refused(
        address,
        &good(&arn),
        "AccessDeniedException",
        "AccessDeniedException",
    )
    .await;
    for operation in Operation::ALL {
        let reply = asks_first(address, FOREIGN, operation.path()).await;
        assert_eq!(reply.status, 403, "{}", operation.path());
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    assert_eq!(described(address).await, before);
    server.stop().await;
}

async fn signed() -> (tempfile::TempDir, Handle) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        credentials: Some(signing::credentials(&folder, "")),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("in memory");
    (folder, server)
}

#[tokio::test]
async fn a_foreign_page_changes_nothing_where_signatures_are_asked_for() {
    let (_folder, server) = signed().await;
    let address = server.address();
    let call = |path: &str, json: &str| signing::call(&address.to_string(), path, json);
    let made = call("/createStream", r#"{"StreamName":"cam"}"#);
    let made = send(address, made.as_bytes()).await.body().await;
    assert_eq!(made.status, 200);
    let arn = made.json()["StreamARN"]
        .as_str()
        .expect("an ARN")
        .to_owned();
    let missing = "MissingAuthenticationToken";
    is_refused(address, &good(&arn), missing, missing).await;
    let list = call("/listStreams", "{}");
    let list = send(address, list.as_bytes()).await.body().await;
    let streams = list.json();
    assert_eq!(streams["StreamInfoList"][0]["StreamARN"], arn, "{streams}");
    assert_eq!(
        streams["StreamInfoList"].as_array().map(Vec::len),
        Some(1),
        "{streams}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_may_call_is_told_so_and_reads_answers_and_errors() {
    let config = Config {
        allow_origins: vec!["http://other.example".into(), PLAYER.into()],
        ..Config::default()
    };
    let server = Server::start(config).await.expect("in memory");
    let address = server.address();
    create(address, "cam", 24).await;
    upload(address, "cam", &movie::body(1)).await;
    for operation in Operation::ALL {
        let reply = asks_first(address, PLAYER, operation.path()).await;
        assert_eq!(reply.status, 200, "{}", operation.path());
        assert_eq!(reply.header("access-control-allow-origin"), Some(PLAYER));
        assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
        assert_eq!(
            reply.header("access-control-allow-headers"),
            Some("authorization,x-amz-date")
        );
    }
    let from = format!("Host: {address}\r\nOrigin: {PLAYER}\r\n");
    let earliest = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    for (body, status) in [(earliest, 200), ("{}", 400)] {
        let reply = browse(address, "POST /getMedia", &from, body).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("access-control-allow-origin"), Some(PLAYER));
        assert_eq!(
            reply.header("access-control-expose-headers"),
            Some("x-amzn-RequestId, x-amzn-ErrorType, Date")
        );
        assert_eq!(reply.header("vary"), Some("Origin"));
    }
    // What is no operation is for nobody's script.
    for path in ["/", "/healthz"] {
        let reply = browse(address, &format!("GET {path}"), &from, "").await;
        assert_eq!(reply.header("access-control-allow-origin"), None, "{path}");
    }
    let own = format!("Host: {address}\r\nOrigin: http://{address}\r\n");
    let reply = browse(address, "POST /listStreams", &own, "{}").await;
    assert_eq!(reply.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn where_signatures_are_asked_for_any_page_may_ask() {
    let (_folder, server) = signed().await;
    let address = server.address();
    let reply = asks_first(address, FOREIGN, "/getMedia").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), Some(FOREIGN));
    let from = format!("Host: {address}\r\nOrigin: {FOREIGN}\r\n");
    let reply = browse(address, "POST /getMedia", &from, "{}").await;
    assert_eq!(reply.error(), "MissingAuthenticationToken");
    assert_eq!(reply.header("access-control-allow-origin"), Some(FOREIGN));
    server.stop().await;
}

#[tokio::test]
async fn an_origin_that_is_none_is_refused_at_the_start() {
    let config = Config {
        allow_origins: vec!["*".into()],
        ..Config::default()
    };
    let error = Server::start(config).await.expect_err("it is none");
    assert!(
        error.to_string().starts_with("--allow-origin *: "),
        "{error}"
    );
}

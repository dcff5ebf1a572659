//! What a key may not do it may not do by any operation, and it learns nothing by trying.

use kvs_protocol::api::Operation;
use kvs_server::{Config, Handle, Server};
use serde_json::{Value, json};

use crate::harness::{Reply, send};
use crate::signing::{ACCESS_KEY, SECRET_KEY, call, credentials, resign};

/// A stream that the narrowed keys may touch, one that they may not, and one that is nowhere.
const OWN: &str = "cam-1";
const FOREIGN: &str = "door";
const ABSENT: &str = "nobody";
const ACTIONS: [&str; 3] = ["read", "write", "admin"];

/// The actions of which any one is enough.
fn enough(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::DescribeStream | Operation::GetDataEndpoint => &["read", "write"],
        Operation::PutMedia => &["write"],
        Operation::ListStreams
        | Operation::ListTagsForStream
        | Operation::ListTagsForResource
        | Operation::DescribeImageGenerationConfiguration
        | Operation::DescribeNotificationConfiguration
        | Operation::DescribeStreamStorageConfiguration
        | Operation::GetMedia
        | Operation::ListFragments
        | Operation::GetMediaForFragmentList => &["read"],
        _ => &["admin"],
    }
}

/// The members of all operations at once; each ignores those of the others.
fn members(stream: &str, arn: &str) -> Value {
    json!({
        "StreamName": stream, "StreamARN": arn, "ResourceARN": arn, "CurrentVersion": "another",
        "APIName": "GET_MEDIA", "StartSelector": {"StartSelectorType": "NOW"},
        "FragmentSelector": {
            "FragmentSelectorType": "SERVER_TIMESTAMP",
            "TimestampRange": {"StartTimestamp": 1, "EndTimestamp": 2},
        },
        "Fragments": ["91343852333181432392682062607743920146159169392"],
        "Operation": "INCREASE_DATA_RETENTION", "DataRetentionChangeInHours": 1,
        "MediaType": "video/h264", "Tags": {"key": "value"}, "TagKeyList": ["key"],
        "StreamStorageConfiguration": {"DefaultStorageTier": "WARM"},
    })
}

fn request(operation: Operation, stream: &str, arn: &str) -> String {
    if operation == Operation::PutMedia {
        return resign(
            &format!(
                "POST /putMedia HTTP/1.1\r\nHost: h\r\nX-Amz-Date: 0\r\nAuthorization: \
                 AWS4-HMAC-SHA256 Credential=K/0/us-west-2/kinesisvideo/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature=0\r\nx-amzn-stream-name: {stream}\r\n\
                 x-amzn-fragment-timecode-type: ABSOLUTE\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
            b"",
        ) + "0\r\n\r\n";
    }
    let mut members = members(stream, arn);
    if operation == Operation::TagResource {
        members["Tags"] = json!([{"Key": "key", "Value": "value"}]);
    }
    call("h", operation.path(), &members.to_string())
}

/// A server with the two streams, the key of `signing` that may do everything, and for each action
/// one that may do no other, to streams `cam-*` only.
async fn start() -> (Handle, tempfile::TempDir) {
    let narrowed = ACTIONS.map(|action| {
        format!(
            "[{action}]\naws_access_key_id = AKID{action}\naws_secret_access_key = {SECRET_KEY}\n\
             kvs_actions = {action}\nkvs_streams = cam-*\n"
        )
    });
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        credentials: Some(credentials(&folder, &narrowed.concat())),
        ..Config::default()
    };
    (Server::start(config).await.expect("a good file"), folder)
}

async fn create(server: &Handle, name: &str) -> String {
    let json = json!({"StreamName": name, "DataRetentionInHours": 2}).to_string();
    let reply = ask(server, &call("h", "/createStream", &json)).await;
    assert_eq!(reply.status, 200);
    reply.json()["StreamARN"].as_str().expect("an ARN").into()
}

async fn ask(server: &Handle, request: &str) -> Reply {
    send(server.address(), request.as_bytes())
        .await
        .body()
        .await
}

/// The same request, signed by another key. All have the same secret.
fn by(action: &str, request: &str) -> String {
    request.replacen(ACCESS_KEY, &format!("AKID{action}"), 1)
}

fn is_denied(reply: &Reply) -> bool {
    let denied = ["NotAuthorizedException", "AccessDeniedException"].contains(&reply.error());
    assert_eq!(denied, [401, 403].contains(&reply.status), "{reply:?}");
    denied
}

#[tokio::test]
async fn no_operation_goes_beyond_the_streams_of_a_key() {
    let (server, _folder) = start().await;
    let foreign = create(&server, FOREIGN).await;
    let absent = foreign.replace(FOREIGN, ABSENT);
    for &operation in Operation::ALL {
        if operation == Operation::ListStreams {
            continue;
        }
        for action in ACTIONS {
            let to_foreign = by(action, &request(operation, FOREIGN, &foreign));
            let to_absent = by(action, &request(operation, ABSENT, &absent));
            let refused = ask(&server, &to_foreign).await;
            assert!(is_denied(&refused), "{operation:?} {action} {refused:?}");
            let nobody = ask(&server, &to_absent).await;
            assert_eq!(refused.status, nobody.status, "{operation:?} {action}");
            assert_eq!(refused.body, nobody.body, "{operation:?} {action}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn no_operation_goes_beyond_the_actions_of_a_key() {
    let (server, _folder) = start().await;
    for &operation in Operation::ALL {
        for action in ACTIONS {
            // A key that may delete it does.
            let arn = server_stream(&server).await;
            let reply = ask(&server, &by(action, &request(operation, OWN, &arn))).await;
            let allowed = enough(operation).contains(&action);
            assert_eq!(
                !is_denied(&reply),
                allowed,
                "{operation:?} {action} {reply:?}"
            );
        }
    }
    server.stop().await;
}

/// The stream of the narrowed keys, made if it is not there.
async fn server_stream(server: &Handle) -> String {
    let json = json!({"StreamName": OWN}).to_string();
    let reply = ask(server, &call("h", "/describeStream", &json)).await;
    match reply.json()["StreamInfo"]["StreamARN"].as_str() {
        Some(arn) => arn.into(),
        None => create(server, OWN).await,
    }
}

#[tokio::test]
async fn a_list_holds_the_streams_of_the_key_only() {
    let (server, _folder) = start().await;
    create(&server, OWN).await;
    create(&server, FOREIGN).await;
    let list = async |request: String| {
        let listed = ask(&server, &request).await.json();
        let listed = listed["StreamInfoList"].as_array().expect("a list").clone();
        let name = |info: &Value| info["StreamName"].as_str().map(String::from);
        listed.iter().filter_map(name).collect::<Vec<_>>()
    };
    let request = call("h", "/listStreams", "{}");
    assert_eq!(list(by("read", &request)).await, [OWN]);
    assert_eq!(list(request).await, [OWN, FOREIGN]);
    server.stop().await;
}

#[tokio::test]
async fn a_temporary_key_needs_its_token() {
    const TOKEN: &str = "FwoGZXIvYXdzEXAMPLE";
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        credentials: Some(credentials(
            &folder,
            &format!("aws_session_token = {TOKEN}\n"),
        )),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("a good file");
    let unsigned = call("h", "/listStreams", "{}");
    let head = unsigned.trim_end_matches("{}");
    let with = |token: &str| format!("\r\nX-Amz-Security-Token: {token}\r\n");
    let beside = |token: &str| unsigned.replacen("\r\n", &with(token), 1);
    let signed = |token: &str| {
        let listed = head.replacen("x-amz-date,", "x-amz-date;x-amz-security-token,", 1);
        resign(&listed.replacen("\r\n", &with(token), 1), b"{}") + "{}"
    };
    assert_eq!(ask(&server, &beside(TOKEN)).await.status, 200);
    assert_eq!(ask(&server, &signed(TOKEN)).await.status, 200);
    let longer = format!("{TOKEN}x");
    let others = ["", "x", &TOKEN[1..], &longer, &TOKEN.to_lowercase()];
    let refused = others
        .iter()
        .flat_map(|token| [beside(token), signed(token)]);
    for request in refused.chain([unsigned.clone()]) {
        let reply = ask(&server, &request).await;
        let error = (reply.status, reply.error());
        assert_eq!(error, (403, "UnrecognizedClientException"), "{request}");
    }
    server.stop().await;
}

/// A signed request is no longer good when the words it is scoped by are others.
#[tokio::test]
async fn a_scope_that_is_not_the_servers_is_refused() {
    let (server, _folder) = start().await;
    let good = call("h", "/listStreams", "{}");
    assert_eq!(ask(&server, &good).await.status, 200);
    let elsewhere = resign(
        good.trim_end_matches("{}")
            .replace("us-west-2", "eu-west-1")
            .as_str(),
        b"{}",
    ) + "{}";
    for (request, status, error) in [
        (elsewhere, 403, "InvalidSignatureException"),
        (by("unknown", &good), 403, "UnrecognizedClientException"),
        (
            good.replace("kinesisvideo/", "s3/"),
            403,
            "InvalidSignatureException",
        ),
    ] {
        let reply = ask(&server, &request).await;
        assert_eq!((reply.status, reply.error()), (status, error), "{request}");
    }
    server.stop().await;
}

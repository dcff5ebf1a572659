//! The log: every line about a request has its id, and one sums it up; none has a secret.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Stdio};
use std::thread::{JoinHandle, spawn};

use serde_json::{Value, json};

use crate::harness::{Put, send, short};
use crate::movie;
use crate::signing::{ACCESS_KEY, SECRET_KEY, call, credentials, resign};
use crate::startup::{binary, tell};

const PUT_MEDIA: &str = "POST /putMedia HTTP/1.1\r\nHost: h\r\nX-Amz-Date: 0\r\nAuthorization: \
    AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/0/us-west-2/kinesisvideo/aws4_request, \
    SignedHeaders=host;x-amz-date, Signature=0\r\nx-amzn-stream-name: cam\r\n\
    x-amzn-fragment-timecode-type: ABSOLUTE\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A server whose log is read meanwhile.
struct Logged {
    child: Child,
    address: SocketAddr,
    log: JoinHandle<String>,
}

impl Logged {
    fn start(arguments: &[&str], level: &str) -> Self {
        let mut child = binary(&["--listen", "127.0.0.1:0", "--get-media-idle", "50ms"])
            .args(arguments)
            .env("RUST_LOG", level)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary is there");
        let stderr = child.stderr.take().expect("piped");
        let log = spawn(move || whole(stderr));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("a first line");
        let address = line.trim_end().rsplit('/').next().expect("a URL");
        Self {
            child,
            address: address.parse().expect("an address"),
            log,
        }
    }

    /// Stops it, and gives all that it said.
    fn stop(mut self) -> String {
        tell(&self.child, "-TERM");
        assert!(self.child.wait().expect("it ends").success());
        self.log.join().expect("the log was read")
    }
}

fn whole(mut stderr: ChildStderr) -> String {
    let mut log = String::new();
    stderr.read_to_string(&mut log).expect("text");
    log
}

/// Calls an operation, signed; gives the id of the request, the status and the length of the body.
async fn request(server: &Logged, path: &str, json: &str) -> (String, u16, usize) {
    let request = call("127.0.0.1", path, json);
    let reply = send(server.address, request.as_bytes()).await.body().await;
    let id = reply.header("x-amzn-requestid").expect("an id");
    (id.to_owned(), reply.status, reply.body.len())
}

fn summary(lines: &[Value], id: &str) -> Value {
    let of_request = lines.iter().filter(|line| line["span"]["id"] == id);
    let mut summaries = of_request.filter(|line| line["message"] == "request done");
    let mut line = summaries.next().expect("a line of the request").clone();
    assert_eq!(summaries.next(), None);
    let fields = line.as_object_mut().expect("an object");
    for name in ["timestamp", "target", "level", "message"] {
        fields.remove(name).expect("each line has it");
    }
    let duration = fields.remove("duration_ms").expect("it took some time");
    assert!(duration.is_u64());
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_summed_up_and_each_of_its_lines_has_its_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = credentials(&folder, "");
    let file = file.to_str().expect("a path in UTF-8");
    let arguments = ["--memory", "--credentials", file, "--log-format", "json"];
    let server = Logged::start(&arguments, "debug");
    let create = r#"{"StreamName":"cam","DataRetentionInHours":1}"#;
    let created = request(&server, "/createStream", create).await;
    let mut put = Put::with_head(server.address, &resign(PUT_MEDIA, b"")).await;
    let put_id = put.header("x-amzn-requestid").expect("an id").to_owned();
    // The second is cut off by what is no Matroska.
    let body = [&movie::body(1)[..], &[0; 16]].concat();
    put.send(&body).await.expect("it reads");
    put.end().await;
    let acks = put.acks().await;
    assert_eq!(short(&acks), "B1 E4006@1");
    let acks_bytes: usize = acks.iter().map(|ack| ack.to_line().len()).sum();
    let get = r#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    let got = request(&server, "/getMedia", get).await;
    let none = r#"{"StreamName":"none"}"#;
    let refused = request(&server, "/describeStream", none).await;
    assert_eq!((created.1, got.1, refused.1), (200, 200, 404));
    let log = server.stop();
    assert!(!log.contains(SECRET_KEY), "{log}");
    let parse = |line| serde_json::from_str(line).expect("each line is JSON");
    let lines: Vec<Value> = log.lines().map(parse).collect();
    let expected = |id: &str, path: &str, stream: &str| {
        json!({
            "name": "request", "id": id, "path": path, "stream": stream, "key": ACCESS_KEY,
        })
    };
    for ((id, status, sent), path, stream, received) in [
        (created, "/createStream", "cam", create.len()),
        (
            (put_id.clone(), 200, acks_bytes),
            "/putMedia",
            "cam",
            body.len(),
        ),
        (got, "/getMedia", "cam", get.len()),
        (refused, "/describeStream", "none", none.len()),
    ] {
        let line = summary(&lines, &id);
        let expected = json!({
            "span": expected(&id, path, stream),
            "status": status, "received_bytes": received, "sent_bytes": sent,
        });
        assert_eq!(line, expected, "{path}");
    }
    let ended = "a PutMedia ended with an error";
    let ended = lines.iter().find(|line| line["message"] == ended);
    assert_eq!(ended.expect("it did")["span"]["id"], put_id.as_str());
}

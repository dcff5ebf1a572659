//! Requests as AWS's own kvssink sent them: their signatures verify, and no changed one's does.
//!
//! Reads the recordings in the folder named by `KVS_TEST_DATA`.

use std::fs;
use std::path::{Path, PathBuf};

use kvs_protocol::api::{
    CreateStream, DescribeStream, GetDataEndpoint, Operation, ProducerTimecodes, PutMedia,
};
use kvs_protocol::sigv4::{Payload, SERVICE, Scope, Secret, SignedRequest, verify};
use kvs_protocol::{Ack, AckError, AckParser, ApiError, Timestamp};

const SCOPE: Scope<'_> = Scope {
    region: "us-west-2",
    service: SERVICE,
};

/// A recorded request, its head as text.
struct Capture {
    name: String,
    head: String,
    body: Vec<u8>,
}

/// All recordings with that ending; none where the variable is not set.
fn recordings(extension: &str) -> Vec<PathBuf> {
    let Some(root) = std::env::var_os("KVS_TEST_DATA") else {
        eprintln!("skipped: no recordings");
        return Vec::new();
    };
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder of recordings");
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect()
    };
    let sessions = entries(&Path::new(&root).join("aws-kvssink"));
    let mut found: Vec<_> = sessions
        .iter()
        .flat_map(|session| entries(session))
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no .{extension} in {}", root.display());
    found
}

fn captures() -> Vec<Capture> {
    let load = |path: PathBuf| Capture {
        name: path.display().to_string(),
        head: fs::read_to_string(&path).expect("the head"),
        // PutMedia signs no body.
        body: fs::read(path.with_extension("body")).unwrap_or_default(),
    };
    recordings("head").into_iter().map(load).collect()
}

impl Capture {
    fn path(&self) -> &str {
        self.head.split(' ').nth(1).expect("a request line")
    }

    fn headers(&self) -> Vec<(&str, &[u8])> {
        let lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        lines
            .map(|(name, value)| (name, value.as_bytes()))
            .collect()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let headers = self.headers();
        headers
            .into_iter()
            .find(|header| header.0.eq_ignore_ascii_case(name))
            .map(|header| header.1)
    }

    fn verify(&self) -> Result<String, ApiError> {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let payload = match Operation::from_path(self.path()) {
            Some(Operation::PutMedia) => Payload::Stream,
            _ => Payload::Whole(&self.body),
        };
        let request = SignedRequest {
            method: self.head.split(' ').next().expect("a request line"),
            path: self.path(),
            query: "",
            headers: &self.headers(),
            payload,
        };
        verify(&request, &SCOPE, self.sent_at(), |key| {
            (key == "AKIDEXAMPLE").then_some(&secret)
        })
        .map(str::to_owned)
    }

    /// When it was sent, from `X-Amz-Date`.
    fn sent_at(&self) -> Timestamp {
        let date = self.header("x-amz-date").expect("a date").trim_ascii();
        let text = std::str::from_utf8(date).expect("ASCII");
        let [year, month, day] = [&text[..4], &text[4..6], &text[6..8]];
        let [hour, minute, second] = [&text[9..11], &text[11..13], &text[13..15]];
        format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")
            .parse()
            .expect("an instant")
    }
}

#[test]
fn all_21_signatures_verify() {
    let captures = captures();
    for capture in &captures {
        assert_eq!(
            capture.verify().as_deref(),
            Ok("AKIDEXAMPLE"),
            "{}",
            capture.name
        );
    }
    assert!(
        captures.is_empty() || captures.len() == 21,
        "{} requests",
        captures.len()
    );
}

#[test]
fn no_request_with_one_byte_changed_verifies() {
    for capture in captures() {
        let signed = capture.header("authorization").expect("signed");
        let signed = String::from_utf8_lossy(signed).into_owned();
        let list = signed.split("SignedHeaders=").nth(1).expect("a list");
        let is_signed = |line: &str| {
            let name = line
                .split(':')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            list.split(',')
                .next()
                .is_some_and(|list| list.split(';').any(|header| header == name))
        };
        let mut changed = 0;
        for line in capture.head.lines().filter(|line| is_signed(line)) {
            let last = line.chars().last().expect("a value");
            let other = if last == 'x' { 'y' } else { 'x' };
            let tampered = format!("{}{other}", &line[..line.len() - 1]);
            let head = capture.head.replace(line, &tampered);
            let copy = Capture {
                head,
                body: capture.body.clone(),
                name: String::new(),
            };
            // The date itself is needed to say what now is.
            if !line.to_ascii_lowercase().starts_with("x-amz-date") {
                assert!(copy.verify().is_err(), "{}: {tampered}", capture.name);
                changed += 1;
            }
        }
        assert!(changed >= 2, "{} signs host and user-agent", capture.name);
        for at in 0..capture.body.len() {
            let mut body = capture.body.clone();
            body[at] ^= 1;
            let head = capture.head.clone();
            assert!(
                Capture {
                    head,
                    body,
                    name: String::new()
                }
                .verify()
                .is_err(),
                "byte {at}"
            );
        }
    }
}

#[test]
fn every_request_is_read() {
    for capture in captures() {
        let Capture { name, body, .. } = &capture;
        match Operation::from_path(capture.path()) {
            Some(Operation::DescribeStream) => {
                assert!(DescribeStream::parse(body).is_ok(), "{name}");
            }
            Some(Operation::CreateStream) => assert!(CreateStream::parse(body).is_ok(), "{name}"),
            Some(Operation::GetDataEndpoint) => {
                assert!(GetDataEndpoint::parse(body).is_ok(), "{name}");
            }
            Some(Operation::PutMedia) => {
                let request = PutMedia::parse(|header| capture.header(header)).expect(name);
                assert_eq!(request.timecodes, ProducerTimecodes::Absolute, "{name}");
                assert!(request.acks, "{name}");
            }
            _ => assert_eq!(capture.path(), "/tagStream", "{name}"),
        }
    }
}

#[test]
fn every_ack_that_their_client_took_is_read() {
    for path in recordings("acks") {
        let bytes = fs::read(&path).expect("acks");
        let mut parser = AckParser::new();
        let mut persisted = 0;
        for piece in bytes.chunks(7) {
            parser.push(piece);
            while let Some(ack) = parser.next_ack().expect("an ack") {
                match ack {
                    Ack::Persisted(_) => persisted += 1,
                    Ack::Error { error, .. } => assert_eq!(error, AckError::KmsKeyAccessDenied),
                    _ => {}
                }
            }
        }
        assert!(persisted > 0, "{}", path.display());
    }
}

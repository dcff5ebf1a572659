//! Signed requests: some of our own, and those that AWS's own kvssink sent.
//!
//! The latter are in the folder named by `KVS_TEST_DATA`.

use std::fs;
use std::path::{Path, PathBuf};

use kvs_protocol::Timestamp;
use kvs_protocol::api::Operation;
use kvs_protocol::sigv4::{Payload, SERVICE, Scope, Secret, SignedRequest, verify};
use kvs_protocol::{ApiError, ErrorKind};

const SCOPE: Scope<'_> = Scope {
    region: "us-west-2",
    service: SERVICE,
};
const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// In the ways of boto3, of the JavaScript SDK and of the C producer. Signed with Python's hmac.
const OWN: [(&str, &str, &str); 3] = [
    (
        "boto3",
        "POST /describeStream HTTP/1.1\nHost: kvs.example:5600\nContent-Type: application/json\n\
         X-Amz-Date: 20261123T070000Z\nX-Amz-Security-Token: FwoGZXIvYXdzEXAMPLE\n\
         User-Agent: Boto3\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/20261123/us-west-2/kinesisvideo/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
         Signature=09ede91f3a29cef65c7ca721c6296e936d3e600b715a1216eeb2e5f2cbe92882\n",
        r#"{"StreamName": "cam"}"#,
    ),
    (
        "JavaScript, and with a query",
        "POST /listStreams?b=%C3%A4%20%2F~&a=1 HTTP/1.1\nhost: kvs.example:5600\n\
         content-type: application/json\nx-amz-user-agent: aws-sdk-js/3.938.0   ua/2.1\n\
         x-amz-content-sha256: 82eef3ee4d2728db9e62c35b6d42acf8a5c1a903c67b99303e68d73ba2635306\n\
         x-amz-date: 20261123T070000Z\nauthorization: AWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/20261123/us-west-2/kinesisvideo/aws4_request, \
         SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-user-agent, \
         Signature=6d99c9ee5c8e49061d454b6c99424a62c13f0886caa651f7a3185efee9366519\n",
        r#"{"MaxResults":5}"#,
    ),
    (
        "C producer",
        "POST /putMedia HTTP/1.1\nHost: kvs.example\nconnection: keep-alive\n\
         transfer-encoding: chunked\nX-Amz-Date: 20261123T070000Z\nx-amzn-stream-name: cam\n\
         x-amzn-fragment-timecode-type: ABSOLUTE\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/20261123/us-west-2/kinesisvideo/aws4_request, \
         SignedHeaders=connection;host;transfer-encoding;x-amz-date;\
         x-amzn-fragment-timecode-type;x-amzn-stream-name, \
         Signature=84fb7d4debecc3268b43d558afa3049d2a17e0578b49764d4689755e1aee6e7a\n",
        "",
    ),
];

/// A request, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// The instant it is verified at.
    pub(crate) now: Timestamp,
}

impl Recorded {
    fn new(name: &str, head: &str, body: Vec<u8>) -> Self {
        let mut lines = head.lines();
        let mut words = lines.next().expect("a request line").split(' ');
        let method = words.next().expect("a method").to_owned();
        let target = words.next().expect("a target");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let mut request = Self {
            name: name.to_owned(),
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers.collect(),
            body,
            now: Timestamp::from_ms(0),
        };
        request.now = request.sent_at();
        request
    }

    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        let is = |header: &&(String, Vec<u8>)| header.0.eq_ignore_ascii_case(name);
        Some(&self.headers.iter().find(is)?.1)
    }

    /// The Authorization header.
    pub(crate) fn authorization(&self) -> String {
        let value = self.header("authorization").expect("it is signed");
        String::from_utf8(value.to_vec()).expect("ASCII")
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

    /// Whether its body has no end that could be waited for.
    pub(crate) fn is_stream(&self) -> bool {
        Operation::from_path(&self.path) == Some(Operation::PutMedia)
    }

    pub(crate) fn verify(&self) -> Result<String, ApiError> {
        self.verify_signed_as(&self.authorization_bytes())
    }

    fn authorization_bytes(&self) -> Vec<u8> {
        self.header("authorization").unwrap_or_default().to_vec()
    }

    /// Verifies it with another Authorization header in the place of its own.
    pub(crate) fn verify_signed_as(&self, authorization: &[u8]) -> Result<String, ApiError> {
        let secret = Secret::new(SECRET_KEY);
        let payload = if self.is_stream() {
            Payload::Stream
        } else {
            Payload::Whole(&self.body)
        };
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(
                |(name, value)| match name.eq_ignore_ascii_case("authorization") {
                    true => (name.as_str(), authorization),
                    false => (name.as_str(), value.as_slice()),
                },
            )
            .collect();
        let request = SignedRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            payload,
        };
        verify(&request, &SCOPE, self.now, |key| {
            (key == ACCESS_KEY).then_some(&secret)
        })
        .map(str::to_owned)
    }
}

/// Whether a verification failed for a reason that signatures can fail for.
pub(crate) fn is_refusal(error: &ApiError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidSignature
            | ErrorKind::IncompleteSignature
            | ErrorKind::UnrecognizedClient
            | ErrorKind::MissingAuthenticationToken
            | ErrorKind::RequestExpired
    )
}

/// All recordings with that ending; none where the variable is not set.
pub(crate) fn recordings(extension: &str) -> Vec<PathBuf> {
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

/// What AWS's kvssink sent.
pub(crate) fn captured() -> Vec<Recorded> {
    let load = |path: PathBuf| {
        let head = fs::read_to_string(&path).expect("the head");
        // PutMedia signs no body.
        let body = fs::read(path.with_extension("body")).unwrap_or_default();
        Recorded::new(&path.display().to_string(), &head, body)
    };
    recordings("head").into_iter().map(load).collect()
}

/// Our own requests and the captured ones.
pub(crate) fn all() -> Vec<Recorded> {
    let own = OWN.map(|(name, head, body)| Recorded::new(name, head, body.into()));
    own.into_iter().chain(captured()).collect()
}

//! Signs requests (Signature Version 4) in the way of a given head: the same headers, a new date.

use std::path::PathBuf;

use kvs_server::clock::{Clock, SystemClock};
use ring::{digest, hmac};

pub(crate) const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const REGION: &str = "us-west-2";

/// A credentials file with that one key and these further lines.
pub(crate) fn credentials(folder: &tempfile::TempDir, lines: &str) -> PathBuf {
    let path = folder.path().join("credentials");
    let text = format!(
        "[test]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n{lines}"
    );
    std::fs::write(&path, text).expect("a writable folder");
    path
}

/// The head of a call in the way of boto3, signed.
pub(crate) fn call(host: &str, path: &str, json: &str) -> String {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nX-Amz-Date: 0\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential={ACCESS_KEY}/0/{REGION}/kinesisvideo/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, Signature=0\r\n\r\n",
        json.len()
    );
    resign(&head, json.as_bytes()) + json
}

/// The same head with the signature of now.
pub(crate) fn resign(head: &str, body: &[u8]) -> String {
    let date = basic_date(SystemClock::new().now_ms());
    let mut lines: Vec<String> = head.trim_end().lines().map(String::from).collect();
    let position = |lines: &[String], name: &str| {
        let is = |line: &String| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
        lines
            .iter()
            .position(is)
            .unwrap_or_else(|| panic!("no {name} in the head"))
    };
    let at = position(&lines, "x-amz-date");
    lines[at] = format!("X-Amz-Date: {date}");
    let at = position(&lines, "authorization");
    let signed = between(&lines[at], "SignedHeaders=", ",").to_owned();
    let region = between(&lines[at], "Credential=", ",")
        .split('/')
        .nth(2)
        .expect("a scope");
    let scope = format!("{}/{region}/kinesisvideo/aws4_request", &date[..8]);
    let (method, rest) = lines[0].split_once(' ').expect("a request line");
    let path = between(rest, "", " ");
    let mut canonical = format!("{method}\n{path}\n\n");
    for name in signed.split(';') {
        let line = &lines[position(&lines, name)];
        let value = line.split_once(':').expect("a header").1;
        let words: Vec<_> = value.split_whitespace().collect();
        canonical += &format!("{name}:{}\n", words.join(" "));
    }
    canonical += &format!("\n{signed}\n{}", sha256(body));
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let mut key = format!("AWS4{SECRET_KEY}").into_bytes();
    for part in scope.split('/') {
        key = mac(&key, part.as_bytes());
    }
    let signature = hex(&mac(&key, text.as_bytes()));
    lines[at] = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, \
         SignedHeaders={signed}, Signature={signature}"
    );
    lines.join("\r\n") + "\r\n\r\n"
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).expect("what comes before").1;
    rest.split_once(to).map_or(rest, |(part, _)| part)
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
        .as_ref()
        .to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20261122T154517Z`.
fn basic_date(ms: u64) -> String {
    let (days, seconds) = (ms / 86_400_000, ms / 1000 % 86_400);
    // Days since 1970 to a date of the proleptic Gregorian calendar, by counting years and months.
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}{month:02}{:02}T{hour:02}{minute:02}{second:02}Z",
        day + 1
    )
}

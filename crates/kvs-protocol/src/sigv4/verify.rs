//! Verification: from the headers of a request to the access key that signed it.

use ring::digest;
use ring::hmac;

use super::authorization::{ALGORITHM, Authorization};
use super::{Secret, canonical};
use crate::{ApiError, ErrorKind, Timestamp, calendar};

/// A signature is good for this long before and after the instant it names.
pub const SKEW_MS_MAX: u64 = 15 * 60 * 1000;

const PAYLOAD_HASH_HEADER: &str = "x-amz-content-sha256";
const UNSIGNED_PAYLOAD: &[u8] = b"UNSIGNED-PAYLOAD";

/// A request as it was received: nothing decoded, nothing left out.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// `POST`.
    pub method: &'a str,
    /// The path of the request line.
    pub path: &'a str,
    /// What follows the question mark; empty without one.
    pub query: &'a str,
    /// Names, in any case, and values, in the order received. Clients sign hop-by-hop headers and
    /// `host` as they sent it, so these are needed too.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body.
    pub payload: Payload<'a>,
}

/// What of the body is signed.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// PutMedia's body has no end yet. Clients sign an empty one or `UNSIGNED-PAYLOAD`.
    Stream,
}

/// What signatures have to be scoped to.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The server's region.
    pub region: &'a str,
    /// [`SERVICE`](super::SERVICE).
    pub service: &'a str,
}

impl<'a> SignedRequest<'a> {
    /// All values of the header of this lower-case name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = self
            .headers
            .iter()
            .filter(move |header| header.0.eq_ignore_ascii_case(name));
        named.map(|header| header.1)
    }

    fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next().map(<[u8]>::trim_ascii)
    }
}

/// Gives the access key that signed the request.
///
/// `secret_of` finds the secret of an access key. The error is the answer to send; it never tells
/// more than its sender knows.
///
/// # Errors
/// MissingAuthenticationToken, IncompleteSignature, UnrecognizedClientException, RequestExpired or
/// InvalidSignatureException.
pub fn verify<'a, 'k>(
    request: &SignedRequest<'a>,
    scope: &Scope<'_>,
    now: Timestamp,
    secret_of: impl FnOnce(&str) -> Option<&'k Secret>,
) -> Result<&'a str, ApiError> {
    let header = request
        .value("authorization")
        .ok_or_else(|| unsigned(request))?;
    let authorization = Authorization::parse(header)?;
    let secret = secret_of(authorization.access_key).ok_or_else(|| {
        let message = "The access key is not known here.";
        ApiError::new(ErrorKind::UnrecognizedClient, message)
    })?;
    check_scope(&authorization, scope)?;
    let (date, signed_at) = signing_time(request)?;
    if !date.starts_with(authorization.date) {
        return Err(invalid("The day in Credential is not that of X-Amz-Date."));
    }
    if signed_at.as_ms().abs_diff(now.as_ms()) > SKEW_MS_MAX {
        let message = format!(
            "The request was signed for {date}, but it is {now} s since 1970 here; signatures are \
             good for 15 minutes. Set the clock."
        );
        return Err(ApiError::new(ErrorKind::RequestExpired, message));
    }
    if !authorization
        .signed_headers
        .split(';')
        .any(|name| name == "host")
    {
        return Err(invalid("The header host has to be signed."));
    }
    let key = secret.signing_key(authorization.date, scope);
    for hash in payload_hashes(request)? {
        let text = canonical::canonical_request(request, authorization.signed_headers, &hash)
            .ok_or_else(|| {
                invalid("SignedHeaders names a header that the request does not have.")
            })?;
        let Scope { region, service } = scope;
        let day = authorization.date;
        let signed = format!(
            "{ALGORITHM}\n{date}\n{day}/{region}/{service}/aws4_request\n{}",
            hex(digest::digest(&digest::SHA256, &text).as_ref())
        );
        // Compares in constant time.
        if hmac::verify(&key, signed.as_bytes(), &authorization.signature).is_ok() {
            return Ok(authorization.access_key);
        }
    }
    Err(invalid(
        "The request signature we calculated does not match the one you provided. Check the \
         secret key, and that nothing on the way changes the request.",
    ))
}

/// Signed URLs are refused by name, so that nobody looks for a fault in the signature.
fn unsigned(request: &SignedRequest<'_>) -> ApiError {
    let message = if request.query.contains("X-Amz-Signature=") {
        "A signature in the query is not taken; send it in the header Authorization."
    } else {
        "The request is not signed; sign it with Signature Version 4."
    };
    ApiError::new(ErrorKind::MissingAuthenticationToken, message)
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(ErrorKind::InvalidSignature, message)
}

fn check_scope(authorization: &Authorization<'_>, scope: &Scope<'_>) -> Result<(), ApiError> {
    if authorization.region != scope.region {
        return Err(invalid(&format!(
            "Credential should be scoped to a valid region. This server's is {}.",
            scope.region
        )));
    }
    if authorization.service != scope.service {
        return Err(invalid(&format!(
            "Credential should be scoped to the service {}.",
            scope.service
        )));
    }
    Ok(())
}

/// The instant that the signature names, as it is spelled and as it is meant.
fn signing_time<'a>(request: &SignedRequest<'a>) -> Result<(&'a str, Timestamp), ApiError> {
    let parse = || {
        let text = std::str::from_utf8(request.value("x-amz-date")?).ok()?;
        Some((text, Timestamp::from_ms(calendar::parse_basic(text)?)))
    };
    parse().ok_or_else(|| {
        let message = "The header X-Amz-Date is missing or not like 20150830T123600Z.";
        ApiError::new(ErrorKind::IncompleteSignature, message)
    })
}

/// What the client may have put for the hash of the body, likeliest first.
fn payload_hashes(request: &SignedRequest<'_>) -> Result<Vec<Vec<u8>>, ApiError> {
    let hash = |body: &[u8]| hex(digest::digest(&digest::SHA256, body).as_ref()).into_bytes();
    match (request.payload, request.value(PAYLOAD_HASH_HEADER)) {
        (Payload::Whole(body), None) => Ok(vec![hash(body)]),
        (Payload::Whole(body), Some(claimed)) => {
            let actual = hash(body);
            if claimed == actual {
                Ok(vec![actual])
            } else {
                Err(invalid(
                    "The header x-amz-content-sha256 is not the SHA-256 of the body.",
                ))
            }
        }
        (Payload::Stream, None) => Ok(vec![hash(b""), UNSIGNED_PAYLOAD.to_vec()]),
        (Payload::Stream, Some(claimed)) => Ok(vec![claimed.to_vec()]),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headers of a PutMedia as AWS's C client signs them, hop-by-hop ones included.
    const HEADERS: [(&str, &str); 6] = [
        ("Host", "127.0.0.1"),
        ("connection", " keep-alive"),
        ("transfer-encoding", "chunked"),
        ("X-Amz-Date", "20150830T123600Z"),
        ("x-amz-security-token", ""),
        ("x-amzn-stream-name", "cam"),
    ];
    const SIGNED: &str = "connection;host;transfer-encoding;x-amz-date;x-amzn-stream-name";
    const SIGNED_HASH: &str = "host;x-amz-content-sha256;x-amz-date;x-amzn-stream-name";
    // Computed with Python's hmac and hashlib.
    const OF_NOTHING: &str = "344e8770c59015f3c9d3fcefaf741c3cb141b03e40ee23667f22df1fc247aa74";
    const OF_UNSIGNED: &str = "63011e06249769e14b0045f4191b59a63435438163b0a4e8eba9234f24dfa3a1";
    const OF_HEADER: &str = "b8646058fd5f7c9051697aab4cdc97a02e13d2c714bc15c078ae829f0a03a0bf";

    fn put_media(
        signed: &str,
        signature: &str,
        extra: Option<(&str, &str)>,
        payload: Payload<'_>,
    ) -> Result<(), ErrorKind> {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={signed}, Signature={signature}"
        );
        let all = HEADERS.into_iter().chain(extra);
        let mut headers: Vec<_> = all.map(|(name, value)| (name, value.as_bytes())).collect();
        headers.push(("authorization", authorization.as_bytes()));
        let (method, path) = ("POST", "/putMedia");
        let request = SignedRequest {
            method,
            path,
            query: "",
            headers: &headers,
            payload,
        };
        let scope = Scope {
            region: "us-east-1",
            service: "service",
        };
        let now = Timestamp::from_ms(1_440_938_160_000);
        let verified = verify(&request, &scope, now, |_| Some(&secret));
        verified.map(|_| ()).map_err(|error| error.kind())
    }

    #[test]
    fn a_stream_is_signed_as_nothing_or_as_unsigned() {
        let verify = |signature| put_media(SIGNED, signature, None, Payload::Stream);
        assert_eq!(verify(OF_NOTHING), Ok(()));
        assert_eq!(verify(OF_UNSIGNED), Ok(()));
        assert_eq!(verify(OF_HEADER), Err(ErrorKind::InvalidSignature));
    }

    #[test]
    fn a_hash_that_the_client_names_is_the_one() {
        let unsigned = Some(("x-amz-content-sha256", "UNSIGNED-PAYLOAD"));
        let verify = |signed, signature| put_media(signed, signature, unsigned, Payload::Stream);
        assert_eq!(verify(SIGNED_HASH, OF_HEADER), Ok(()));
        assert_eq!(verify(SIGNED, OF_NOTHING), Err(ErrorKind::InvalidSignature));
    }

    #[test]
    fn a_body_with_an_end_is_always_signed() {
        let whole = Payload::Whole(b"{}");
        let unsigned = Some(("x-amz-content-sha256", "UNSIGNED-PAYLOAD"));
        let refused = Err(ErrorKind::InvalidSignature);
        assert_eq!(put_media(SIGNED, OF_UNSIGNED, None, whole), refused);
        assert_eq!(put_media(SIGNED_HASH, OF_HEADER, unsigned, whole), refused);
    }
}

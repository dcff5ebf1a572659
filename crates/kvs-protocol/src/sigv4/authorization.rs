//! The Authorization header, taken apart.

use crate::{ApiError, ErrorKind};

/// The one algorithm there is.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The algorithm, `Credential=KEY/DATE/REGION/SERVICE/aws4_request`, `SignedHeaders=a;b` and
/// `Signature=HEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authorization<'a> {
    pub(super) access_key: &'a str,
    /// Eight digits.
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// Lower-case names joined by semicolons.
    pub(super) signed_headers: &'a str,
    pub(super) signature: [u8; 32],
}

impl<'a> Authorization<'a> {
    pub(super) fn parse(header: &'a [u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(header).map_err(|_| incomplete("it is not a text"))?;
        let parameters = text
            .trim_ascii()
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or_else(|| incomplete("it does not begin with AWS4-HMAC-SHA256"))?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for parameter in parameters.split(',') {
            let (name, value) = parameter
                .trim_matches(' ')
                .split_once('=')
                .ok_or_else(|| incomplete("a parameter has no value"))?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(incomplete("it has a parameter that is not known")),
            };
            if place.replace(value).is_some() {
                return Err(incomplete("it has a parameter twice"));
            }
        }
        let missing = |name| move || incomplete(&format!("it has no parameter {name}"));
        let credential = credential.ok_or_else(missing("Credential"))?;
        let signed_headers = signed_headers.ok_or_else(missing("SignedHeaders"))?;
        let signature = signature.ok_or_else(missing("Signature"))?;
        if !is_header_list(signed_headers) {
            return Err(incomplete(
                "SignedHeaders is not a sorted list of lower-case names",
            ));
        }
        let (access_key, date, region, service) =
            parse_credential(credential).ok_or_else(|| {
                incomplete("Credential is not KEY/YYYYMMDD/REGION/SERVICE/aws4_request")
            })?;
        Ok(Self {
            access_key,
            date,
            region,
            service,
            signed_headers,
            signature: parse_hex(signature)
                .ok_or_else(|| incomplete("Signature is not 64 lower-case hexadecimal digits"))?,
        })
    }
}

fn incomplete(why: &str) -> ApiError {
    let message = format!("The Authorization header is malformed: {why}.");
    ApiError::new(ErrorKind::IncompleteSignature, message)
}

fn parse_credential(credential: &str) -> Option<(&str, &str, &str, &str)> {
    let mut parts = credential.split('/');
    let mut next = || parts.next().filter(|part| !part.is_empty());
    let (access_key, date, region, service) = (next()?, next()?, next()?, next()?);
    let valid = next() == Some("aws4_request")
        && parts.next().is_none()
        && date.len() == 8
        && date.bytes().all(|byte| byte.is_ascii_digit());
    valid.then_some((access_key, date, region, service))
}

/// Strictly ascending, so that no header is named twice.
fn is_header_list(names: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
    };
    names.split(';').all(is_name) && names.split(';').is_sorted_by(|a, b| a < b)
}

fn parse_hex(digits: &str) -> Option<[u8; 32]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIAL: &str = "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
    const HEADERS: &str = "SignedHeaders=host;x-amz-date";

    #[test]
    fn order_and_blanks_do_not_matter() {
        let signature = format!("Signature={}", "0f".repeat(32));
        let expected = Authorization {
            access_key: "AKIDEXAMPLE",
            date: "20150830",
            region: "us-east-1",
            service: "service",
            signed_headers: "host;x-amz-date",
            signature: [0x0f; 32],
        };
        for header in [
            format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}, {signature}"),
            format!("{ALGORITHM} {signature},{CREDENTIAL},  {HEADERS} "),
        ] {
            assert_eq!(
                Authorization::parse(header.as_bytes()),
                Ok(expected),
                "{header}"
            );
        }
    }

    #[test]
    fn each_fault_is_named() {
        let signature = format!("Signature={}", "0f".repeat(32));
        for (header, says) in [
            (String::new(), "does not begin"),
            ("Bearer abc".to_owned(), "does not begin"),
            (
                format!("{ALGORITHM} {HEADERS}, {signature}"),
                "no parameter Credential",
            ),
            (
                format!("{ALGORITHM} {CREDENTIAL}, {signature}"),
                "no parameter SignedHeaders",
            ),
            (
                format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}"),
                "no parameter Signature",
            ),
            (
                format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}, {signature}, {HEADERS}"),
                "twice",
            ),
            (
                format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}, {signature}, A=b"),
                "not known",
            ),
            (
                format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}, Signature=abc"),
                "Signature is not",
            ),
            (
                format!("{ALGORITHM} {CREDENTIAL}/x, {HEADERS}, {signature}"),
                "Credential is not",
            ),
            (
                format!("{ALGORITHM} {CREDENTIAL}, SignedHeaders=x;host, {signature}"),
                "sorted",
            ),
            (
                format!("{ALGORITHM} {CREDENTIAL}, SignedHeaders=Host, {signature}"),
                "sorted",
            ),
            (
                format!("{ALGORITHM} {CREDENTIAL}, SignedHeaders=, {signature}"),
                "sorted",
            ),
        ] {
            let error = Authorization::parse(header.as_bytes()).expect_err(&header);
            assert_eq!(error.kind(), ErrorKind::IncompleteSignature);
            assert!(error.message().contains(says), "{header}: {error}");
        }
    }
}

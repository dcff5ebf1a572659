//! The canonical request: the one spelling of a request that both sides hash.

use super::SignedRequest;

/// Spells the request with these signed headers; `None` if one of them is not there.
///
/// The path is encoded once more as it came, not resolved: all operations have fixed paths.
pub(super) fn canonical_request(
    request: &SignedRequest<'_>,
    signed_headers: &str,
    payload_hash: &[u8],
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(1024);
    let mut line = |text: &[u8]| {
        out.extend_from_slice(text);
        out.push(b'\n');
    };
    line(request.method.as_bytes());
    line(&encode(request.path.bytes(), true));
    line(&canonical_query(request.query));
    for name in signed_headers.split(';') {
        line(&canonical_header(request, name)?);
    }
    line(b"");
    line(signed_headers.as_bytes());
    out.extend_from_slice(payload_hash);
    Some(out)
}

/// `name:value`, values of one name joined by commas.
fn canonical_header(request: &SignedRequest<'_>, name: &str) -> Option<Vec<u8>> {
    let mut values = request.values(name).peekable();
    values.peek()?;
    let mut line = name.as_bytes().to_vec();
    for (index, value) in values.enumerate() {
        line.push(if index == 0 { b':' } else { b',' });
        let words = value
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            if index > 0 {
                line.push(b' ');
            }
            line.extend_from_slice(word);
        }
    }
    Some(line)
}

/// Parameters sorted by encoded name, then value.
fn canonical_query(query: &str) -> Vec<u8> {
    let mut parameters: Vec<_> = query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (encode(decode(name), false), encode(decode(value), false))
        })
        .collect();
    parameters.sort_unstable();
    let spelled: Vec<_> = parameters
        .into_iter()
        .map(|(name, value)| [name, value].join(&b'='))
        .collect();
    spelled.join(&b'&')
}

/// Percent-encodes all but the unreserved characters of RFC 3986, and the slashes of a path.
fn encode(bytes: impl IntoIterator<Item = u8>, is_path: bool) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            b'/' if is_path => out.push(byte),
            _ => {
                let digit = |value: u8| DIGITS[usize::from(value)];
                out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    out
}

/// Undoes percent-encoding; a percent sign that encodes nothing stands for itself.
fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |high, low| Some((digit(high)? << 4 | digit(low)?) as u8);
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let encoded = match rest {
            &[high, low, ..] if *first == b'%' => pair(high, low),
            _ => None,
        };
        out.push(encoded.unwrap_or(*first));
        bytes = if encoded.is_some() { &rest[2..] } else { rest };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_sorted_by_their_encoded_form() {
        let spelled = |query| String::from_utf8(canonical_query(query)).expect("ASCII");
        assert_eq!(spelled("b=2&a=1&a=0&c"), "a=0&a=1&b=2&c=");
        assert_eq!(spelled("a=%7e%2f&a%=+"), "a=~%2F&a%25=%2B");
        assert_eq!(spelled(""), "");
    }
}

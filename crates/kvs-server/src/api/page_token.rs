//! Tokens that go on where a page ended: opaque to clients, checked when they come back.
//!
//! A token is text in hexadecimal, which keeps to the letters that the service model allows.

use kvs_protocol::{ApiError, FragmentParts};

use crate::store::{FragmentInfo, Query, StreamId, TimeOrigin};

/// The token of a ListStreams page that ended with `name`, all names beginning with `prefix`.
pub(super) fn of_streams(name: &str, prefix: &str) -> String {
    to_hex(&format!("{}:{name}", prefix.len()))
}

/// The last name of the page before, which was for this prefix.
pub(super) fn streams_after(token: &str, prefix: &str) -> Result<String, ApiError> {
    let read = || {
        let text = from_hex(token)?;
        let (prefix_len, name) = text.split_once(':')?;
        let same = prefix_len.parse() == Ok(prefix.len()) && name.starts_with(prefix);
        same.then(|| name.to_owned())
    };
    read().ok_or_else(|| wrong("StreamNameCondition"))
}

/// The token of a ListFragments page that ended with `last`.
pub(super) fn of_fragments(stream: StreamId, query: &Query, last: &FragmentInfo) -> String {
    let origin = match query.origin {
        TimeOrigin::Server => 's',
        TimeOrigin::Producer => 'p',
    };
    let FragmentParts {
        sequence,
        server_ms,
        random,
    } = last.number;
    to_hex(&format!(
        "{} {origin} {} {} {sequence} {server_ms} {random} {}",
        stream.0, query.from_ms, query.to_ms, last.producer_ms
    ))
}

/// The query that goes on after that page, which was of this stream; it is that page's.
pub(super) fn fragments_after(
    token: &str,
    stream: StreamId,
    limit: usize,
) -> Result<Query, ApiError> {
    let read = || {
        let text = from_hex(token)?;
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let of_stream = number()?;
        let origin = match words.next()? {
            "s" => TimeOrigin::Server,
            "p" => TimeOrigin::Producer,
            _ => return None,
        };
        let mut number = || words.next()?.parse::<u64>().ok();
        let (from_ms, to_ms) = (number()?, number()?);
        let parts = FragmentParts {
            sequence: number()?,
            server_ms: number()?,
            random: u32::try_from(number()?).ok()?,
        };
        let last = FragmentInfo {
            number: parts,
            producer_ms: number()?,
            length_ms: 0,
            bytes: 0,
        };
        let whole = words.next().is_none() && of_stream == u64::from(stream.0);
        whole.then_some(Query {
            origin,
            from_ms,
            to_ms,
            after: Some(last),
            limit,
        })
    };
    read().ok_or_else(|| wrong("stream"))
}

fn wrong(of: &str) -> ApiError {
    ApiError::invalid_argument(format!(
        "NextToken is not that of a page of this {of}; pass the last page's, unchanged."
    ))
}

fn to_hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(hex: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect();
    String::from_utf8(bytes.filter(|_| rest.is_empty())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_streams_holds_for_its_condition_only() {
        let token = of_streams("cam-1", "cam-");
        assert_eq!(streams_after(&token, "cam-").expect("the same"), "cam-1");
        for prefix in ["", "cam", "cam-1", "door"] {
            assert!(streams_after(&token, prefix).is_err(), "{prefix}");
        }
        assert!(of_streams(&"n".repeat(256), &"n".repeat(256)).len() <= 1024);
    }

    #[test]
    fn a_token_of_fragments_holds_for_its_stream_only() {
        let number = FragmentParts {
            sequence: 1,
            server_ms: 2,
            random: 3,
        };
        let last = FragmentInfo {
            number,
            producer_ms: 4,
            length_ms: 0,
            bytes: 0,
        };
        let query = Query {
            origin: TimeOrigin::Producer,
            from_ms: 5,
            to_ms: 6,
            after: None,
            limit: 7,
        };
        let token = of_fragments(StreamId(8), &query, &last);
        let read = fragments_after(&token, StreamId(8), 9).expect("the same");
        assert_eq!((read.from_ms, read.to_ms, read.limit), (5, 6, 9));
        assert_eq!(read.after, Some(last));
        assert!(fragments_after(&token, StreamId(7), 9).is_err());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for token in [
            "",
            "0",
            "zz",
            "ff",
            "é0",
            "+1",
            &to_hex("1 s 2"),
            &to_hex("9:x"),
        ] {
            assert!(streams_after(token, "x").is_err(), "{token}");
            assert!(fragments_after(token, StreamId(1), 1).is_err(), "{token}");
        }
    }
}

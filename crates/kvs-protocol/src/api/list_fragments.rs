//! ListFragments: lists stored fragments, page by page.

use serde::{Deserialize, Serialize};

use super::{StreamRef, members};
use crate::{ApiError, FragmentNumber, Timestamp};

const MAX_RESULTS_MAX: usize = 1000;
/// The size of a page that AWS does not publish; ours.
const MAX_RESULTS_DEFAULT: usize = 100;
const NEXT_TOKEN_BYTES_MAX: usize = 4096;

/// A request for a page of fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFragments {
    /// The stream.
    pub stream: StreamRef,
    /// How many fragments a page may have.
    pub max_results: usize,
    /// Where the page before ended, as its response said. There is this, or a selector, or both.
    pub next_token: Option<String>,
    /// Which fragments.
    pub selector: Option<FragmentSelector>,
}

/// Fragments that start within a range of time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentSelector {
    /// Whose clock the range is by.
    pub origin: TimestampOrigin,
    /// The earliest start.
    pub start: Timestamp,
    /// The latest start; not before `start`.
    pub end: Timestamp,
}

/// Whose clock a timestamp is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum TimestampOrigin {
    /// The producer's.
    #[serde(rename = "PRODUCER_TIMESTAMP")]
    Producer,
    /// The server's.
    #[serde(rename = "SERVER_TIMESTAMP")]
    Server,
}

/// The response to [`ListFragments`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedFragments {
    /// The fragments of this page, in no order that a client could rely on.
    pub fragments: Vec<ListedFragment>,
    /// Asks for the next page; none on the last one.
    pub next_token: Option<String>,
}

/// A stored fragment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedFragment {
    /// Its number.
    pub fragment_number: FragmentNumber,
    /// Its size, with its metadata.
    pub fragment_size_in_bytes: u64,
    /// When it starts by the producer's clock.
    pub producer_timestamp: Timestamp,
    /// When its first byte arrived by the server's clock.
    pub server_timestamp: Timestamp,
    /// From the time of its first frame to that of its last; the last one's duration not counted.
    pub fragment_length_in_milliseconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    max_results: Option<i64>,
    next_token: Option<String>,
    fragment_selector: Option<SelectorMembers>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelectorMembers {
    fragment_selector_type: Option<TimestampOrigin>,
    timestamp_range: Option<RangeMembers>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RangeMembers {
    start_timestamp: Option<Timestamp>,
    end_timestamp: Option<Timestamp>,
}

impl ListFragments {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = StreamRef::read::<Members>(body)?;
        let next_token = members::next_token(members.next_token, NEXT_TOKEN_BYTES_MAX)?;
        let selector = members
            .fragment_selector
            .map(SelectorMembers::resolve)
            .transpose()?;
        if next_token.is_none() && selector.is_none() {
            return Err(ApiError::invalid_argument(
                "Neither FragmentSelector nor NextToken is given; one is required.",
            ));
        }
        Ok(Self {
            stream,
            max_results: members::max_results(
                members.max_results,
                MAX_RESULTS_MAX,
                MAX_RESULTS_DEFAULT,
            )?,
            next_token,
            selector,
        })
    }
}

impl SelectorMembers {
    fn resolve(self) -> Result<FragmentSelector, ApiError> {
        let range = members::required("TimestampRange", self.timestamp_range)?;
        let selector = FragmentSelector {
            origin: members::required("FragmentSelectorType", self.fragment_selector_type)?,
            start: members::required("StartTimestamp", range.start_timestamp)?,
            end: members::required("EndTimestamp", range.end_timestamp)?,
        };
        if selector.end < selector.start {
            return Err(ApiError::invalid_argument(format!(
                "EndTimestamp {} is before StartTimestamp {}.",
                selector.end, selector.start
            )));
        }
        Ok(selector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(members: &str) -> Result<ListFragments, ApiError> {
        ListFragments::parse(format!(r#"{{"StreamName":"a"{members}}}"#).as_bytes())
    }

    fn selector(start: &str, end: &str) -> String {
        format!(
            r#","FragmentSelector":{{"FragmentSelectorType":"SERVER_TIMESTAMP",
               "TimestampRange":{{"StartTimestamp":{start},"EndTimestamp":{end}}}}}"#
        )
    }

    #[test]
    fn a_range_or_a_token_is_needed() {
        let request = parse(&selector("1.5", "2")).expect("valid");
        assert_eq!(
            request.selector,
            Some(FragmentSelector {
                origin: TimestampOrigin::Server,
                start: Timestamp::from_ms(1500),
                end: Timestamp::from_ms(2000),
            })
        );
        assert_eq!(request.max_results, 100);
        assert!(
            parse(r#","NextToken":"abc=""#)
                .expect("valid")
                .selector
                .is_none()
        );
        assert!(parse("").is_err());
        assert!(parse(r#","NextToken":"""#).is_err());
    }

    #[test]
    fn each_violation_says_what_is_wrong() {
        for (members, says) in [
            (
                selector("2", "1"),
                "EndTimestamp 1.000 is before StartTimestamp 2.000",
            ),
            (selector("null", "1"), "StartTimestamp is missing"),
            (selector("1", "null"), "EndTimestamp is missing"),
            (
                selector("1", "\"soon\""),
                "a timestamp is a number of seconds since 1970",
            ),
            (
                r#","FragmentSelector":{}"#.to_owned(),
                "TimestampRange is missing",
            ),
            (
                selector("1", "2") + r#","MaxResults":1001"#,
                "from 1 to 1000",
            ),
        ] {
            let error = parse(&members).expect_err(&members);
            assert!(error.message().contains(says), "{members}: {error}");
        }
    }

    #[test]
    fn the_response_has_the_members_of_the_service() {
        let fragment = ListedFragment {
            fragment_number: "42".parse().expect("digits"),
            fragment_size_in_bytes: 1,
            producer_timestamp: Timestamp::from_ms(2500),
            server_timestamp: Timestamp::from_ms(3001),
            fragment_length_in_milliseconds: 4,
        };
        let page = ListedFragments {
            fragments: vec![fragment],
            next_token: None,
        };
        assert_eq!(
            serde_json::to_string(&page).expect("serialisable"),
            "{\"Fragments\":[{\"FragmentNumber\":\"42\",\"FragmentSizeInBytes\":1,\
             \"ProducerTimestamp\":2.5,\"ServerTimestamp\":3.001,\
             \"FragmentLengthInMilliseconds\":4}],\"NextToken\":null}"
        );
    }
}

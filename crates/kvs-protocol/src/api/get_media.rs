//! GetMedia: gives media out from a fragment on.

use serde::Deserialize;

use super::{StreamRef, TimestampOrigin, members};
use crate::{ApiError, FragmentNumber, Timestamp};

/// A request for media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMedia {
    /// The stream.
    pub stream: StreamRef,
    /// Where to begin.
    pub start: StartSelector,
}

/// Which fragment is the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartSelector {
    /// NOW: the fragment that is being received, else the next one.
    Now,
    /// EARLIEST: the oldest one there is.
    Earliest,
    /// FRAGMENT_NUMBER: the one after this number, which need not exist.
    After(FragmentNumber),
    /// CONTINUATION_TOKEN: the one after the chunk that carried this token, its fragment's number.
    Continue(FragmentNumber),
    /// SERVER_TIMESTAMP or PRODUCER_TIMESTAMP: the one that contains this instant, else the next.
    At(TimestampOrigin, Timestamp),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    start_selector: Option<SelectorMembers>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelectorMembers {
    start_selector_type: Option<SelectorType>,
    after_fragment_number: Option<FragmentNumber>,
    start_timestamp: Option<Timestamp>,
    continuation_token: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum SelectorType {
    Now,
    Earliest,
    FragmentNumber,
    ServerTimestamp,
    ProducerTimestamp,
    ContinuationToken,
}

impl GetMedia {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = StreamRef::read::<Members>(body)?;
        Ok(Self {
            stream,
            start: members::required("StartSelector", members.start_selector)?.resolve()?,
        })
    }
}

impl SelectorMembers {
    fn resolve(self) -> Result<StartSelector, ApiError> {
        let timestamp = |origin| {
            let at = members::required("StartTimestamp", self.start_timestamp)?;
            Ok(StartSelector::At(origin, at))
        };
        match members::required("StartSelectorType", self.start_selector_type)? {
            SelectorType::Now => Ok(StartSelector::Now),
            SelectorType::Earliest => Ok(StartSelector::Earliest),
            SelectorType::ServerTimestamp => timestamp(TimestampOrigin::Server),
            SelectorType::ProducerTimestamp => timestamp(TimestampOrigin::Producer),
            SelectorType::FragmentNumber => {
                members::required("AfterFragmentNumber", self.after_fragment_number)
                    .map(StartSelector::After)
            }
            SelectorType::ContinuationToken => {
                let token = members::required("ContinuationToken", self.continuation_token)?;
                token.parse().map(StartSelector::Continue).map_err(|_| {
                    ApiError::invalid_argument(
                        "ContinuationToken is not one of this service's; pass the one of the last \
                         chunk, unchanged.",
                    )
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(selector: &str) -> Result<StartSelector, ApiError> {
        let body = format!(r#"{{"StreamName":"a","StartSelector":{{{selector}}}}}"#);
        GetMedia::parse(body.as_bytes()).map(|request| request.start)
    }

    #[test]
    fn all_six_selectors() {
        let number: FragmentNumber = "91343852333181432392682062607743920146159169392"
            .parse()
            .expect("digits");
        let at = Timestamp::from_ms(1_704_164_645_678);
        for (selector, start) in [
            (
                r#""StartSelectorType":"NOW""#.to_owned(),
                StartSelector::Now,
            ),
            (
                r#""StartSelectorType":"EARLIEST""#.to_owned(),
                StartSelector::Earliest,
            ),
            (
                format!(
                    r#""StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"{number}""#
                ),
                StartSelector::After(number.clone()),
            ),
            (
                format!(
                    r#""StartSelectorType":"CONTINUATION_TOKEN","ContinuationToken":"{number}""#
                ),
                StartSelector::Continue(number.clone()),
            ),
            (
                format!(r#""StartSelectorType":"SERVER_TIMESTAMP","StartTimestamp":{at}"#),
                StartSelector::At(TimestampOrigin::Server, at),
            ),
            (
                format!(r#""StartSelectorType":"PRODUCER_TIMESTAMP","StartTimestamp":{at}"#),
                StartSelector::At(TimestampOrigin::Producer, at),
            ),
        ] {
            assert_eq!(parse(&selector), Ok(start), "{selector}");
        }
    }

    #[test]
    fn the_companion_of_a_selector_is_asked_for() {
        for (selector, companion) in [
            ("", "StartSelectorType"),
            (
                r#""StartSelectorType":"FRAGMENT_NUMBER""#,
                "AfterFragmentNumber",
            ),
            (
                r#""StartSelectorType":"CONTINUATION_TOKEN""#,
                "ContinuationToken",
            ),
            (
                r#""StartSelectorType":"SERVER_TIMESTAMP""#,
                "StartTimestamp",
            ),
            (
                r#""StartSelectorType":"PRODUCER_TIMESTAMP""#,
                "StartTimestamp",
            ),
            (r#""StartSelectorType":"LATEST""#, "`EARLIEST`"),
            (
                r#""StartSelectorType":"CONTINUATION_TOKEN","ContinuationToken":"x""#,
                "unchanged",
            ),
        ] {
            let error = parse(selector).expect_err(selector);
            assert!(error.message().contains(companion), "{selector}: {error}");
        }
    }
}

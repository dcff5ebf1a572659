//! ListStreams: lists the streams, page by page.

use serde::{Deserialize, Serialize};

use super::{StreamInfo, members};
use crate::{ApiError, StreamName};

const MAX_RESULTS_MAX: usize = 10_000;
pub(super) const NEXT_TOKEN_BYTES_MAX: usize = 1024;

/// A request for a page of streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStreams {
    /// How many streams a page may have.
    pub max_results: usize,
    /// Where the page before ended, as its response said.
    pub next_token: Option<String>,
    /// Only streams whose names begin so. A prefix has the rules of a name.
    pub name_prefix: Option<StreamName>,
}

/// The response to [`ListStreams`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedStreams {
    /// The streams of this page.
    pub stream_info_list: Vec<StreamInfo>,
    /// Asks for the next page; none on the last one.
    pub next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    max_results: Option<i64>,
    next_token: Option<String>,
    stream_name_condition: Option<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    #[expect(dead_code, reason = "there is one operator; only its name is checked")]
    comparison_operator: Option<Operator>,
    comparison_value: Option<StreamName>,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Operator {
    BeginsWith,
}

impl ListStreams {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let members: Members = members::read(body)?;
        Ok(Self {
            max_results: members::max_results(
                members.max_results,
                MAX_RESULTS_MAX,
                MAX_RESULTS_MAX,
            )?,
            next_token: members::next_token(members.next_token, NEXT_TOKEN_BYTES_MAX)?,
            name_prefix: members
                .stream_name_condition
                .and_then(|condition| condition.comparison_value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_request_asks_for_everything() {
        for body in ["", "{}", r#"{"StreamNameCondition":{}}"#] {
            let request = ListStreams::parse(body.as_bytes()).expect(body);
            assert_eq!(
                request,
                ListStreams {
                    max_results: 10_000,
                    next_token: None,
                    name_prefix: None
                }
            );
        }
    }

    #[test]
    fn there_is_one_operator() {
        let body = |operator| {
            format!(
                r#"{{"StreamNameCondition":
                   {{"ComparisonOperator":"{operator}","ComparisonValue":"cam-"}}}}"#
            )
        };
        let request = ListStreams::parse(body("BEGINS_WITH").as_bytes()).expect("valid");
        assert_eq!(request.name_prefix.expect("given").as_str(), "cam-");
        let error = ListStreams::parse(body("ENDS_WITH").as_bytes()).expect_err("unknown");
        assert!(error.message().contains("`BEGINS_WITH`"), "{error}");
    }
}

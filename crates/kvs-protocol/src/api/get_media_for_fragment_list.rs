//! GetMediaForFragmentList: gives out the media of the fragments named.

use serde::Deserialize;

use super::{StreamRef, members};
use crate::{ApiError, FragmentNumber};

/// A request names no more fragments.
pub const FRAGMENTS_MAX: usize = 1000;

/// A request for the media of some fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMediaForFragmentList {
    /// The stream.
    pub stream: StreamRef,
    /// The fragments, in the order of the response.
    pub fragments: Vec<FragmentNumber>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    fragments: Option<Vec<FragmentNumber>>,
}

impl GetMediaForFragmentList {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = StreamRef::read::<Members>(body)?;
        let fragments = members::required("Fragments", members.fragments)?;
        if !(1..=FRAGMENTS_MAX).contains(&fragments.len()) {
            return Err(ApiError::invalid_argument(format!(
                "Fragments has {} members; it has to have from 1 to {FRAGMENTS_MAX}.",
                fragments.len()
            )));
        }
        Ok(Self { stream, fragments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_on_both_sides() {
        let parse = |count: usize| {
            let numbers = vec!["\"42\""; count].join(",");
            let body = format!(r#"{{"StreamName":"a","Fragments":[{numbers}]}}"#);
            GetMediaForFragmentList::parse(body.as_bytes())
        };
        assert_eq!(parse(1).expect("valid").fragments.len(), 1);
        assert_eq!(parse(1000).expect("valid").fragments.len(), 1000);
        for count in [0, 1001] {
            let error = parse(count).expect_err("out of bounds");
            assert!(error.message().contains("from 1 to 1000"), "{error}");
        }
    }
}

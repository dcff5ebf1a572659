//! DeleteStream: deletes a stream with all its fragments.

use serde::Deserialize;

use super::members;
use crate::{ApiError, StreamArn, Version};

/// A request to delete a stream. It is always named by ARN, so that no namesake dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteStream {
    /// The stream.
    pub stream_arn: StreamArn,
    /// Deletes only if the metadata still has this version.
    pub current_version: Option<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<StreamArn>,
    current_version: Option<Version>,
}

impl DeleteStream {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let members: Members = members::read(body)?;
        Ok(Self {
            stream_arn: members::required("StreamARN", members.stream_arn)?,
            current_version: members.current_version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_enough() {
        let error = DeleteStream::parse(br#"{"StreamName":"a"}"#).expect_err("no ARN");
        assert_eq!(error.message(), "StreamARN is missing; it is required.");
    }
}

//! DescribeStreamStorageConfiguration, UpdateStreamStorageConfiguration: how fast stored fragments
//! have to be at hand.

use serde::{Deserialize, Serialize};

use super::{StorageTier, StreamRef, members};
use crate::{ApiError, StreamArn, StreamName, Version};

/// A request to change the tier of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateStreamStorage {
    /// The stream.
    pub stream: StreamRef,
    /// Changes it only if the metadata still has this version.
    pub current_version: Version,
    /// The new one.
    pub storage_tier: StorageTier,
}

/// The response to a request for the tier.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribedStreamStorage {
    /// The stream's name.
    pub stream_name: StreamName,
    /// Its ARN.
    #[serde(rename = "StreamARN")]
    pub stream_arn: StreamArn,
    /// Its tier.
    pub stream_storage_configuration: StorageConfiguration,
}

/// A tier, as it stands in requests and responses.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StorageConfiguration {
    /// The tier.
    pub default_storage_tier: StorageTier,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    current_version: Option<Version>,
    stream_storage_configuration: Option<StorageConfiguration>,
}

impl UpdateStreamStorage {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = StreamRef::read::<Members>(body)?;
        let configuration = members::required(
            "StreamStorageConfiguration",
            members.stream_storage_configuration,
        )?;
        Ok(Self {
            stream,
            current_version: members::required("CurrentVersion", members.current_version)?,
            storage_tier: configuration.default_storage_tier,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_is_needed() {
        let parse = |members: &str| {
            UpdateStreamStorage::parse(format!(r#"{{"StreamName":"a",{members}}}"#).as_bytes())
        };
        let whole = parse(
            r#""CurrentVersion":"v","StreamStorageConfiguration":{"DefaultStorageTier":"WARM"}"#,
        );
        assert_eq!(whole.expect("valid").storage_tier, StorageTier::Warm);
        for members in [
            r#""CurrentVersion":"v""#,
            r#""CurrentVersion":"v","StreamStorageConfiguration":{}"#,
            r#""CurrentVersion":"v","StreamStorageConfiguration":{"DefaultStorageTier":"hot"}"#,
            r#""StreamStorageConfiguration":{"DefaultStorageTier":"HOT"}"#,
        ] {
            assert!(parse(members).is_err(), "{members}");
        }
    }
}

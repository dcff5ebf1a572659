//! CreateStream: makes a stream.

use serde::{Deserialize, Serialize};

use super::{ResourceTags, StorageConfiguration, members, resource_tags};
use crate::{ApiError, DeviceName, KmsKeyId, MediaType, StreamArn, StreamName};

/// The longest retention period: ten years.
pub const RETENTION_HOURS_MAX: u32 = 87_600;

/// A request to make a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateStream {
    /// Its name, unique in the account and region.
    pub stream_name: StreamName,
    /// Stored and shown.
    pub device_name: Option<DeviceName>,
    /// What it is going to carry; stored and shown.
    pub media_type: Option<MediaType>,
    /// The key to encrypt with, where it is not the default one.
    pub kms_key_id: Option<KmsKeyId>,
    /// How long fragments are kept; 0 = not stored at all.
    pub retention_hours: u32,
    /// Tags of the new stream.
    pub tags: ResourceTags,
    /// Which storage it asks for.
    pub storage_tier: StorageTier,
}

/// How fast stored fragments have to be at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StorageTier {
    /// At once.
    #[default]
    Hot,
    /// Cheaper.
    Warm,
}

/// The response to [`CreateStream`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreatedStream {
    /// The ARN of the new stream.
    #[serde(rename = "StreamARN")]
    pub stream_arn: StreamArn,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    stream_name: Option<StreamName>,
    device_name: Option<DeviceName>,
    media_type: Option<MediaType>,
    kms_key_id: Option<KmsKeyId>,
    data_retention_in_hours: Option<i64>,
    tags: Option<ResourceTags>,
    stream_storage_configuration: Option<StorageConfiguration>,
}

impl CreateStream {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let members: Members = members::read(body)?;
        let wanted = members.data_retention_in_hours.unwrap_or(0);
        let retention_hours = u32::try_from(wanted)
            .ok()
            .filter(|&hours| hours <= RETENTION_HOURS_MAX);
        Ok(Self {
            stream_name: members::required("StreamName", members.stream_name)?,
            device_name: members.device_name,
            media_type: members.media_type,
            kms_key_id: members.kms_key_id,
            retention_hours: retention_hours.ok_or_else(|| {
                ApiError::invalid_argument(format!(
                    "DataRetentionInHours is {wanted}; it has to be from 0 to \
                     {RETENTION_HOURS_MAX}."
                ))
            })?,
            tags: resource_tags::check(members.tags.unwrap_or_default())?,
            storage_tier: members
                .stream_storage_configuration
                .map(|storage| storage.default_storage_tier)
                .unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn refused(body: &str) -> ApiError {
        CreateStream::parse(body.as_bytes()).expect_err(body)
    }

    #[test]
    fn the_request_of_awss_own_client_is_read() {
        let body = br#"{
            "DeviceName": "Kinesis_Video_Device",
            "StreamName": "newone",
            "MediaType": "video/h264",
            "DataRetentionInHours": 24
        }"#;
        let request = CreateStream::parse(body).expect("valid");
        assert_eq!(request.stream_name.as_str(), "newone");
        assert_eq!(request.media_type.expect("given").as_str(), "video/h264");
        assert_eq!(request.retention_hours, 24);
    }

    #[test]
    fn null_is_absent_and_unknown_members_are_ignored() {
        let body = br#"{"StreamName":"a","Tags":null,"DeviceName":null,"Colour":{"x":1}}"#;
        let request = CreateStream::parse(body).expect("valid");
        assert_eq!((request.tags.len(), request.device_name), (0, None));
        assert_eq!(
            (request.retention_hours, request.storage_tier),
            (0, StorageTier::Hot)
        );
    }

    #[test]
    fn each_violation_says_what_is_allowed() {
        for (body, says) in [
            ("{}", "StreamName is missing"),
            (
                r#"{"StreamName":"a b"}"#,
                "a stream name has 1 to 256 characters",
            ),
            (
                r#"{"StreamName":"a","DataRetentionInHours":-1}"#,
                "from 0 to 87600",
            ),
            (
                r#"{"StreamName":"a","DataRetentionInHours":87601}"#,
                "from 0 to 87600",
            ),
            (r#"{"StreamName":"a","MediaType":"video"}"#, "type/subtype"),
            (
                r#"{"StreamName":"a","Tags":{"aws:x":""}}"#,
                "no key begins with aws:",
            ),
            (
                r#"{"StreamName":"a","StreamStorageConfiguration":{"DefaultStorageTier":"COLD"}}"#,
                "expected `HOT` or `WARM`",
            ),
            ("[1]", "The request body is invalid"),
            ("{", "The request body is invalid"),
        ] {
            let error = refused(body);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{body}");
            assert!(error.message().contains(says), "{body}: {error}");
        }
    }
}

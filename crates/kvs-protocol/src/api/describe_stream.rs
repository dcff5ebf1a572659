//! DescribeStream: shows a stream's metadata.

use serde::Serialize;

use super::StreamRef;
use crate::{ApiError, DeviceName, KmsKeyId, MediaType, StreamArn, StreamName, Timestamp, Version};

/// A request for a stream's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeStream {
    /// The stream.
    pub stream: StreamRef,
}

/// The response to [`DescribeStream`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribedStream {
    /// The metadata.
    pub stream_info: StreamInfo,
}

/// A stream's metadata.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamInfo {
    /// As given when it was created.
    pub device_name: Option<DeviceName>,
    /// Its name.
    pub stream_name: StreamName,
    /// Its ARN.
    #[serde(rename = "StreamARN")]
    pub stream_arn: StreamArn,
    /// As given when it was created.
    pub media_type: Option<MediaType>,
    /// The key that its fragments are encrypted with.
    pub kms_key_id: KmsKeyId,
    /// Changes whenever the metadata does.
    pub version: Version,
    /// What can be done with it now.
    pub status: StreamStatus,
    /// When it was created.
    pub creation_time: Timestamp,
    /// How long fragments are kept; 0 = not stored at all.
    pub data_retention_in_hours: u32,
}

/// What can be done with a stream now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StreamStatus {
    /// Nothing yet.
    Creating,
    /// Everything.
    Active,
    /// It takes media, but no other change.
    Updating,
    /// Nothing any more.
    Deleting,
}

impl DescribeStream {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, ()) = StreamRef::read(body)?;
        Ok(Self { stream })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_has_the_members_of_the_service() {
        let name: StreamName = "a".parse().expect("a name");
        let arn = "arn:aws:kinesisvideo:us-west-2:000000000000:stream/a/1";
        let described = DescribedStream {
            stream_info: StreamInfo {
                device_name: None,
                stream_name: name,
                stream_arn: arn.parse().expect("an ARN"),
                media_type: Some("video/h264".parse().expect("a media type")),
                kms_key_id: "alias/aws/kinesisvideo".parse().expect("a key"),
                version: "cWNvNr5iIQ1AA8LBuDFE".parse().expect("a version"),
                status: StreamStatus::Active,
                creation_time: Timestamp::from_ms(1_720_751_492_346),
                data_retention_in_hours: 24,
            },
        };
        assert_eq!(
            serde_json::to_string(&described).expect("serialisable"),
            format!(
                "{{\"StreamInfo\":{{\"DeviceName\":null,\"StreamName\":\"a\",\
                 \"StreamARN\":\"{arn}\",\
                 \"MediaType\":\"video/h264\",\"KmsKeyId\":\"alias/aws/kinesisvideo\",\
                 \"Version\":\"cWNvNr5iIQ1AA8LBuDFE\",\"Status\":\"ACTIVE\",\
                 \"CreationTime\":1720751492.346,\"DataRetentionInHours\":24}}}}"
            )
        );
    }

    #[test]
    fn a_stream_has_to_be_named() {
        assert!(DescribeStream::parse(br#"{"StreamName":"a"}"#).is_ok());
        assert!(DescribeStream::parse(br#"{"StreamName":null}"#).is_err());
        assert!(DescribeStream::parse(br#"{"StreamARN":"a"}"#).is_err());
    }
}

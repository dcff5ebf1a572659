//! UpdateStream: changes what a stream says of itself.

use serde::Deserialize;

use super::{StreamRef, members};
use crate::{ApiError, DeviceName, MediaType, Version};

/// A request to change a stream's device name or media type. What is not given stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateStream {
    /// The stream.
    pub stream: StreamRef,
    /// Changes it only if the metadata still has this version.
    pub current_version: Version,
    /// The new one.
    pub device_name: Option<DeviceName>,
    /// The new one.
    pub media_type: Option<MediaType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    current_version: Option<Version>,
    device_name: Option<DeviceName>,
    media_type: Option<MediaType>,
}

impl UpdateStream {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = StreamRef::read::<Members>(body)?;
        Ok(Self {
            stream,
            current_version: members::required("CurrentVersion", members.current_version)?,
            device_name: members.device_name,
            media_type: members.media_type,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_null_stays() {
        let body = br#"{"StreamName":"a","CurrentVersion":"v","DeviceName":null}"#;
        let request = UpdateStream::parse(body).expect("valid");
        assert_eq!((request.device_name, request.media_type), (None, None));
    }

    #[test]
    fn the_version_is_required() {
        let error = UpdateStream::parse(br#"{"StreamName":"a"}"#).expect_err("no version");
        assert_eq!(
            error.message(),
            "CurrentVersion is missing; it is required."
        );
    }
}

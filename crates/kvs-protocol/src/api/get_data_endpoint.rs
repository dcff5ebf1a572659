//! GetDataEndpoint: tells where to send the calls that carry media.

use serde::{Deserialize, Serialize};

use super::{StreamRef, members};
use crate::ApiError;

/// A request for the endpoint of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetDataEndpoint {
    /// The stream.
    pub stream: StreamRef,
    /// The API that is going to be called.
    pub api: DataApi,
}

/// The APIs that are called at a data endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum DataApi {
    /// PutMedia.
    PutMedia,
    /// GetMedia.
    GetMedia,
    /// ListFragments.
    ListFragments,
    /// GetMediaForFragmentList.
    GetMediaForFragmentList,
    /// GetHLSStreamingSessionURL.
    GetHlsStreamingSessionUrl,
    /// GetDASHStreamingSessionURL.
    GetDashStreamingSessionUrl,
    /// GetClip.
    GetClip,
    /// GetImages.
    GetImages,
}

/// The response to [`GetDataEndpoint`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DataEndpoint {
    /// A base URL without path and without a slash at its end.
    pub data_endpoint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    #[serde(rename = "APIName")]
    api_name: Option<DataApi>,
}

impl GetDataEndpoint {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = StreamRef::read::<Members>(body)?;
        Ok(Self {
            stream,
            api: members::required("APIName", members.api_name)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_has_the_name_of_the_service_model() {
        for (name, api) in [
            ("PUT_MEDIA", DataApi::PutMedia),
            ("GET_MEDIA", DataApi::GetMedia),
            ("LIST_FRAGMENTS", DataApi::ListFragments),
            (
                "GET_MEDIA_FOR_FRAGMENT_LIST",
                DataApi::GetMediaForFragmentList,
            ),
            (
                "GET_HLS_STREAMING_SESSION_URL",
                DataApi::GetHlsStreamingSessionUrl,
            ),
            (
                "GET_DASH_STREAMING_SESSION_URL",
                DataApi::GetDashStreamingSessionUrl,
            ),
            ("GET_CLIP", DataApi::GetClip),
            ("GET_IMAGES", DataApi::GetImages),
        ] {
            let body = format!(r#"{{"StreamName":"a","APIName":"{name}"}}"#);
            assert_eq!(
                GetDataEndpoint::parse(body.as_bytes()).expect(name).api,
                api
            );
        }
    }

    #[test]
    fn an_unknown_api_is_refused_with_the_known_ones() {
        let body = br#"{"StreamName":"a","APIName":"PUT_COFFEE"}"#;
        let error = GetDataEndpoint::parse(body).expect_err("unknown");
        assert!(error.message().contains("`PUT_MEDIA`"), "{error}");
    }
}

//! The control plane: streams and their data endpoints.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_kinesisvideo::types::{ApiName, Status};
use tokio::time::Instant;

use crate::clock;
use crate::service::{Service, sdk_client};
use crate::service_error::{ErrorKind, ServiceError};

/// How long a data endpoint is used without asking again; AWS's own clients keep one as long.
const ENDPOINT_TTL: Duration = Duration::from_secs(40 * 60);

/// An API of the data plane, by which a data endpoint is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataApi {
    /// Upload.
    PutMedia,
    /// Live reading.
    GetMedia,
    /// What an archive holds.
    ListFragments,
    /// Media of an archive.
    GetMediaForFragmentList,
}

impl DataApi {
    fn name(self) -> ApiName {
        match self {
            Self::PutMedia => ApiName::PutMedia,
            Self::GetMedia => ApiName::GetMedia,
            Self::ListFragments => ApiName::ListFragments,
            Self::GetMediaForFragmentList => ApiName::GetMediaForFragmentList,
        }
    }
}

/// What the service says about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDescription {
    /// Its ARN.
    pub arn: String,
    /// Whether data can be sent and read now.
    pub status: StreamStatus,
    /// How long data is kept, in hours; 0 is not at all.
    pub retention_hours: u32,
}

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamStatus {
    /// Soon to be active.
    Creating,
    /// In use.
    Active,
    /// A setting is being changed.
    Updating,
    /// Going away; never active again.
    Deleting,
    /// A word that is not known here.
    Other,
}

/// What a stream is created with. Its name is the connection's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewStream {
    /// How long data is kept, in hours; 0 is not at all.
    pub retention_hours: u32,
    /// For example `video/h264,audio/aac`.
    pub media_type: Option<String>,
    /// A device's name; the service keeps it and does not use it.
    pub device_name: Option<String>,
    /// The KMS key; `None` is the service's own.
    pub kms_key_id: Option<String>,
    /// Tags of the stream.
    pub tags: BTreeMap<String, String>,
}

/// Data endpoints by API, each with the time until which it is used.
#[derive(Debug, Default)]
pub(crate) struct EndpointCache(HashMap<DataApi, (String, Instant)>);

impl EndpointCache {
    fn get(&self, api: DataApi, now: Instant) -> Option<String> {
        self.0
            .get(&api)
            .filter(|(_, until)| now < *until)
            .map(|(url, _)| url.clone())
    }

    fn put(&mut self, api: DataApi, url: String, now: Instant) {
        self.0.insert(api, (url, now + ENDPOINT_TTL));
    }
}

impl Service {
    /// Where the control plane is, for errors.
    fn control_place(&self) -> &str {
        self.config().endpoint.as_deref().unwrap_or("AWS")
    }

    /// What the service says about the stream (DescribeStream).
    pub async fn describe_stream(&self) -> Result<StreamDescription, ServiceError> {
        let answer = self
            .control()
            .await?
            .describe_stream()
            .set_stream_name(self.stream().request_name().map(str::to_owned))
            .set_stream_arn(self.stream().arn().map(str::to_owned))
            .send()
            .await
            .map_err(|error| {
                ServiceError::from_sdk("DescribeStream", error).at(self.control_place())
            })?;
        let info = answer
            .stream_info
            .ok_or_else(|| incomplete("DescribeStream", "StreamInfo"))?;
        Ok(StreamDescription {
            arn: info
                .stream_arn
                .ok_or_else(|| incomplete("DescribeStream", "StreamARN"))?,
            status: match info.status {
                Some(Status::Creating) => StreamStatus::Creating,
                Some(Status::Active) => StreamStatus::Active,
                Some(Status::Updating) => StreamStatus::Updating,
                Some(Status::Deleting) => StreamStatus::Deleting,
                _ => StreamStatus::Other,
            },
            retention_hours: info
                .data_retention_in_hours
                .unwrap_or(0)
                .try_into()
                .unwrap_or(0),
        })
    }

    /// Creates the stream (CreateStream) and returns its ARN. It may not be active at once.
    pub async fn create_stream(&self, new: &NewStream) -> Result<String, ServiceError> {
        let retention = i32::try_from(new.retention_hours).unwrap_or(i32::MAX);
        let tags = (!new.tags.is_empty()).then(|| new.tags.clone().into_iter().collect());
        self.control()
            .await?
            .create_stream()
            .stream_name(self.stream().name())
            .data_retention_in_hours(retention)
            .set_media_type(new.media_type.clone())
            .set_device_name(new.device_name.clone())
            .set_kms_key_id(new.kms_key_id.clone())
            .set_tags(tags)
            .send()
            .await
            .map_err(|error| {
                ServiceError::from_sdk("CreateStream", error).at(self.control_place())
            })?
            .stream_arn
            .ok_or_else(|| incomplete("CreateStream", "StreamARN"))
    }

    /// Gives the stream tags (TagStream); others that it has stay.
    pub async fn tag_stream(&self, tags: &BTreeMap<String, String>) -> Result<(), ServiceError> {
        let tags = tags.clone().into_iter().collect();
        self.control()
            .await?
            .tag_stream()
            .set_stream_name(self.stream().request_name().map(str::to_owned))
            .set_stream_arn(self.stream().arn().map(str::to_owned))
            .set_tags(Some(tags))
            .send()
            .await
            .map(drop)
            .map_err(|error| ServiceError::from_sdk("TagStream", error).at(self.control_place()))
    }

    /// The base URL for an API of the data plane (GetDataEndpoint), kept for 40 minutes.
    pub async fn data_endpoint(&self, api: DataApi) -> Result<String, ServiceError> {
        if let Some(url) = self.endpoints().get(api, clock::monotonic()) {
            return Ok(url);
        }
        let url = self
            .control()
            .await?
            .get_data_endpoint()
            .set_stream_name(self.stream().request_name().map(str::to_owned))
            .set_stream_arn(self.stream().arn().map(str::to_owned))
            .api_name(api.name())
            .send()
            .await
            .map_err(|error| {
                ServiceError::from_sdk("GetDataEndpoint", error).at(self.control_place())
            })?
            .data_endpoint
            .ok_or_else(|| incomplete("GetDataEndpoint", "DataEndpoint"))?;
        let url = url.trim_end_matches('/').to_owned();
        self.endpoints().put(api, url.clone(), clock::monotonic());
        Ok(url)
    }

    /// Forgets a data endpoint, because it was refused or could not be reached.
    pub fn invalidate_endpoint(&self, api: DataApi) {
        self.endpoints().0.remove(&api);
    }

    async fn control(&self) -> Result<aws_sdk_kinesisvideo::Client, ServiceError> {
        let endpoint = self.ready().await?.endpoint.as_deref();
        Ok(sdk_client!(aws_sdk_kinesisvideo, self, endpoint))
    }
}

fn incomplete(operation: &str, member: &str) -> ServiceError {
    ServiceError::new(
        ErrorKind::Protocol,
        format!("the answer to {operation} has no {member}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_kept_for_forty_minutes() {
        let start = Instant::now();
        let mut cache = EndpointCache::default();
        cache.put(DataApi::GetMedia, "http://a".into(), start);
        assert_eq!(cache.get(DataApi::PutMedia, start), None);
        let last = start + ENDPOINT_TTL - Duration::from_secs(1);
        assert_eq!(
            cache.get(DataApi::GetMedia, last).as_deref(),
            Some("http://a")
        );
        assert_eq!(cache.get(DataApi::GetMedia, start + ENDPOINT_TTL), None);
    }
}

//! The calls of the data plane that readers make, behind a trait so that tests can script them.

use std::sync::Arc;

use aws_sdk_kinesisvideomedia::types::{StartSelector, StartSelectorType};
use aws_smithy_types::DateTime;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use kvs_protocol::{FragmentNumber, Timestamp};

use super::archive::RangeClock;
use super::listing::{Listed, Page, Window};
use super::live::Start;
use super::stale::Stale;
use crate::control::DataApi;
use crate::service::{Service, sdk_client};
use crate::service_error::{ErrorKind, ServiceError};

/// The bytes of a response.
pub(super) type Body = BoxStream<'static, Result<Bytes, ServiceError>>;

/// A response that is being asked for.
pub(super) type Opening = BoxFuture<'static, Result<Body, ServiceError>>;

/// A page of a listing that is being asked for.
pub(super) type Paging = BoxFuture<'static, Result<Page, ServiceError>>;

/// The largest page that ListFragments gives.
const PAGE_FRAGMENTS_MAX: i64 = 1000;

/// What readers ask for.
pub(super) trait Media: Send + Sync {
    /// GetMedia.
    fn get_media(&self, start: Start) -> Opening;
    /// One page of ListFragments: of `window`, or what follows `token`.
    fn list_fragments(&self, window: Window, clock: RangeClock, token: Option<String>) -> Paging;
    /// GetMediaForFragmentList.
    fn get_fragments(&self, numbers: Vec<FragmentNumber>) -> Opening;
    /// Forgets what was refused.
    fn forget(&self, stale: Stale);
}

impl<T: Media + ?Sized> Media for Arc<T> {
    fn get_media(&self, start: Start) -> Opening {
        (**self).get_media(start)
    }

    fn list_fragments(&self, window: Window, clock: RangeClock, token: Option<String>) -> Paging {
        (**self).list_fragments(window, clock, token)
    }

    fn get_fragments(&self, numbers: Vec<FragmentNumber>) -> Opening {
        (**self).get_fragments(numbers)
    }

    fn forget(&self, stale: Stale) {
        (**self).forget(stale);
    }
}

impl Media for Service {
    fn get_media(&self, start: Start) -> Opening {
        let service = self.clone();
        async move { service.open_media(start).await }.boxed()
    }

    fn list_fragments(&self, window: Window, clock: RangeClock, token: Option<String>) -> Paging {
        let service = self.clone();
        async move { service.list_page(window, clock, token).await }.boxed()
    }

    fn get_fragments(&self, numbers: Vec<FragmentNumber>) -> Opening {
        let service = self.clone();
        async move { service.open_fragments(&numbers).await }.boxed()
    }

    fn forget(&self, stale: Stale) {
        if stale.credentials {
            self.invalidate_credentials();
        }
        if stale.endpoint {
            self.invalidate_endpoint(DataApi::GetMedia);
            self.invalidate_endpoint(DataApi::ListFragments);
            self.invalidate_endpoint(DataApi::GetMediaForFragmentList);
        }
    }
}

impl Service {
    async fn open_media(&self, start: Start) -> Result<Body, ServiceError> {
        let endpoint = self.data_endpoint(DataApi::GetMedia).await?;
        let client = sdk_client!(aws_sdk_kinesisvideomedia, self, Some(endpoint.as_str()));
        let answer = client
            .get_media()
            .set_stream_name(self.stream().request_name().map(str::to_owned))
            .set_stream_arn(self.stream().arn().map(str::to_owned))
            .start_selector(selector(start)?)
            .send()
            .await
            .map_err(|error| ServiceError::from_sdk("GetMedia", error))?;
        Ok(body("GetMedia", answer.payload))
    }

    async fn open_fragments(&self, numbers: &[FragmentNumber]) -> Result<Body, ServiceError> {
        let endpoint = self.data_endpoint(DataApi::GetMediaForFragmentList).await?;
        let client = sdk_client!(
            aws_sdk_kinesisvideoarchivedmedia,
            self,
            Some(endpoint.as_str())
        );
        let answer = client
            .get_media_for_fragment_list()
            .set_stream_name(self.stream().request_name().map(str::to_owned))
            .set_stream_arn(self.stream().arn().map(str::to_owned))
            .set_fragments(Some(numbers.iter().map(ToString::to_string).collect()))
            .send()
            .await
            .map_err(|error| ServiceError::from_sdk("GetMediaForFragmentList", error))?;
        Ok(body("GetMediaForFragmentList", answer.payload))
    }

    async fn list_page(
        &self,
        window: Window,
        clock: RangeClock,
        token: Option<String>,
    ) -> Result<Page, ServiceError> {
        use aws_sdk_kinesisvideoarchivedmedia::types::{
            FragmentSelector, FragmentSelectorType, TimestampRange,
        };
        let endpoint = self.data_endpoint(DataApi::ListFragments).await?;
        let client = sdk_client!(
            aws_sdk_kinesisvideoarchivedmedia,
            self,
            Some(endpoint.as_str())
        );
        let range = TimestampRange::builder()
            .start_timestamp(date_time(window.from))
            .end_timestamp(date_time(window.to))
            .build()
            .map_err(unsendable)?;
        let clock = match clock {
            RangeClock::Producer => FragmentSelectorType::ProducerTimestamp,
            RangeClock::Server => FragmentSelectorType::ServerTimestamp,
        };
        let selector = FragmentSelector::builder()
            .fragment_selector_type(clock)
            .timestamp_range(range)
            .build()
            .map_err(unsendable)?;
        let answer = client
            .list_fragments()
            .set_stream_name(self.stream().request_name().map(str::to_owned))
            .set_stream_arn(self.stream().arn().map(str::to_owned))
            .max_results(PAGE_FRAGMENTS_MAX)
            .fragment_selector(selector)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| ServiceError::from_sdk("ListFragments", error))?;
        let fragments = answer.fragments.unwrap_or_default();
        Ok(Page {
            fragments: fragments
                .into_iter()
                .map(listed)
                .collect::<Result<_, _>>()?,
            next_token: answer.next_token.filter(|token| !token.is_empty()),
        })
    }
}

fn selector(start: Start) -> Result<StartSelector, ServiceError> {
    let builder = StartSelector::builder();
    let builder = match start {
        Start::Now => builder.start_selector_type(StartSelectorType::Now),
        Start::Earliest => builder.start_selector_type(StartSelectorType::Earliest),
        Start::AfterFragment(number) => builder
            .start_selector_type(StartSelectorType::FragmentNumber)
            .after_fragment_number(number.as_str()),
        Start::ProducerTime(at) => builder
            .start_selector_type(StartSelectorType::ProducerTimestamp)
            .start_timestamp(date_time(at)),
        Start::ServerTime(at) => builder
            .start_selector_type(StartSelectorType::ServerTimestamp)
            .start_timestamp(date_time(at)),
        Start::Continuation(token) => builder
            .start_selector_type(StartSelectorType::ContinuationToken)
            .continuation_token(token),
    };
    builder.build().map_err(unsendable)
}

fn listed(
    fragment: aws_sdk_kinesisvideoarchivedmedia::types::Fragment,
) -> Result<Listed, ServiceError> {
    let incomplete = || {
        let message = "ListFragments gave a fragment without a valid number or times";
        ServiceError::new(ErrorKind::Protocol, message.to_owned())
    };
    let number = fragment.fragment_number.ok_or_else(incomplete)?;
    Ok(Listed {
        number: number.parse().map_err(|_| incomplete())?,
        server_time: fragment
            .server_timestamp
            .and_then(timestamp)
            .ok_or_else(incomplete)?,
        producer_time: fragment
            .producer_timestamp
            .and_then(timestamp)
            .ok_or_else(incomplete)?,
        length_ms: fragment
            .fragment_length_in_milliseconds
            .try_into()
            .unwrap_or(0),
        bytes: fragment.fragment_size_in_bytes.try_into().unwrap_or(0),
    })
}

/// To the nearest millisecond: the number of seconds came as a binary fraction.
fn timestamp(at: DateTime) -> Option<Timestamp> {
    let ms = at.as_nanos().checked_add(500_000)?.checked_div(1_000_000)?;
    u64::try_from(ms).ok().map(Timestamp::from_ms)
}

fn date_time(at: Timestamp) -> DateTime {
    DateTime::from_millis(i64::try_from(at.as_ms()).unwrap_or(i64::MAX))
}

fn unsendable(error: impl std::error::Error + Send + Sync + 'static) -> ServiceError {
    let message = format!("the request cannot be made: {error}");
    ServiceError::new(ErrorKind::InvalidArgument, message).caused_by(error)
}

/// The pieces of a response as they arrive.
fn body(operation: &'static str, payload: ByteStream) -> Body {
    stream::unfold(payload, move |mut payload| async move {
        let piece = payload.next().await?;
        let piece = piece.map_err(|error| ServiceError::from_connect(operation, error));
        Some((piece, payload))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_survive_binary_fractions() {
        for ms in [
            0,
            1,
            1_511_852_109_126,
            1_511_852_109_999,
            1_800_000_000_001,
        ] {
            let sent = date_time(Timestamp::from_ms(ms));
            assert_eq!(timestamp(sent), Some(Timestamp::from_ms(ms)));
            let as_json = DateTime::from_secs_f64(ms as f64 / 1000.0);
            assert_eq!(timestamp(as_json), Some(Timestamp::from_ms(ms)));
        }
    }
}

//! The control plane: streams are made, shown, listed, changed, deleted.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use kvs_protocol::api::{
    CreateStream, CreatedStream, DataEndpoint, DeleteStream, DescribeStream, DescribedStream,
    GetDataEndpoint, ListStreams, ListedStreams, Operation, StreamInfo, StreamRef, StreamStatus,
    UpdateDataRetention, UpdateStream,
};
use kvs_protocol::{ApiError, ErrorKind, StreamArn, StreamName, Timestamp};

use super::call::Call;
use super::change::expect_version;
use super::page_token;
use super::reply::{Refusal, json, nothing};
use crate::app::App;
use crate::ask::ask;
use crate::auth::Action;
use crate::ids;
use crate::quotas::STREAMS_MAX;
use crate::store::{NewStream, Stream};

/// The stream is ACTIVE at once: there is nothing to wait for.
pub(crate) async fn create_stream(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = CreateStream::parse(&call.body)?;
    app.admit(&call.caller, Operation::CreateStream, &request.stream_name)?;
    if app.quotas().is_some() && app.store().stream_count() >= STREAMS_MAX {
        return Err(ApiError::new(
            ErrorKind::AccountStreamLimitExceeded,
            format!("The account has {STREAMS_MAX} streams, as many as AWS lets it have."),
        )
        .into());
    }
    let new = NewStream {
        name: request.stream_name,
        version: ids::version(app.random()),
        retention_hours: request.retention_hours,
        device_name: request.device_name,
        media_type: request.media_type,
        kms_key_id: request.kms_key_id,
        tags: request.tags,
        storage_tier: request.storage_tier,
    };
    let stream = ask(app.store(), move |store| store.create_stream(new)).await?;
    json(&CreatedStream {
        stream_arn: app.arn(&stream),
    })
}

pub(crate) async fn describe_stream(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = DescribeStream::parse(&call.body)?;
    app.admit(
        &call.caller,
        Operation::DescribeStream,
        request.stream.name(),
    )?;
    let stream = app.stream(&request.stream)?;
    json(&DescribedStream {
        stream_info: app.stream_info(&stream),
    })
}

/// In the order of names. The token holds the last name of its page, so a stream that is made or
/// deleted meanwhile moves no other one.
pub(crate) async fn list_streams(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = ListStreams::parse(&call.body)?;
    call.caller.authorize(Action::Read)?;
    app.count(Operation::ListStreams, None)?;
    let prefix = request.name_prefix.as_ref().map_or("", StreamName::as_str);
    let after = match &request.next_token {
        Some(token) => Some(page_token::streams_after(token, prefix)?),
        None => None,
    };
    let streams = app.store().streams();
    let mut listed = streams.iter().filter(|stream| {
        let name = stream.name.as_str();
        name.starts_with(prefix)
            && after.as_deref().is_none_or(|after| name > after)
            && call.caller.allows(Action::Read, Some(name))
    });
    let page: Vec<_> = listed.by_ref().take(request.max_results).collect();
    let more = listed.next().is_some();
    json(&ListedStreams {
        next_token: page
            .last()
            .filter(|_| more)
            .map(|last| page_token::of_streams(last.name.as_str(), prefix)),
        stream_info_list: page.iter().map(|stream| app.stream_info(stream)).collect(),
    })
}

/// What is not given stays; the version is new all the same.
pub(crate) async fn update_stream(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = UpdateStream::parse(&call.body)?;
    app.admit(&call.caller, Operation::UpdateStream, request.stream.name())?;
    let version = ids::version(app.random());
    app.change(&request.stream, move |stream| {
        expect_version(stream, &request.current_version)?;
        stream.version = version.clone();
        if let Some(device_name) = &request.device_name {
            stream.device_name = Some(device_name.clone());
        }
        if let Some(media_type) = &request.media_type {
            stream.media_type = Some(media_type.clone());
        }
        Ok(())
    })
    .await?;
    Ok(nothing())
}

pub(crate) async fn update_data_retention(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = UpdateDataRetention::parse(&call.body)?;
    app.admit(
        &call.caller,
        Operation::UpdateDataRetention,
        request.stream.name(),
    )?;
    let version = ids::version(app.random());
    app.change(&request.stream, move |stream| {
        expect_version(stream, &request.current_version)?;
        stream.version = version.clone();
        stream.retention_hours = request.change.apply(stream.retention_hours)?;
        Ok(())
    })
    .await?;
    Ok(nothing())
}

pub(crate) async fn delete_stream(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = DeleteStream::parse(&call.body)?;
    app.admit(
        &call.caller,
        Operation::DeleteStream,
        &request.stream_arn.name,
    )?;
    let stream = app.stream(&StreamRef::Arn(request.stream_arn))?;
    if let Some(current) = &request.current_version {
        expect_version(&stream, current)?;
    }
    app.delete(&stream).await?;
    Ok(nothing())
}

/// Every API is served here.
pub(crate) async fn get_data_endpoint(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = GetDataEndpoint::parse(&call.body)?;
    app.admit(
        &call.caller,
        Operation::GetDataEndpoint,
        request.stream.name(),
    )?;
    app.stream(&request.stream)?;
    json(&DataEndpoint {
        data_endpoint: app.hosts().base_url(Some(&call.headers)),
    })
}

impl App {
    /// The ARN of a stream.
    pub(crate) fn arn(&self, stream: &Stream) -> StreamArn {
        StreamArn {
            partition: "aws".into(),
            region: self.region().clone(),
            account: self.config().account_id.clone(),
            name: stream.name.clone(),
            created_ms: stream.created_ms,
        }
    }

    fn stream_info(&self, stream: &Stream) -> StreamInfo {
        StreamInfo {
            device_name: stream.device_name.clone(),
            stream_name: stream.name.clone(),
            stream_arn: self.arn(stream),
            media_type: stream.media_type.clone(),
            kms_key_id: stream
                .kms_key_id
                .clone()
                .unwrap_or_else(|| self.default_key().clone()),
            version: stream.version.clone(),
            status: StreamStatus::Active,
            creation_time: Timestamp::from_ms(stream.created_ms),
            data_retention_in_hours: stream.retention_hours,
        }
    }
}

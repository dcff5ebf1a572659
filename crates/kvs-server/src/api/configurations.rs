//! What a stream is told to do beside storing: pictures, notifications, the tier of its storage.
//!
//! They are kept and shown. Neither pictures nor notifications leave the stream's version.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use kvs_protocol::api::{
    DescribeStream, DescribedImageGeneration, DescribedNotification, DescribedStreamStorage,
    Operation, StorageConfiguration, UpdateImageGeneration, UpdateNotification,
    UpdateStreamStorage,
};
use kvs_protocol::{ApiError, ErrorKind};

use super::call::Call;
use super::change::expect_version;
use super::reply::{Refusal, json, nothing};
use crate::app::App;
use crate::ids;
use crate::store::Stream;

pub(crate) async fn describe_image_generation(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let stream = described(&app, &call, Operation::DescribeImageGenerationConfiguration)?;
    json(&DescribedImageGeneration {
        image_generation_configuration: stream.image_generation.clone(),
    })
}

pub(crate) async fn update_image_generation(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = UpdateImageGeneration::parse(&call.body)?;
    let operation = Operation::UpdateImageGenerationConfiguration;
    app.admit(&call.caller, operation, request.stream.name())?;
    let configuration = request.configuration;
    app.change(&request.stream, move |stream| {
        if configuration.is_some() {
            expect_retention(stream)?;
        }
        stream.image_generation = configuration.clone();
        Ok(())
    })
    .await?;
    Ok(nothing())
}

pub(crate) async fn describe_notification(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let stream = described(&app, &call, Operation::DescribeNotificationConfiguration)?;
    json(&DescribedNotification {
        notification_configuration: stream.notification.clone(),
    })
}

pub(crate) async fn update_notification(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = UpdateNotification::parse(&call.body)?;
    let operation = Operation::UpdateNotificationConfiguration;
    app.admit(&call.caller, operation, request.stream.name())?;
    let configuration = request.configuration;
    app.change(&request.stream, move |stream| {
        if configuration.is_some() {
            expect_retention(stream)?;
        }
        stream.notification = configuration.clone();
        Ok(())
    })
    .await?;
    Ok(nothing())
}

pub(crate) async fn describe_stream_storage(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let stream = described(&app, &call, Operation::DescribeStreamStorageConfiguration)?;
    json(&DescribedStreamStorage {
        stream_name: stream.name.clone(),
        stream_arn: app.arn(&stream),
        stream_storage_configuration: StorageConfiguration {
            default_storage_tier: stream.storage_tier,
        },
    })
}

/// All storage is the same here; the tier is kept and shown.
pub(crate) async fn update_stream_storage(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = UpdateStreamStorage::parse(&call.body)?;
    let operation = Operation::UpdateStreamStorageConfiguration;
    app.admit(&call.caller, operation, request.stream.name())?;
    let version = ids::version(app.random());
    app.change(&request.stream, move |stream| {
        expect_version(stream, &request.current_version)?;
        stream.version = version.clone();
        stream.storage_tier = request.storage_tier;
        Ok(())
    })
    .await?;
    Ok(nothing())
}

/// The stream that a request asks about, whose only members are those that name it.
fn described(app: &App, call: &Call, operation: Operation) -> Result<Arc<Stream>, ApiError> {
    let request = DescribeStream::parse(&call.body)?;
    app.admit(&call.caller, operation, request.stream.name())?;
    app.stream(&request.stream)
}

/// What is not stored is neither made a picture of nor told of. A configuration can be deleted.
fn expect_retention(stream: &Stream) -> Result<(), ApiError> {
    if stream.retention_hours > 0 {
        return Ok(());
    }
    let message = "The stream keeps nothing: its retention is 0 hours. Raise that first.";
    Err(ApiError::new(ErrorKind::NoDataRetention, message))
}

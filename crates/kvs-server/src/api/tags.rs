//! Tags of streams: the same for a stream and for a resource, but for the form of the request.
//!
//! They leave the stream's version as it is.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use kvs_protocol::api::{AddTags, ListTags, ListedTags, Operation, RemoveTags, resource_tags};

use super::call::Call;
use super::reply::{Refusal, json, nothing};
use crate::app::App;
use crate::auth::Caller;

pub(crate) async fn tag_stream(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = AddTags::of_stream(&call.body)?;
    add(&app, &call.caller, Operation::TagStream, request).await
}

pub(crate) async fn tag_resource(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = AddTags::of_resource(&call.body)?;
    add(&app, &call.caller, Operation::TagResource, request).await
}

pub(crate) async fn untag_stream(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = RemoveTags::of_stream(&call.body)?;
    remove(&app, &call.caller, Operation::UntagStream, request).await
}

pub(crate) async fn untag_resource(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = RemoveTags::of_resource(&call.body)?;
    remove(&app, &call.caller, Operation::UntagResource, request).await
}

pub(crate) async fn list_tags_for_stream(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = ListTags::of_stream(&call.body)?;
    list(&app, &call.caller, Operation::ListTagsForStream, &request)
}

pub(crate) async fn list_tags_for_resource(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = ListTags::of_resource(&call.body)?;
    list(&app, &call.caller, Operation::ListTagsForResource, &request)
}

async fn add(
    app: &App,
    caller: &Caller,
    operation: Operation,
    request: AddTags,
) -> Result<Response, Refusal> {
    let AddTags { stream, tags } = request;
    app.admit(caller, operation, stream.name())?;
    app.change(&stream, move |stream| {
        resource_tags::add(&mut stream.tags, &tags)
    })
    .await?;
    Ok(nothing())
}

async fn remove(
    app: &App,
    caller: &Caller,
    operation: Operation,
    request: RemoveTags,
) -> Result<Response, Refusal> {
    let RemoveTags { stream, keys } = request;
    app.admit(caller, operation, stream.name())?;
    app.change(&stream, move |stream| {
        stream.tags.retain(|key, _| !keys.contains(key));
        Ok(())
    })
    .await?;
    Ok(nothing())
}

fn list(
    app: &App,
    caller: &Caller,
    operation: Operation,
    request: &ListTags,
) -> Result<Response, Refusal> {
    app.admit(caller, operation, request.stream.name())?;
    let stream = app.stream(&request.stream)?;
    json(&ListedTags {
        tags: stream.tags.clone(),
    })
}

//! Responses in the service's own form.

use std::convert::Infallible;
use std::fmt::Display;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use kvs_protocol::api::MEDIA_CONTENT_TYPE;
use kvs_protocol::error::ERROR_TYPE_HEADER;
use kvs_protocol::{ApiError, ErrorKind};
use serde::Serialize;

use crate::store::StoreError;

/// A request that was refused: an [`ApiError`] on its way out.
#[derive(Debug)]
pub(crate) struct Refusal(ApiError);

impl Refusal {
    /// The server is to blame. The reason goes to the log, not to the client.
    pub(crate) fn internal(error: impl Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self(ApiError::new(
            ErrorKind::InternalFailure,
            "The server failed; its log says why.",
        ))
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(error) = self;
        tracing::debug!(
            name = error.kind().name(),
            message = error.message(),
            "refused"
        );
        let mut response = json_text(error.body());
        *response.status_mut() = StatusCode::from_u16(error.kind().status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let name = HeaderValue::from_static(error.kind().name());
        response.headers_mut().insert(ERROR_TYPE_HEADER, name);
        response
    }
}

/// 200 with a JSON body.
pub(crate) fn json(body: &impl Serialize) -> Result<Response, Refusal> {
    serde_json::to_string(body)
        .map(json_text)
        .map_err(Refusal::internal)
}

/// 200 with `{}`, of an operation that has nothing to say.
pub(crate) fn nothing() -> Response {
    json_text("{}".into())
}

/// 200 with media that is made as it is taken.
pub(crate) fn media(
    chunks: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    typed(MEDIA_CONTENT_TYPE, Body::from_stream(chunks.boxed()))
}

/// 200 with a body of that type.
pub(crate) fn typed(content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn json_text(text: String) -> Response {
    typed("application/json", Body::from(text))
}

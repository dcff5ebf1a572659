//! A call with a JSON body: bounded, authenticated, not yet parsed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kvs_protocol::ApiError;
use tokio::time::timeout;

use super::reply::Refusal;
use crate::app::App;
use crate::auth::Caller;

/// The largest request is GetMediaForFragmentList with 1000 numbers of 128 digits.
const BODY_BYTES_MAX: usize = 1 << 20;
/// A body of that size is a matter of a second; a client that takes longer is stuck.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Who calls, with what.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl FromRequest<Arc<App>> for Call {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        let body = read_body(body).await?;
        Ok(Self {
            caller: app.auth().verify(&head, Some(&body))?,
            headers: head.headers,
            body,
        })
    }
}

/// The whole body of a call.
pub(crate) async fn read_body(body: Body) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let read = Limited::new(body, BODY_BYTES_MAX).collect();
    match timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(unread("The body could not be read.")),
        Err(_) => Err(unread("The body did not arrive within 30 s.")),
    }
}

fn too_large() -> Refusal {
    unread(&format!("The body has more than {BODY_BYTES_MAX} bytes."))
}

fn unread(message: &str) -> Refusal {
    ApiError::invalid_argument(message).into()
}

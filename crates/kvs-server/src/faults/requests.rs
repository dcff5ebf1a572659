//! What faults do to a request: between its head and the operation it is for.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use kvs_protocol::api::{Operation, PutMedia};
use serde_json::Value;
use tokio::time::sleep;

use super::active::Active;
use super::fault::Fault;
use super::what::What;
use super::{Faults, answer};
use crate::api::call::read_body;
use crate::api::reply::Refusal;

/// Lets a request meet its faults. What is no operation meets none: neither `/healthz` nor the
/// faults' own path.
pub(crate) async fn meet_faults(
    State(faults): State<Faults>,
    request: Request,
    next: Next,
) -> Response {
    let Some(operation) = Operation::from_path(request.uri().path()) else {
        return next.run(request).await;
    };
    let is_meant = |fault: &Fault| fault.scope.takes_operation(operation);
    let (request, stream) = if faults.any(|fault| is_meant(fault) && fault.scope.has_stream()) {
        match find_stream(operation, request).await {
            Ok(found) => found,
            Err(refusal) => return refusal.into_response(),
        }
    } else {
        (request, None)
    };
    let fired =
        faults.fired(|fault| is_meant(fault) && fault.scope.takes_stream(stream.as_deref()));
    if fired.is_empty() {
        return next.run(request).await;
    }
    meet(&fired, request, next).await
}

async fn meet(fired: &[Arc<Active>], request: Request, next: Next) -> Response {
    for active in fired {
        if let What::Delay { delay_ms } = active.fault.what {
            tokio::select! {
                () = sleep(Duration::from_millis(delay_ms)) => {}
                () = active.cleared() => {}
            }
        }
    }
    for active in fired {
        if let What::Answer {
            status,
            name,
            message,
        } = &active.fault.what
        {
            return answer::response(*status, name.as_deref(), message.as_deref());
        }
    }
    next.run(request).await
}

/// The name of the stream that a request is about, if it names one.
async fn find_stream(
    operation: Operation,
    request: Request,
) -> Result<(Request, Option<String>), Refusal> {
    if operation == Operation::PutMedia {
        let stream = in_head(request.headers());
        return Ok((request, stream));
    }
    let (head, body) = request.into_parts();
    let body = read_body(body).await?;
    let stream = in_body(&body);
    Ok((Request::from_parts(head, Body::from(body)), stream))
}

fn in_head(headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
    let request = PutMedia::parse(header).ok()?;
    Some(request.stream.name().as_str().to_owned())
}

fn in_body(body: &[u8]) -> Option<String> {
    let members: Value = serde_json::from_slice(body).ok()?;
    let member = |name: &str| members.get(name).and_then(Value::as_str);
    let in_arn = |arn: &str| arn.split('/').nth(1).map(str::to_owned);
    member("StreamName")
        .map(str::to_owned)
        .or_else(|| member("StreamARN").and_then(in_arn))
        .or_else(|| member("ResourceARN").and_then(in_arn))
}

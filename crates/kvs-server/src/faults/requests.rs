//! What faults do to a request: between its head and the operation it is for.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body as _;
use kvs_protocol::api::{Operation, PutMedia};
use serde_json::Value;
use tokio::time::sleep;

use super::active::Active;
use super::fault::Fault;
use super::shape::{CutTimer, Direction, shaped};
use super::what::{Place, What};
use super::wire::Wire;
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
    let is_meant = |fault: &Fault| {
        fault.what.place() == Place::Request && fault.scope.takes_operation(operation)
    };
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
    let wire = request.extensions().get::<Wire>().cloned();
    match wire {
        Some(wire) => shape(fired, &wire, request, next).await,
        None => next.run(request).await,
    }
}

/// Lets the request and its response through as far as the faults do.
async fn shape(fired: &[Arc<Active>], wire: &Wire, request: Request, next: Next) -> Response {
    let mut timers = Vec::new();
    for active in fired {
        if let What::Cut {
            at_ms,
            at_bytes: None,
            how,
            ..
        } = active.fault.what
        {
            let Some(at_ms) = at_ms else {
                wire.cut(how);
                // It goes nowhere.
                return Response::default();
            };
            let active = Arc::clone(active);
            timers.push(CutTimer::start(active, at_ms, how, wire.clone()));
        }
    }
    let of = |direction| fired.iter().filter(move |active| is_of(active, direction));
    let (requests, responses): (Vec<_>, Vec<_>) = (
        of(Direction::Request).cloned().collect(),
        of(Direction::Response).cloned().collect(),
    );
    let request = if requests.is_empty() {
        request
    } else {
        let whole = |body| shaped(body, Direction::Request, requests, wire.clone(), Vec::new());
        request.map(whole)
    };
    let mut response = next.run(request).await;
    if responses.is_empty() && timers.is_empty() {
        return response;
    }
    // A body that is cut short is cut short of what was promised.
    if let Some(bytes) = response.body().size_hint().exact() {
        response.headers_mut().insert(CONTENT_LENGTH, bytes.into());
    }
    response.map(|body| shaped(body, Direction::Response, responses, wire.clone(), timers))
}

fn is_of(active: &Active, asked: Direction) -> bool {
    match active.fault.what {
        What::Stall { direction, .. } | What::Throttle { direction, .. } => direction == asked,
        What::Cut { direction, .. } => direction == Some(asked),
        _ => false,
    }
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

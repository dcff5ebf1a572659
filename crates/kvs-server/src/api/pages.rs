//! What is not KVS's: the list of streams for people, the health for machines.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use http::StatusCode;
use tokio::time::timeout;

use super::call::Call;
use super::reply::{Refusal, typed};
use crate::app::App;
use crate::ask::ask;
use crate::auth::Action;
use crate::connection::Peer;
use crate::metrics::OPEN_METRICS;
use crate::store::{Store, StoreError};

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
/// What asks for health waits some seconds; a disk that takes longer is not well.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// `/`: a stream a line.
pub(crate) async fn streams(State(app): State<Arc<App>>, call: Call) -> Result<Response, Refusal> {
    call.caller.authorize(Action::Read)?;
    let mut page = String::from("# stream, retention in hours\n");
    for stream in app.store().streams() {
        // Writing to a String does not fail.
        let _ = writeln!(page, "{} {}", stream.name, stream.retention_hours);
    }
    Ok(typed(PLAIN_TEXT, Body::from(page)))
}

/// `/healthz`: 200 while what is sent now would be stored, else 503 and the reason. Streams whose
/// key does not open are named below the `ok`, as is a clock by which nothing expires.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    let asked = timeout(HEALTH_TIMEOUT, ask(app.store(), Store::health)).await;
    let answered = asked.unwrap_or(Err(StoreError::Stalled(HEALTH_TIMEOUT.as_secs())));
    let Err(error) = answered else {
        // One stream is not the server: whoever restarts what is red would win nothing.
        let errors = app.store().key_errors();
        let lines = errors.iter().map(ToString::to_string);
        let doubt = app.store().clock_doubt().map(|doubt| doubt.to_string());
        let lines: String = lines.chain(doubt).map(|line| format!("{line}\n")).collect();
        return typed(PLAIN_TEXT, Body::from(format!("ok\n{lines}")));
    };
    let mut response = typed(PLAIN_TEXT, Body::from(format!("{error}\n")));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// `/metrics`: figures for Prometheus, which cannot sign. They tell the names of the streams and
/// when there was something to see, hence they are for this machine, and signed for others.
pub(crate) async fn metrics(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Refusal> {
    if !peer.is_local {
        let call = Call::from_request(request, &app).await?;
        call.caller.authorize(Action::Read)?;
    }
    let store = app.store().clone();
    let page = ask(&store, move |_| Ok(app.metrics().page())).await?;
    let page = page.map_err(Refusal::internal)?;
    Ok(typed(OPEN_METRICS, Body::from(page)))
}

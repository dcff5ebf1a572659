//! What is not KVS's: the list of streams for people, the health for machines.

use std::fmt::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use super::call::Call;
use super::reply::{Refusal, typed};
use crate::app::App;
use crate::auth::Action;

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// `/`: a stream a line.
pub(crate) async fn streams(State(app): State<Arc<App>>, call: Call) -> Result<Response, Refusal> {
    call.caller.authorize(Action::Read, None)?;
    let mut page = String::from("# stream, retention in hours\n");
    for stream in app.store().streams() {
        // Writing to a String does not fail.
        let _ = writeln!(page, "{} {}", stream.name, stream.retention_hours);
    }
    Ok(typed(PLAIN_TEXT, Body::from(page)))
}

/// `/healthz`: 200 while the server takes media.
pub(crate) async fn health() -> Response {
    typed(PLAIN_TEXT, Body::from("ok\n"))
}

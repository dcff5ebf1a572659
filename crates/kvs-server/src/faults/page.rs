//! `/_kvs/faults`: faults are added, listed and cleared over HTTP.

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use axum::routing::{delete, get};
use axum::{Extension, Router};
use kvs_protocol::{ApiError, ErrorKind};
use serde::Serialize;

use super::Faults;
use super::fault::Fault;
use crate::api::call::Call;
use crate::api::reply::{Refusal, json, nothing};
use crate::app::App;
use crate::auth::Action;

/// No stream has this name: a key that is narrowed to some streams is not meant for it, and a fault
/// may be about all of them.
const EVERY_STREAM: &str = "*";

/// The paths of a server with faults.
pub(crate) fn routes(faults: Faults) -> Router<Arc<App>> {
    Router::new()
        .route("/_kvs/faults", get(list).post(add).delete(clear_all))
        .route("/_kvs/faults/{id}", delete(clear))
        .layer(Extension(faults))
}

/// A call of whoever may administer every stream; without credentials that is everybody.
struct AdminCall(Call);

impl FromRequest<Arc<App>> for AdminCall {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let call = Call::from_request(request, app).await?;
        if call.caller.allows(Action::Admin, Some(EVERY_STREAM)) {
            return Ok(Self(call));
        }
        let message = "Faults are for a key that may administer every stream.";
        Err(ApiError::new(ErrorKind::AccessDenied, message).into())
    }
}

#[derive(Serialize)]
struct Added {
    id: u64,
}

#[derive(Serialize)]
struct Listed<'a> {
    id: u64,
    #[serde(flatten)]
    fault: &'a Fault,
    /// Its occasions so far.
    seen: u64,
    /// At how many of them it fired.
    fired: u64,
}

#[derive(Serialize)]
struct List<'a> {
    faults: Vec<Listed<'a>>,
}

async fn add(
    Extension(faults): Extension<Faults>,
    State(_): State<Arc<App>>,
    AdminCall(call): AdminCall,
) -> Result<Response, Refusal> {
    let fault = Fault::parse(&call.body).map_err(ApiError::invalid_argument)?;
    let id = faults
        .add(fault.clone())
        .map_err(|error| ApiError::new(ErrorKind::ClientLimitExceeded, error.to_string()))?;
    let shown = serde_json::to_string(&fault).map_err(Refusal::internal)?;
    tracing::info!(id, fault = shown, "a fault was added");
    json(&Added { id })
}

async fn list(
    Extension(faults): Extension<Faults>,
    State(_): State<Arc<App>>,
    AdminCall(_): AdminCall,
) -> Result<Response, Refusal> {
    let faults = faults.list();
    let listed = faults.iter().map(|active| {
        let counts = active.counts();
        Listed {
            id: active.id,
            fault: &active.fault,
            seen: counts.seen,
            fired: counts.fired,
        }
    });
    json(&List {
        faults: listed.collect(),
    })
}

async fn clear_all(
    Extension(faults): Extension<Faults>,
    State(_): State<Arc<App>>,
    AdminCall(_): AdminCall,
) -> Response {
    let cleared = faults.clear(|_| true);
    tracing::info!(cleared, "all faults were cleared");
    nothing()
}

async fn clear(
    Extension(faults): Extension<Faults>,
    Path(id): Path<String>,
    State(_): State<Arc<App>>,
    AdminCall(_): AdminCall,
) -> Result<Response, Refusal> {
    let meant = id.parse::<u64>().ok();
    if faults.clear(|active| Some(active.id) == meant) == 0 {
        let message = "There is no fault of that id; GET /_kvs/faults lists them.";
        return Err(ApiError::new(ErrorKind::ResourceNotFound, message).into());
    }
    tracing::info!(id, "a fault was cleared");
    Ok(nothing())
}

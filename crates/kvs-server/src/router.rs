//! Which path is what, and what is done for every request.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use kvs_protocol::api::Operation;
use kvs_protocol::error::REQUEST_ID_HEADER;
use tracing::Instrument;

use crate::access::Access;
use crate::api::pages;
use crate::api::reply::Refusal;
use crate::api::routes::{operations, unknown_operation};
use crate::app::App;
use crate::cors::Grant;
use crate::faults;
use crate::faults::requests::meet_faults;
use crate::ids;

/// Every path that is served.
pub(crate) fn router(app: Arc<App>) -> Router {
    let router = operations()
        .route("/", get(pages::streams))
        .route("/healthz", get(pages::health))
        .route("/metrics", get(pages::metrics))
        .fallback(unknown_operation);
    let router = match app.faults().cloned() {
        None => router,
        Some(faults) => router
            .layer(middleware::from_fn_with_state(faults.clone(), meet_faults))
            .merge(faults::page::routes(faults)),
    };
    router
        .method_not_allowed_fallback(unknown_operation)
        // A call's body has a bound of its own, and a PutMedia's has none.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            every_request,
        ))
        .with_state(app)
}

/// Gives each request an id, and turns away what a foreign web page made a browser send.
async fn every_request(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let id = ids::uuid(app.random());
    let operation = Operation::from_path(request.uri().path());
    let access = Access::begin(&id, &request);
    let span = access.span();
    let request = request.map(|body| access.count(body));
    let grant = app.hosts().origins().grant(&request);
    let preflight = grant.as_ref().and_then(Grant::preflight);
    let mut response = match (app.hosts().check(request.headers()), preflight) {
        (Ok(()), Some(preflight)) => preflight,
        (Ok(()), None) => next.run(request).instrument(span).await,
        (Err(error), _) => span.in_scope(|| Refusal::from(error).into_response()),
    };
    if let Some(grant) = grant {
        grant.mark(response.headers_mut());
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, id);
    }
    app.metrics().request(operation, response.status().as_u16());
    access.follow(response)
}

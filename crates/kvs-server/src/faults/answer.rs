//! The answer that a fault gives in place of the server's own.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode};
use kvs_protocol::ErrorKind;
use kvs_protocol::error::ERROR_TYPE_HEADER;
use serde_json::json;

use crate::api::reply::typed;

/// An exception has the form that the service gives it; a bare status is what a proxy would say.
pub(super) fn response(status: Option<u16>, name: Option<&str>, message: Option<&str>) -> Response {
    let message = message.unwrap_or("A fault on purpose.");
    let own_status = name.and_then(ErrorKind::from_name).map(ErrorKind::status);
    let status = status.or(own_status);
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = match name {
        None => typed("text/plain; charset=utf-8", Body::from(message.to_owned())),
        Some(name) => {
            let body = json!({ "__type": name, "Message": message, "message": message });
            let mut response = typed("application/json", Body::from(body.to_string()));
            if let Ok(name) = HeaderValue::from_str(name) {
                response.headers_mut().insert(ERROR_TYPE_HEADER, name);
            }
            response
        }
    };
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

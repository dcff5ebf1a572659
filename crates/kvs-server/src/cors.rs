//! Which web pages of other origins may call the API, and the headers that tell their browser so.
//!
//! A page that calls an open server is somebody's on the internet, run by a browser that sits on
//! this machine: it is refused unless `--allow-origin` names it. Where a signature is needed a
//! page can do nothing without keys, so any may ask, as with AWS.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use kvs_protocol::api::Operation;

use crate::config::Config;
use crate::start_error::StartError;

/// What a script may read beside the body; AWS exposes the same.
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("x-amzn-RequestId, x-amzn-ErrorType, Date");
/// A browser asks again after so many seconds; most keep no answer for longer.
const PREFLIGHT_AGE_S: HeaderValue = HeaderValue::from_static("600");

/// Origins other than the server's own.
#[derive(Debug)]
pub(crate) struct Origins {
    /// Those of `--allow-origin`; `None` is any.
    allowed: Option<Vec<String>>,
}

/// What a request of another origin is told, whatever becomes of it.
#[derive(Debug)]
pub(crate) struct Grant {
    origin: HeaderValue,
    preflight: bool,
    /// The headers that the page wants to send.
    wanted: Option<HeaderValue>,
}

impl Origins {
    /// # Errors
    /// An origin is none.
    pub(crate) fn new(config: &Config) -> Result<Self, StartError> {
        for origin in &config.allow_origins {
            check(origin)?;
        }
        let open = config.credentials.is_none();
        Ok(Self {
            allowed: open.then(|| config.allow_origins.clone()),
        })
    }

    /// Whether a page of this origin may call.
    pub(crate) fn allows(&self, origin: &HeaderValue) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| {
            let is = |one: &String| one.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
            allowed.iter().any(is)
        })
    }

    /// What to tell the browser that sent this; nothing where no page of another origin asks for
    /// an operation.
    pub(crate) fn grant<B>(&self, request: &Request<B>) -> Option<Grant> {
        let headers = request.headers();
        let origin = headers.get(ORIGIN).filter(|origin| self.allows(origin))?;
        Operation::from_path(request.uri().path())?;
        let preflight = request.method() == Method::OPTIONS
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Some(Grant {
            origin: origin.clone(),
            preflight,
            wanted: headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned(),
        })
    }
}

impl Grant {
    /// The answer to a browser that asks before it lets its page send; a request that is sent is
    /// answered by its operation.
    pub(crate) fn preflight(&self) -> Option<Response> {
        self.preflight.then(|| {
            let mut response = Response::new(Body::empty());
            let headers = response.headers_mut();
            let methods = HeaderValue::from_static("POST");
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE_S);
            if let Some(wanted) = &self.wanted {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
            response
        })
    }

    /// Lets the page read the answer.
    pub(crate) fn mark(self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        // Another origin gets another answer.
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}

/// An origin is what browsers send: a scheme, a host, perhaps a port.
fn check(text: &str) -> Result<(), StartError> {
    let is_origin = text.parse::<Uri>().is_ok_and(|uri| {
        let plain = uri.path() == "/" && uri.query().is_none() && !text.ends_with('/');
        uri.scheme().is_some() && uri.host().is_some() && plain
    });
    if is_origin && !text.contains(['*', '@']) {
        return Ok(());
    }
    Err(StartError::Flag {
        flag: "allow-origin",
        value: text.into(),
        what: "it has to be http://HOST:PORT or https://HOST:PORT, as browsers send it",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for origin in ["http://localhost:3000", "https://player.example"] {
            assert!(check(origin).is_ok(), "{origin}");
        }
        for other in [
            "*",
            "null",
            "player.example",
            "https://player.example/",
            "https://player.example/page",
            "https://*.example",
            "https://me@player.example",
            "",
        ] {
            assert!(check(other).is_err(), "{other}");
        }
    }
}

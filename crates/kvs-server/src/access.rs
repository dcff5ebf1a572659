//! The log of requests: a span that every line about a request is in, and one line at its end.
//!
//! A request is over when its response is, which for media is long after the handler has returned.
//! Until then whatever polls its bodies does so inside the span.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;
use tracing::Span;
use tracing::field::{Empty, display};

/// Paths that machines ask for all the time: their lines are for who looks for them.
const POLLED: [&str; 2] = ["/healthz", "/metrics"];

/// A request under way.
#[derive(Debug)]
pub(crate) struct Access {
    span: Span,
    begun: Instant,
    received_bytes: Arc<AtomicU64>,
    is_polled: bool,
}

impl Access {
    /// A request begins.
    pub(crate) fn begin<B>(id: &str, request: &Request<B>) -> Self {
        let path = request.uri().path();
        Self {
            // A span of a lower level would be left out, id and all, where only errors are logged.
            span: tracing::error_span!("request", %id, path, stream = Empty, key = Empty),
            begun: Instant::now(),
            received_bytes: Arc::default(),
            is_polled: POLLED.contains(&path),
        }
    }

    /// What the request's lines are in.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Counts what arrives.
    pub(crate) fn count(&self, body: Body) -> Body {
        Body::new(Received {
            body,
            bytes: Arc::clone(&self.received_bytes),
        })
    }

    /// Sees the response to its end, and then logs the line.
    pub(crate) fn follow(self, response: Response) -> Response {
        let status = response.status();
        response.map(|body| {
            Body::new(Sent {
                body,
                status,
                bytes: 0,
                is_whole: false,
                access: self,
            })
        })
    }
}

/// The request under way is about this stream. To be told once: a second one is logged beside it.
pub(crate) fn is_about(stream: &str) {
    Span::current().record("stream", stream);
}

/// The request under way is signed with this key, whose id is no secret.
pub(crate) fn is_signed_by(key_id: &str) {
    Span::current().record("key", display(key_id));
}

struct Received {
    body: Body,
    bytes: Arc<AtomicU64>,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.bytes.fetch_add(data_bytes(&frame), Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Sent {
    body: Body,
    status: StatusCode,
    bytes: u64,
    /// Whether its end has been seen.
    is_whole: bool,
    access: Access,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let span = self.access.span();
        let _entered = span.enter();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.bytes += data_bytes(&frame);
        self.is_whole = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let Access {
            span,
            begun,
            received_bytes,
            is_polled,
        } = &self.access;
        let _entered = span.enter();
        let status = self.status.as_u16();
        let received_bytes = received_bytes.load(Ordering::Relaxed);
        let sent_bytes = self.bytes;
        let duration_ms = begun.elapsed().as_millis() as u64;
        let what = match self.is_whole || self.body.is_end_stream() {
            true => "request done",
            // The client has left, or broke a limit.
            false => "request broken off",
        };
        match is_polled {
            false => tracing::info!(status, duration_ms, received_bytes, sent_bytes, "{what}"),
            true => tracing::debug!(status, duration_ms, received_bytes, sent_bytes, "{what}"),
        }
    }
}

fn data_bytes(frame: &Option<Result<Frame<Bytes>, axum::Error>>) -> u64 {
    let data = frame.as_ref().and_then(|frame| frame.as_ref().ok());
    data.and_then(Frame::data_ref)
        .map_or(0, |data| data.len() as u64)
}

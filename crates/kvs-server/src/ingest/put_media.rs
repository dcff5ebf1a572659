//! The head of a PutMedia: who asks, for which stream, and the answer that comes before any media.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::HeaderValue;
use http_body::Body as _;
use kvs_protocol::api::{Operation, ProducerTimecodes, PutMedia};
use kvs_protocol::{Ack, ApiError, ErrorKind};
use tokio::sync::mpsc;
use tracing::Instrument;

use super::session::{Session, SessionSettings};
use crate::api::reply::{Refusal, typed};
use crate::app::App;
use crate::ask::ask;
use crate::faults::acks::{SessionFaults, meet_faults};

/// Acks that wait for the client to take them. One that takes none is cut off by the connection.
const ACKS_WAITING_MAX: usize = 64;

/// Answers 200 as soon as the request is known to be good; the media comes after that.
pub(crate) async fn put_media(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (head, mut body) = request.into_parts();
    let caller = app.auth().verify(&head, None)?;
    let header = |name: &str| head.headers.get(name).map(HeaderValue::as_bytes);
    let request = PutMedia::parse(header)?;
    // Before the stream is looked up: a key learns nothing of streams that are not its own.
    app.admit(&caller, Operation::PutMedia, request.stream.name())?;
    let stream = app.stream(&request.stream)?;
    let live = app.live_stream(&stream).await?;
    let place = live.open_session().ok_or_else(|| {
        ApiError::new(
            ErrorKind::ConnectionLimitExceeded,
            "Two PutMedia connections to this stream are open already.",
        )
    })?;
    // From here on a fragment's number is at hand without a disk.
    let id = stream.id;
    ask(app.store(), move |store| store.prepare(id)).await?;
    let settings = SessionSettings {
        stream: stream.id,
        start_ms: match request.timecodes {
            ProducerTimecodes::Absolute => 0,
            ProducerTimecodes::RelativeTo(start) => start.as_ms(),
        },
        acks: request.acks,
        faults: app
            .faults()
            .map(|faults| SessionFaults::new(faults.clone(), stream.name.as_str())),
    };
    let first = poll_once(&mut body).await;
    let (acks, waiting) = mpsc::channel(ACKS_WAITING_MAX);
    let lines = match settings.faults.clone() {
        None => ack_body(in_order(waiting)),
        Some(faults) => ack_body(meet_faults(waiting, faults)),
    };
    let session = Session::new(Arc::clone(&app), live, place, settings, acks);
    // Its log lines carry the id of the request.
    tokio::spawn(session.run(body, first).in_current_span());
    Ok(typed("application/json", lines))
}

/// Asks for the body without waiting for it.
///
/// hyper sends `100 Continue` when a body is first polled, if no response has been written by
/// then; it gets to do so when this future has been pending once.
async fn poll_once(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    let first = poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok().map(Ok),
            // An error is told once only; after it a body that broke looks like one that ended.
            Poll::Ready(Some(Err(error))) => Some(Err(error)),
            // An end is found again by who reads on.
            _ => None,
        })
    })
    .await;
    tokio::task::yield_now().await;
    first
}

fn in_order(acks: mpsc::Receiver<Ack>) -> impl Stream<Item = Ack> + Send {
    stream::unfold(acks, async |mut acks| Some((acks.recv().await?, acks)))
}

/// Every ack is a chunk of its own: AWS's clients read at most 1024 bytes at once.
fn ack_body(acks: impl Stream<Item = Ack> + Send + 'static) -> Body {
    let lines = acks.map(|ack| Ok::<_, Infallible>(Bytes::from(ack.to_line())));
    Body::from_stream(lines.boxed())
}

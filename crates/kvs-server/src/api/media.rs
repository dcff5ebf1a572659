//! GetMedia: a stream from some place on, for as long as it goes on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use kvs_protocol::api::{GetMedia, Operation, StartSelector, TimestampOrigin};
use kvs_protocol::{ApiError, ChunkError, FragmentNumber, FragmentParts};

use super::call::Call;
use super::chunk;
use super::reply::{Refusal, media};
use crate::app::App;
use crate::ask::ask;
use crate::connection::OnlyReads;
use crate::live::{BEFORE_ALL, LiveStream};
use crate::metrics::Present;
use crate::quotas::OpenResponse;
use crate::reader::{Piece, Start, StreamReader};
use crate::store::{StoreError, Stream, TimeOrigin};

pub(crate) async fn get_media(
    State(app): State<Arc<App>>,
    Extension(only_reads): Extension<OnlyReads>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = GetMedia::parse(&call.body)?;
    app.admit(&call.caller, Operation::GetMedia, request.stream.name())?;
    let stream = app.stream(&request.stream)?;
    let live = app.live_stream(&stream).await?;
    let start = match request.start {
        StartSelector::Now => Start::Now,
        StartSelector::Earliest => Start::After(BEFORE_ALL),
        StartSelector::After(number) => Start::After(after(&number)),
        StartSelector::Continue(token) => Start::After(behind(&app, &stream, &live, &token).await?),
        StartSelector::At(origin, at) => Start::At {
            origin: time_origin(origin),
            at_ms: at.as_ms(),
        },
    };
    let reader = StreamReader::open(
        app.store().clone(),
        stream.id,
        &live,
        start,
        app.config().get_media_idle,
        app.stopping(),
    )
    .await?;
    let open = app.open_response(Operation::GetMedia, request.stream.name())?;
    only_reads.mark();
    let chunks = Chunks {
        _open: open,
        _present: Present::among(&app.metrics().readers),
        app,
        reader,
        ready: VecDeque::new(),
        number: None,
        ended: false,
    };
    Ok(media(stream::unfold(chunks, async |mut chunks| {
        let bytes = chunks.next().await?;
        Some((Ok::<_, Infallible>(bytes), chunks))
    })))
}

/// Where the chunk ended that carried this token, which has to be one of this stream.
async fn behind(
    app: &App,
    stream: &Stream,
    live: &LiveStream,
    token: &FragmentNumber,
) -> Result<FragmentParts, Refusal> {
    let id = stream.id;
    if let Some(number) = token.parts()
        && !live.contradicts(number)
        && ask(app.store(), move |store| store.may_have_given(id, number)).await?
    {
        return Ok(number);
    }
    let message = "ContinuationToken is not one of this stream; pass the one of its last chunk, \
                   unchanged.";
    Err(ApiError::invalid_argument(message).into())
}

/// Where a number stands that may be none of this server's.
fn after(number: &FragmentNumber) -> FragmentParts {
    number.parts().unwrap_or_else(|| {
        let first = FragmentNumber::from_parts(BEFORE_ALL);
        match *number < first {
            true => BEFORE_ALL,
            false => FragmentParts {
                sequence: u64::MAX,
                server_ms: u64::MAX,
                random: u32::MAX,
            },
        }
    })
}

pub(super) fn time_origin(origin: TimestampOrigin) -> TimeOrigin {
    match origin {
        TimestampOrigin::Producer => TimeOrigin::Producer,
        TimestampOrigin::Server => TimeOrigin::Server,
    }
}

/// The body of the response.
struct Chunks {
    app: Arc<App>,
    reader: StreamReader,
    /// Bytes that are to go out before the reader is asked again.
    ready: VecDeque<Bytes>,
    /// The fragment that is going out.
    number: Option<FragmentParts>,
    ended: bool,
    _open: Option<OpenResponse>,
    _present: Present,
}

impl Chunks {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.ended {
                return None;
            }
            match self.reader.next().await {
                Ok(Some(Piece::Bytes(bytes))) => return Some(bytes),
                Ok(Some(Piece::Begin {
                    number,
                    producer_ms,
                    header,
                })) => {
                    self.number = Some(number);
                    self.ready
                        .extend([header, chunk::before_cluster(number, producer_ms)]);
                }
                Ok(Some(Piece::End { number })) => {
                    let now_ms = self.app.clock().now_ms();
                    self.ready.push_back(chunk::after_cluster(number, now_ms));
                }
                Ok(Some(Piece::Missed { number })) => {
                    self.fail(&ChunkError::REQUESTED_FRAGMENT_NOT_FOUND, number);
                }
                // Where the stream was deleted there is no more, as for a reader that follows.
                Ok(None) | Err(StoreError::NoStream) => self.ended = true,
                Err(error) => {
                    tracing::error!(%error, "a GetMedia ended early");
                    let number = self.number.unwrap_or(BEFORE_ALL);
                    let error = match error {
                        StoreError::NoFragment => ChunkError::REQUESTED_FRAGMENT_NOT_FOUND,
                        error => error.chunk_error(),
                    };
                    self.fail(&error, number);
                }
            }
        }
    }

    /// Says what went wrong, as the last thing.
    fn fail(&mut self, error: &ChunkError, number: FragmentParts) {
        let number = FragmentNumber::from_parts(number);
        self.ready.extend(chunk::of_error(error, &number));
        self.ended = true;
    }
}

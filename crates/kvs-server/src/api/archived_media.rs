//! Archived media: what is stored is listed, and given out by number.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use kvs_protocol::api::{
    FragmentSelector, GetMediaForFragmentList, ListFragments, ListedFragment, ListedFragments,
    Operation,
};
use kvs_protocol::{ApiError, ErrorKind, FragmentNumber, Timestamp};

use super::call::Call;
use super::media::time_origin;
use super::reply::{Refusal, json, media};
use super::{chunk, page_token};
use crate::app::App;
use crate::ask::ask;
use crate::metrics::Present;
use crate::quotas::OpenResponse;
use crate::store::{FragmentInfo, Query, Store, StoreError, StreamId};
use crate::stored::StoredFragment;

/// In the order of the time that was asked by, which the service does not promise.
pub(crate) async fn list_fragments(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = ListFragments::parse(&call.body)?;
    app.admit(
        &call.caller,
        Operation::ListFragments,
        request.stream.name(),
    )?;
    let stream = app.stream(&request.stream)?;
    // One more than the page, which tells whether there is another.
    let limit = request.max_results + 1;
    let query = match (&request.next_token, request.selector) {
        (Some(token), again) => {
            let query = page_token::fragments_after(token, stream.id, limit)?;
            if again.is_some_and(|selector| !is_of(&query, &selector)) {
                let message = "NextToken is that of another FragmentSelector; pass the last \
                               page's, or none.";
                return Err(ApiError::invalid_argument(message).into());
            }
            query
        }
        (None, Some(selector)) => Query {
            origin: time_origin(selector.origin),
            from_ms: selector.start.as_ms(),
            to_ms: selector.end.as_ms(),
            after: None,
            limit,
        },
        (None, None) => {
            return Err(ApiError::invalid_argument("FragmentSelector is missing.").into());
        }
    };
    let id = stream.id;
    let mut page = ask(app.store(), move |store| store.find(id, query)).await?;
    let more = page.fragments.len() > request.max_results;
    page.fragments.truncate(request.max_results);
    let last = page.fragments.last().filter(|_| more);
    // A page may be short, even empty, and not the last.
    let goes_on = last.or(page.stopped.as_ref());
    json(&ListedFragments {
        next_token: goes_on.map(|after| page_token::of_fragments(stream.id, &query, after)),
        fragments: page.fragments.iter().map(listed).collect(),
    })
}

/// Whether a query is for what the selector names.
fn is_of(query: &Query, selector: &FragmentSelector) -> bool {
    let of = (
        time_origin(selector.origin),
        selector.start.as_ms(),
        selector.end.as_ms(),
    );
    of == (query.origin, query.from_ms, query.to_ms)
}

fn listed(info: &FragmentInfo) -> ListedFragment {
    ListedFragment {
        fragment_number: FragmentNumber::from_parts(info.number),
        fragment_size_in_bytes: info.bytes,
        producer_timestamp: Timestamp::from_ms(info.producer_ms),
        server_timestamp: Timestamp::from_ms(info.number.server_ms),
        fragment_length_in_milliseconds: info.length_ms,
    }
}

/// In the order of the request.
pub(crate) async fn get_media_for_fragment_list(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Response, Refusal> {
    let request = GetMediaForFragmentList::parse(&call.body)?;
    let operation = Operation::GetMediaForFragmentList;
    app.admit(&call.caller, operation, request.stream.name())?;
    let stream = app.stream(&request.stream)?;
    if stream.retention_hours == 0 {
        // The model of this operation has no NoDataRetentionException.
        let message = "The requested stream has no data retention, and so no archive.";
        return Err(ApiError::new(ErrorKind::ResourceNotFound, message).into());
    }
    let live = app.live_stream(&stream).await?;
    let id = stream.id;
    let numbers = request.fragments;
    let wanted = ask(app.store(), move |store| {
        numbers
            .into_iter()
            .map(|number| Ok((look_up(store, id, &number)?, number)))
            .collect()
    })
    .await?;
    let wanted: VecDeque<(Option<FragmentInfo>, FragmentNumber)> = wanted;
    // One that is being received will be stored soon: the client is told so in its place.
    let unknown = |(info, number): &&(Option<FragmentInfo>, FragmentNumber)| {
        info.is_none() && !number.parts().is_some_and(|parts| live.has(parts))
    };
    let unknown: Vec<_> = wanted
        .iter()
        .filter(unknown)
        .map(|(_, number)| number.as_str())
        .collect();
    if !unknown.is_empty() {
        let message = format!("Fragment numbers are invalid : {}", unknown.join(", "));
        return Err(ApiError::invalid_argument(message).into());
    }
    let chunks = ListChunks {
        _open: app.open_response(operation, request.stream.name())?,
        _present: Present::among(&app.metrics().readers),
        store: app.store().clone(),
        id,
        wanted,
        ready: VecDeque::new(),
        open: None,
    };
    Ok(media(stream::unfold(chunks, async |mut chunks| {
        let bytes = chunks.next().await?;
        Some((Ok::<_, Infallible>(bytes), chunks))
    })))
}

fn look_up(
    store: &Store,
    id: StreamId,
    number: &FragmentNumber,
) -> Result<Option<FragmentInfo>, StoreError> {
    match number.parts() {
        Some(parts) => store.fragment(id, parts),
        None => Ok(None),
    }
}

/// The body of the response.
struct ListChunks {
    store: Store,
    id: StreamId,
    wanted: VecDeque<(Option<FragmentInfo>, FragmentNumber)>,
    /// Bytes that are to go out before the store is asked again.
    ready: VecDeque<Bytes>,
    open: Option<(StoredFragment, FragmentNumber)>,
    _present: Present,
    _open: Option<OpenResponse>,
}

impl ListChunks {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if let Some((stored, number)) = &mut self.open {
                match stored.next().await {
                    Ok(Some(bytes)) => return Some(bytes),
                    Ok(None) => self.open = None,
                    Err(StoreError::NoStream) => return None,
                    Err(error) => {
                        let number = number.clone();
                        self.fail(&error, &number);
                    }
                }
                continue;
            }
            let (info, number) = self.wanted.pop_front()?;
            let opened = match info {
                Some(info) => StoredFragment::open(&self.store, self.id, info.number)
                    .await
                    .map(|opened| (opened, info)),
                None => Err(StoreError::NoFragment),
            };
            match opened {
                Ok(((header, stored), info)) => {
                    let tags = chunk::before_cluster(info.number, info.producer_ms);
                    self.ready.extend([header, tags]);
                    self.open = Some((stored, number));
                }
                // The stream was deleted.
                Err(StoreError::NoStream) => return None,
                Err(error) => self.fail(&error, &number),
            }
        }
    }

    /// Says what went wrong, as the last thing.
    fn fail(&mut self, error: &StoreError, number: &FragmentNumber) {
        tracing::warn!(%error, %number, "a GetMediaForFragmentList ended early");
        self.ready
            .extend(chunk::of_error(&error.chunk_error(), number));
        self.open = None;
        self.wanted.clear();
    }
}

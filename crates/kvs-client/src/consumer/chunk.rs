//! Chunks: the Matroska documents in which GetMedia and GetMediaForFragmentList give fragments.
//!
//! Shapes are those of the API reference's GetMedia page and of recordings of the service: one
//! document a fragment, the service's tags before the cluster, the producer's metadata and, live,
//! two more tags of the service behind it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use kvs_media::mkv::{DemuxError, Demuxer, Event, Limits, Tag};
use kvs_media::{Frame, ProducerTime, Track};
use kvs_protocol::Timestamp;

use super::fault::Fault;
use super::item::{FragmentEnd, FragmentInfo};

/// All tags that begin like this are the service's, never the producer's.
const SERVICE_PREFIX: &str = "AWS_KINESISVIDEO";

/// A cluster's time this far from the fragment's producer time counts from the producer's start
/// and not from 1970. Absolute ones differ by rounding alone; no device started within a minute
/// of 1970.
const RELATIVE_OFFSET_MIN_NS: u64 = 60_000_000_000;

/// The most metadata kept of one chunk. The service takes 10 tags of at most 384 bytes; a chunk
/// with more than this is not the service's.
const TAGS_MAX: usize = 1024;

/// One thing that was found in chunks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ChunkEvent {
    /// The chunk's tracks.
    Tracks(Arc<[Track]>),
    /// A fragment begins.
    Start(Arc<FragmentInfo>),
    /// A frame of it, in absolute producer time.
    Frame(Frame),
    /// It has ended. Live, the continuation token says that it is whole.
    End(FragmentEnd),
    /// The service says why it gives no fragment, or no more.
    Error(Fault),
}

/// Why chunks cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChunkError {
    /// Not Matroska.
    #[error(transparent)]
    Demux(#[from] DemuxError),
    /// A cluster without the service's tags before it, or with tags that make no sense.
    #[error("a cluster without the fragment's number and times before it")]
    Unnamed,
    /// More tags than a chunk can have.
    #[error("more than {TAGS_MAX} tags in one chunk")]
    TooManyTags,
}

/// A push parser from the bytes of a response, cut anywhere, to its fragments and frames.
///
/// Hand over bytes with [`push`](Self::push) and call [`next`](Self::next) until it says `None`; at
/// the end of the response, [`finish`](Self::finish) until it says `None`. Frames are slices of
/// what was pushed.
#[derive(Debug)]
pub(super) struct ChunkParser {
    demuxer: Demuxer,
    chunk: Chunk,
    ready: VecDeque<ChunkEvent>,
}

/// What is known of the chunk at hand.
#[derive(Debug, Default)]
struct Chunk {
    /// Values of the service's tags, by what follows the prefix and `_`.
    number: Option<String>,
    server_time: Option<Timestamp>,
    producer_time: Option<Timestamp>,
    millis_behind: Option<u64>,
    continuation: Option<String>,
    error_id: Option<String>,
    error_code: Option<String>,
    /// The producer's own.
    tags: Vec<Tag>,
    fragment: Option<Arc<FragmentInfo>>,
    ended: bool,
    /// Added to the times of frames.
    offset_ns: u64,
}

impl ChunkParser {
    /// A parser before the first byte of a response.
    pub(super) fn new() -> Self {
        Self {
            demuxer: Demuxer::new(Limits::default()),
            chunk: Chunk::default(),
            ready: VecDeque::new(),
        }
    }

    /// Hands over the next bytes of the response.
    pub(super) fn push(&mut self, input: Bytes) {
        self.demuxer.push(input);
    }

    /// The next event; `None` if that needs more input.
    pub(super) fn next(&mut self) -> Result<Option<ChunkEvent>, ChunkError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.demuxer.next()? {
                Some(event) => self.event(event)?,
                None => return Ok(None),
            }
        }
    }

    /// The next event when the response has ended. A last chunk without tags behind its cluster
    /// ends here: it is whole in an archive, and live it has been broken off.
    pub(super) fn finish(&mut self) -> Result<Option<ChunkEvent>, ChunkError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.demuxer.finish()? {
                Some(event) => self.event(event)?,
                None => {
                    self.end_of_chunk();
                    return Ok(self.ready.pop_front());
                }
            }
        }
    }

    fn event(&mut self, event: Event) -> Result<(), ChunkError> {
        match event {
            Event::Document { .. } => self.end_of_chunk(),
            Event::Tracks(tracks) => self.ready.push_back(ChunkEvent::Tracks(tracks)),
            Event::Tags { tags, .. } => self.tags(tags)?,
            Event::ClusterStart { time, .. } => {
                let fragment = self.chunk.fragment.as_ref().ok_or(ChunkError::Unnamed)?;
                let start = ProducerTime::from_ms(fragment.producer_time.as_ms());
                let offset_ns = start.saturating_ns_since(time);
                let relative = offset_ns >= RELATIVE_OFFSET_MIN_NS;
                self.chunk.offset_ns = if relative { offset_ns } else { 0 };
            }
            Event::Frame(mut frame) => {
                frame.time = frame.time.saturating_add_ns(self.chunk.offset_ns);
                self.ready.push_back(ChunkEvent::Frame(frame));
            }
            _ => {}
        }
        Ok(())
    }

    fn tags(&mut self, tags: Vec<Tag>) -> Result<(), ChunkError> {
        for tag in tags {
            self.chunk.tag(tag)?;
        }
        let chunk = &mut self.chunk;
        if chunk.fragment.is_none()
            && chunk.error_id.is_none()
            && let Some(fragment) = chunk.named()
        {
            let fragment = Arc::new(fragment);
            chunk.fragment = Some(Arc::clone(&fragment));
            self.ready.push_back(ChunkEvent::Start(fragment));
        }
        if chunk.millis_behind.is_some() && chunk.continuation.is_some() {
            self.end_of_fragment();
        }
        Ok(())
    }

    fn end_of_fragment(&mut self) {
        let chunk = &mut self.chunk;
        if let Some(fragment) = chunk.fragment.clone().filter(|_| !chunk.ended) {
            chunk.ended = true;
            self.ready.push_back(ChunkEvent::End(FragmentEnd {
                fragment,
                tags: std::mem::take(&mut chunk.tags),
                millis_behind: chunk.millis_behind,
                continuation: chunk.continuation.take(),
            }));
        }
    }

    /// Another document begins, or the response has ended.
    fn end_of_chunk(&mut self) {
        self.end_of_fragment();
        let chunk = std::mem::take(&mut self.chunk);
        if let Some(id) = chunk.error_id {
            self.ready.push_back(ChunkEvent::Error(Fault {
                id: id.parse().unwrap_or(0),
                code: chunk.error_code.unwrap_or_default(),
            }));
        }
    }
}

impl Chunk {
    fn tag(&mut self, tag: Tag) -> Result<(), ChunkError> {
        let Some(name) = tag.name.strip_prefix(SERVICE_PREFIX) else {
            if self.tags.len() == TAGS_MAX {
                return Err(ChunkError::TooManyTags);
            }
            self.tags.push(tag);
            return Ok(());
        };
        match name {
            "_FRAGMENT_NUMBER" => self.number = Some(tag.value),
            // The names with SIDE are those of the archive's documentation.
            "_SERVER_TIMESTAMP" | "_SERVER_SIDE_TIMESTAMP" => {
                self.server_time = tag.value.parse().ok();
            }
            "_PRODUCER_TIMESTAMP" | "_PRODUCER_SIDE_TIMESTAMP" => {
                self.producer_time = tag.value.parse().ok();
            }
            "_MILLIS_BEHIND_NOW" => {
                // Clocks differ: what is ahead of the service is not behind it.
                let ms: i64 = tag.value.parse().unwrap_or(0);
                self.millis_behind = Some(ms.max(0).unsigned_abs());
            }
            "_CONTINUATION_TOKEN" => self.continuation = Some(tag.value),
            "_ERROR_ID" => self.error_id = Some(tag.value),
            "_ERROR_CODE" => self.error_code = Some(tag.value),
            _ => {}
        }
        Ok(())
    }

    /// The fragment, once the service has named it.
    fn named(&self) -> Option<FragmentInfo> {
        Some(FragmentInfo {
            number: self.number.as_ref()?.parse().ok()?,
            server_time: self.server_time?,
            producer_time: self.producer_time?,
        })
    }
}

#[cfg(test)]
mod tests;

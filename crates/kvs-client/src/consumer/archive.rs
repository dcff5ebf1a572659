//! The archive reader: a range of what is recorded, in order, with an end.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kvs_protocol::Timestamp;
use tokio::time::sleep_until;

use super::fetch::{BATCH_BYTES_MAX, BATCH_FRAGMENTS_MAX, BATCHES_MAX, Batch};
use super::item::Item;
use super::listing::{Listed, Listing, is_past_retention};
use super::media::{Media, Paging};
use super::playback::{Playback, Step};
use crate::service::Service;
use crate::service_error::ServiceError;
use crate::{clock, random};

/// By which clock a range and its order are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeClock {
    /// The producer's: when it was captured. Of fragments that start at the same time the one
    /// with the largest number is read, as the playback APIs do.
    #[default]
    Producer,
    /// The service's: when it arrived.
    Server,
}

/// A range of an archive, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// What `from` and `to` mean.
    pub clock: RangeClock,
    /// Reading begins with the fragment that contains this time; `None` is the oldest one.
    pub from: Option<Timestamp>,
    /// The last fragment read starts at this time at the latest; `None` is the newest one.
    pub to: Option<Timestamp>,
}

/// What there is in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The start of the first fragment.
    pub start: Timestamp,
    /// The time of the last frame.
    pub end: Timestamp,
}

/// Reads a range of the archive, frame by frame, and can be sent to any time in it.
///
/// What cannot be read is tried again, then reported as [`Item::Lost`] and left out. Dropping the
/// reader ends it.
pub struct ArchiveReader {
    media: Arc<dyn Media>,
    listing: Listing,
    clock: RangeClock,
    paging: Option<Paging>,
    playback: Playback,
    /// The batch that is read, and the one ahead; each with the place behind its last fragment.
    batches: VecDeque<(Batch, usize)>,
}

impl fmt::Debug for ArchiveReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveReader")
            .field("playback", &self.playback)
            .finish_non_exhaustive()
    }
}

impl ArchiveReader {
    /// A reader that asks for nothing before it is asked.
    pub fn new(service: Service, range: Range) -> Self {
        Self::with_media(Arc::new(service), range)
    }

    pub(super) fn with_media(media: Arc<dyn Media>, range: Range) -> Self {
        Self {
            media,
            listing: Listing::new(&range, clock::wall_ms()),
            clock: range.clock,
            paging: None,
            playback: Playback::new(range.from.unwrap_or_default()),
            batches: VecDeque::new(),
        }
    }

    /// Gives up after so many failures in a row of the connection or the service; 0 is never.
    #[must_use]
    pub fn with_retry_attempts(mut self, attempts: u32) -> Self {
        self.playback.set_retry_attempts(attempts);
        self
    }

    /// What there is in the range; `None` if there is nothing. Lists all of it.
    ///
    /// # Errors
    /// The listing cannot be had. Another call tries again.
    pub async fn extent(&mut self) -> Result<Option<Extent>, ServiceError> {
        while self.list_more().await? {}
        Ok(self.listing.extent())
    }

    /// Goes on with the fragment that contains a time of the range, by the range's clock. What was
    /// fetched is dropped.
    pub fn seek(&mut self, to: Timestamp) {
        self.batches.clear();
        self.playback.seek(to);
    }

    /// The next item; [`Item::End`] at the end of the range and ever after.
    ///
    /// Cancel-safe: a call that is dropped has lost nothing.
    ///
    /// # Errors
    /// Trying again is of no use.
    pub async fn next(&mut self) -> Result<Item, ServiceError> {
        loop {
            if let Some(item) = self.playback.poll_item() {
                return Ok(item);
            }
            match self.playback.poll_step(&self.listing) {
                Step::End => return Ok(Item::End),
                Step::Fail(error) => return Err(error),
                Step::List => {
                    if let Err(error) = self.list_more().await {
                        let now = clock::monotonic();
                        self.playback.handle_refused(error, now, random::number());
                    }
                }
                Step::Wait(until) => {
                    self.batches.clear();
                    sleep_until(until).await;
                    self.playback.handle_due();
                    self.media.forget(self.playback.take_stale());
                }
                Step::Read(place) => self.read(place).await,
            }
        }
    }

    /// Asks for one more page; whether there was one to ask for. Cancel-safe.
    async fn list_more(&mut self) -> Result<bool, ServiceError> {
        let Some((window, token)) = self.listing.request() else {
            return Ok(false);
        };
        let paging = self
            .paging
            .get_or_insert_with(|| self.media.list_fragments(window, self.clock, token));
        let page = paging.await;
        self.paging = None;
        match page {
            Ok(page) => self.listing.page(page)?,
            Err(error) if is_past_retention(&error) => self.listing.expired(),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Reads a piece of the fragment at a place of the listing or of one behind it.
    async fn read(&mut self, place: usize) {
        self.fetch_ahead(place);
        let Some((batch, end)) = self.batches.front_mut() else {
            return;
        };
        let (piece, end) = (batch.next().await, *end);
        let listed = self.listing.fragments();
        match piece {
            Some(Ok(bytes)) => self.piece(bytes),
            Some(Err(error)) => self.failed(error),
            None => {
                let whole = self.playback.handle_end_of_batch(listed, end);
                self.batches.pop_front();
                if let Err(error) = whole {
                    self.failed(error);
                }
            }
        }
    }

    fn piece(&mut self, bytes: Bytes) {
        if let Err(error) = self.playback.handle_bytes(bytes, self.listing.fragments()) {
            self.failed(error);
        }
    }

    fn failed(&mut self, error: ServiceError) {
        self.batches.clear();
        let listed = self.listing.fragments();
        self.playback
            .handle_failed(error, listed, clock::monotonic(), random::number());
    }

    /// Keeps as many batches in flight as are allowed.
    fn fetch_ahead(&mut self, place: usize) {
        while self.batches.len() < BATCHES_MAX {
            let begin = self.batches.back().map_or(place, |(_, end)| *end);
            let listed = self.listing.fragments().get(begin..).unwrap_or_default();
            let count = match self.playback.is_cautious() {
                // A fragment that failed in a batch is read alone, so that it alone can fail.
                true if !self.batches.is_empty() => return,
                true => listed.len().min(1),
                false => batch_len(listed),
            };
            if count == 0 {
                return;
            }
            let numbers = listed[..count]
                .iter()
                .map(|listed| listed.number.clone())
                .collect();
            let opening = self.media.get_fragments(numbers);
            self.batches.push_back((Batch::new(opening), begin + count));
        }
    }
}

/// How many fragments from the first one on make a batch.
fn batch_len(listed: &[Listed]) -> usize {
    let mut bytes = 0_u64;
    let fits = |listed: &&Listed| {
        bytes = bytes.saturating_add(listed.bytes);
        bytes <= BATCH_BYTES_MAX
    };
    let count = listed
        .iter()
        .take(BATCH_FRAGMENTS_MAX)
        .take_while(fits)
        .count();
    // One that is larger than that is a batch of its own.
    count.max(usize::from(!listed.is_empty()))
}

#[cfg(test)]
mod tests;

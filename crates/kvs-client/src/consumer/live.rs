//! The live reader: GetMedia without an end.

use std::fmt;

use futures_util::StreamExt;
use kvs_protocol::{FragmentNumber, Timestamp};
use tokio::time::{sleep_until, timeout_at};

use super::item::Item;
use super::media::{Body, Media, Opening};
use super::session::{Phase, Session};
use crate::service::Service;
use crate::service_error::ServiceError;
use crate::{clock, random};

/// Where a live reader starts, as GetMedia's StartSelector names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With the fragment that arrives now, or the next one.
    Now,
    /// With the oldest one kept.
    Earliest,
    /// With the one after that number.
    AfterFragment(FragmentNumber),
    /// With the one that contains the instant by the producer's clock, or the next later one.
    ProducerTime(Timestamp),
    /// With the one that contains the instant by the service's clock, or the next later one.
    ServerTime(Timestamp),
    /// Behind the fragment that gave the token.
    Continuation(String),
}

/// How a live reader reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveConfig {
    /// Where it starts.
    pub start: Start,
    /// After so many failures without a frame in between it gives up; 0 is never.
    pub retry_attempts: u32,
    /// Whether a stream that does not exist is waited for.
    pub wait_for_stream: bool,
    /// Whether fragments with a producer time that has been given are left out, as a producer that
    /// lost its connection sends them again.
    pub deduplicate: bool,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            start: Start::Now,
            retry_attempts: 0,
            wait_for_stream: false,
            deduplicate: true,
        }
    }
}

/// Reads a stream as it is recorded, frame by frame, and goes on whatever ends a response.
///
/// No frame is lost or given twice: it goes on behind the last complete fragment, and of one that
/// broke off the frames already given are left out. Dropping the reader ends it.
pub struct LiveReader {
    media: Box<dyn Media>,
    session: Session,
    link: Link,
}

enum Link {
    None,
    Opening(Opening),
    Open(Body),
}

impl fmt::Debug for LiveReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveReader")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl LiveReader {
    /// A reader that connects when it is first asked.
    pub fn new(service: Service, config: LiveConfig) -> Self {
        Self::with_media(Box::new(service), config)
    }

    pub(super) fn with_media(media: Box<dyn Media>, config: LiveConfig) -> Self {
        let session = Session::new(config, clock::monotonic());
        Self {
            media,
            session,
            link: Link::None,
        }
    }

    /// The token behind the last fragment that was given completely, for a later reader's
    /// [`Start::Continuation`].
    pub fn continuation(&self) -> Option<&str> {
        self.session.continuation()
    }

    /// The next item; waits for it as long as it takes.
    ///
    /// Cancel-safe: a call that is dropped has lost nothing.
    ///
    /// # Errors
    /// Trying again is of no use, or was done as often as configured. The same error is given ever
    /// after.
    pub async fn next(&mut self) -> Result<Item, ServiceError> {
        loop {
            if let Some(item) = self.session.poll_item() {
                return Ok(item);
            }
            match self.session.phase() {
                Phase::Failed(error) => {
                    let error = error.clone();
                    self.link = Link::None;
                    return Err(error);
                }
                Phase::Waiting(until) => {
                    let until = *until;
                    self.link = Link::None;
                    sleep_until(until).await;
                    self.session.handle_due(clock::monotonic());
                    let stale = self.session.take_stale();
                    self.media.forget(stale);
                    self.link = Link::Opening(self.media.get_media(self.session.selector()));
                }
                Phase::Connecting | Phase::Reading(_) => self.drive().await,
            }
        }
    }

    /// Waits for what the connection does next, and reports it.
    async fn drive(&mut self) {
        match &mut self.link {
            Link::Opening(opening) => match opening.await {
                Ok(body) => {
                    self.link = Link::Open(body);
                    self.session.handle_opened(clock::monotonic());
                }
                Err(error) => self.ended(Some(error)),
            },
            Link::Open(body) => {
                let silent_at = match self.session.phase() {
                    Phase::Reading(until) => *until,
                    _ => clock::monotonic(),
                };
                match timeout_at(silent_at, body.next()).await {
                    Ok(Some(Ok(bytes))) => {
                        self.session
                            .handle_bytes(bytes, clock::monotonic(), random::number());
                    }
                    Ok(Some(Err(error))) => self.ended(Some(error)),
                    Ok(None) | Err(_) => self.ended(None),
                }
            }
            Link::None => self.ended(None),
        }
    }

    fn ended(&mut self, error: Option<ServiceError>) {
        self.link = Link::None;
        self.session
            .handle_ended(error, clock::monotonic(), random::number());
    }
}

#[cfg(test)]
mod tests;

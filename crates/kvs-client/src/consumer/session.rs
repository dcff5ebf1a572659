//! A live session: what becomes of bytes, errors and ends of GetMedia, in any order.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::chunk::{ChunkError, ChunkEvent, ChunkParser};
use super::item::Item;
use super::live::{LiveConfig, Start};
use super::replay::Replay;
use super::stale::{Stale, Staleness};
use crate::backoff::Backoff;
use crate::service_error::{ErrorKind, ServiceError};

/// The service takes 5 GetMedia a second for a stream; one client stays below that.
const CONNECT_INTERVAL_MIN: Duration = Duration::from_millis(250);

/// A response without a byte for so long is taken for dead: the service ends an idle one after
/// some seconds, and a connection that was cut without a word never ends.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long a stream that has been read may be gone. A service that starts again without what it
/// had knows it only once its producer has made it again, which tries every 20 s at least. Whoever
/// deleted it on purpose waits for the error a little.
const STREAM_GONE_MAX: Duration = Duration::from_secs(30);

/// How often a fragment whose bytes make no sense is read before it is given up: the first time
/// the network may be to blame, the third time the fragment is.
const CORRUPT_READS_MAX: u32 = 3;

/// Decides, from what happened, which items there are and what is to be done next.
///
/// ```text
///            due                 opened                bytes
///   Waiting ─────► Connecting ──────────► Reading ◄──────────┐
///      ▲               │ ended               │ ended └───────┘
///      └───────────────┴─────────────────────┴──► Failed, where trying again is of no use
/// ```
/// Grammar: as long as [`poll_item`](Self::poll_item) gives items, take them; then do what
/// [`phase`](Self::phase) says and report it by one `handle_*`.
#[derive(Debug)]
pub(super) struct Session {
    config: LiveConfig,
    phase: Phase,
    items: VecDeque<Item>,
    replay: Replay,
    parser: ChunkParser,
    connect_began: Instant,
    /// Failures since the last frame.
    backoff: Backoff,
    /// Reads of the fragment at hand that came to nonsense.
    corrupt_reads: u32,
    stream: Presence,
    staleness: Staleness,
}

/// What is to be done next.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Nothing, until then.
    Waiting(Instant),
    /// Ask for [`Session::selector`].
    Connecting,
    /// Read; if nothing comes until then, the response has ended.
    Reading(Instant),
    /// Nothing ever again.
    Failed(ServiceError),
}

/// What is known of the stream itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Nothing was ever read of it.
    Unknown,
    /// It has been read.
    Read,
    /// It had been read, and has not been there since.
    Gone(Instant),
}

impl Session {
    pub(super) fn new(config: LiveConfig, now: Instant) -> Self {
        Self {
            phase: Phase::Waiting(now),
            items: VecDeque::new(),
            replay: Replay::new(config.start.clone(), config.deduplicate),
            parser: ChunkParser::new(),
            connect_began: now,
            backoff: Backoff::default(),
            corrupt_reads: 0,
            stream: Presence::Unknown,
            staleness: Staleness::default(),
            config,
        }
    }

    /// The next item, if there is one.
    pub(super) fn poll_item(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Where the request to be made starts.
    pub(super) fn selector(&self) -> Start {
        self.replay.selector()
    }

    pub(super) fn continuation(&self) -> Option<&str> {
        self.replay.continuation()
    }

    /// What is to be forgotten before the next request; told once.
    pub(super) fn take_stale(&mut self) -> Stale {
        self.staleness.take()
    }

    /// The time to wait for is over.
    pub(super) fn handle_due(&mut self, now: Instant) {
        self.connect_began = now;
        self.phase = Phase::Connecting;
    }

    /// The response began.
    pub(super) fn handle_opened(&mut self, now: Instant) {
        self.parser = ChunkParser::new();
        self.phase = Phase::Reading(now + SILENCE_MAX);
        self.items.push_back(Item::Connected);
    }

    /// Bytes of the response.
    pub(super) fn handle_bytes(&mut self, bytes: Bytes, now: Instant, random: u64) {
        self.phase = Phase::Reading(now + SILENCE_MAX);
        self.parser.push(bytes);
        loop {
            let ended = match self.parser.next() {
                Ok(None) => return,
                Ok(Some(ChunkEvent::Error(fault))) => fault.into_error("GetMedia"),
                Ok(Some(event)) => {
                    self.event(event);
                    continue;
                }
                Err(error) => self.corrupt(&error),
            };
            self.lost(ended, now, random);
            return;
        }
    }

    /// The response has ended, or there is none: by an error, or in good order.
    pub(super) fn handle_ended(&mut self, error: Option<ServiceError>, now: Instant, random: u64) {
        let error = match (error, &self.phase) {
            (None, Phase::Reading(_)) => self.finish(),
            (error, _) => error,
        };
        match error {
            Some(error) => self.lost(error, now, random),
            None => self.ended(now),
        }
    }

    /// What the end of the response still says. Fragments that are not complete are not ended.
    fn finish(&mut self) -> Option<ServiceError> {
        loop {
            match self.parser.finish() {
                Ok(None) => return None,
                Ok(Some(ChunkEvent::Error(fault))) => return Some(fault.into_error("GetMedia")),
                Ok(Some(ChunkEvent::End(end))) if end.continuation.is_none() => {}
                Ok(Some(event)) => self.event(event),
                // Broken off: what is missing is asked for again.
                Err(_) => return None,
            }
        }
    }

    fn event(&mut self, event: ChunkEvent) {
        match event {
            ChunkEvent::Tracks(tracks) => self.items.extend(self.replay.tracks(tracks)),
            ChunkEvent::Start(fragment) => self.replay.start(fragment, &mut self.items),
            ChunkEvent::Frame(frame) => {
                if let Some(item) = self.replay.frame(frame) {
                    self.items.push_back(item);
                    self.backoff.reset();
                    self.staleness.reset();
                    self.stream = Presence::Read;
                }
            }
            ChunkEvent::End(end) => {
                self.items.extend(self.replay.end(end));
                self.corrupt_reads = 0;
            }
            ChunkEvent::Error(_) => {}
        }
    }

    fn corrupt(&mut self, error: &ChunkError) -> ServiceError {
        let message = format!("GetMedia gave bytes that cannot be read: {error}");
        let error = ServiceError::new(ErrorKind::Protocol, message);
        self.corrupt_reads += 1;
        if self.corrupt_reads >= CORRUPT_READS_MAX
            && self.replay.give_up(error.clone(), &mut self.items)
        {
            self.corrupt_reads = 0;
        }
        error
    }

    /// The service ended the response in good order.
    fn ended(&mut self, now: Instant) {
        self.replay.broken();
        self.backoff.reset();
        let at = (self.connect_began + CONNECT_INTERVAL_MIN).max(now);
        self.wait(None, at, now);
    }

    /// A request or a response failed.
    fn lost(&mut self, error: ServiceError, now: Instant, random: u64) {
        self.replay.broken();
        let delay = self.backoff.next(random);
        let attempts = self.config.retry_attempts;
        let exhausted = attempts > 0 && self.backoff.failures() > attempts;
        if exhausted || !self.may_try_again(&error, now) {
            self.phase = Phase::Failed(error);
            return;
        }
        self.wait(Some(error), now + delay, now);
    }

    fn wait(&mut self, error: Option<ServiceError>, at: Instant, now: Instant) {
        self.phase = Phase::Waiting(at);
        let retry_in = at.saturating_duration_since(now);
        self.items.push_back(Item::Disconnected { error, retry_in });
    }

    /// Whether another request can succeed, and what has to be forgotten for it.
    fn may_try_again(&mut self, error: &ServiceError, now: Instant) -> bool {
        match error.kind() {
            ErrorKind::InvalidArgument => self.replay.token_refused(),
            ErrorKind::FragmentNotFound => {
                self.replay.token_refused();
                true
            }
            ErrorKind::NotFound => self.config.wait_for_stream || self.may_come_back(now),
            _ => self.staleness.may_try_again(error),
        }
    }

    /// Whether a stream that is not there had been, a moment ago.
    fn may_come_back(&mut self, now: Instant) -> bool {
        if self.stream == Presence::Read {
            self.stream = Presence::Gone(now);
        }
        matches!(self.stream, Presence::Gone(since) if now < since + STREAM_GONE_MAX)
    }
}

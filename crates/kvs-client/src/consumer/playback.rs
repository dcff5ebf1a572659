//! Playing a listing back: what becomes of bytes, errors and ends of GetMediaForFragmentList.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kvs_media::Track;
use kvs_protocol::Timestamp;
use tokio::time::Instant;

use super::chunk::{ChunkError, ChunkEvent, ChunkParser};
use super::given::FramesGiven;
use super::item::{FragmentEnd, FragmentInfo, Item};
use super::listing::{Listed, Listing};
use super::stale::{Stale, Staleness};
use crate::backoff::Backoff;
use crate::service_error::{ErrorKind, ServiceError};

/// How often a fragment is asked for before it is given up. One that was listed and is not given
/// has been seen to come on the next try.
const READS_MAX: u32 = 4;

const OPERATION: &str = "GetMediaForFragmentList";

/// Decides, from what happened, which items there are and what is to be done next.
///
/// Fragments are given strictly in the order of the listing: whatever does not come when it is
/// expected is asked for again before anything behind it is given.
#[derive(Debug)]
pub(super) struct Playback {
    items: VecDeque<Item>,
    parser: ChunkParser,
    place: Place,
    fragment: Expected,
    tracks: Option<Arc<[Track]>>,
    waiting: Option<Instant>,
    failed: Option<ServiceError>,
    /// Counts the failures since the last frame.
    backoff: Backoff,
    retry_attempts: u32,
    staleness: Staleness,
}

/// Where in the listing the fragment is that comes next.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The one that contains a time; the listing may not have come there yet.
    Time(Timestamp),
    At(usize),
}

/// What is known of the fragment that comes next.
#[derive(Debug, Default)]
struct Expected {
    /// Once it has begun.
    info: Option<Arc<FragmentInfo>>,
    /// Whether the chunk at hand is that fragment's.
    open: bool,
    frames: FramesGiven,
    /// How often reading it has failed.
    reads: u32,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask for more of the listing.
    List,
    /// Read what comes from this place of the listing on.
    Read(usize),
    /// Nothing, until then.
    Wait(Instant),
    /// Nothing: all has been read.
    End,
    /// Nothing ever again.
    Fail(ServiceError),
}

impl Playback {
    pub(super) fn new(from: Timestamp) -> Self {
        Self {
            items: VecDeque::new(),
            parser: ChunkParser::new(),
            place: Place::Time(from),
            fragment: Expected::default(),
            tracks: None,
            waiting: None,
            failed: None,
            backoff: Backoff::default(),
            retry_attempts: 0,
            staleness: Staleness::default(),
        }
    }

    pub(super) fn set_retry_attempts(&mut self, attempts: u32) {
        self.retry_attempts = attempts;
    }

    /// Goes on with the fragment that contains a time.
    pub(super) fn seek(&mut self, to: Timestamp) {
        self.items.clear();
        self.parser = ChunkParser::new();
        self.place = Place::Time(to);
        self.fragment = Expected::default();
    }

    /// The next item, if there is one.
    pub(super) fn poll_item(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// What is to be done next.
    pub(super) fn poll_step(&mut self, listing: &Listing) -> Step {
        if let Some(error) = &self.failed {
            return Step::Fail(error.clone());
        }
        if let Some(until) = self.waiting {
            return Step::Wait(until);
        }
        if let Place::Time(at) = self.place
            && let Some(place) = listing.position(at)
        {
            self.place = Place::At(place);
        }
        match self.place {
            Place::At(place) if place < listing.fragments().len() => Step::Read(place),
            _ if listing.request().is_some() => Step::List,
            _ => Step::End,
        }
    }

    /// Whether the fragment that comes next has failed, so that it is to be read alone.
    pub(super) fn is_cautious(&self) -> bool {
        self.fragment.reads > 0
    }

    /// What is to be forgotten before the next request; told once.
    pub(super) fn take_stale(&mut self) -> Stale {
        self.staleness.take()
    }

    /// The time to wait for is over.
    pub(super) fn handle_due(&mut self) {
        self.waiting = None;
    }

    /// Bytes of the batch at hand.
    pub(super) fn handle_bytes(
        &mut self,
        bytes: Bytes,
        listed: &[Listed],
    ) -> Result<(), ServiceError> {
        self.parser.push(bytes);
        while let Some(event) = self.parser.next().map_err(|error| corrupt(&error))? {
            self.event(event, listed)?;
        }
        Ok(())
    }

    /// The batch at hand is over; `end` is the place behind its last fragment.
    pub(super) fn handle_end_of_batch(
        &mut self,
        listed: &[Listed],
        end: usize,
    ) -> Result<(), ServiceError> {
        while let Some(event) = self.parser.finish().map_err(|error| corrupt(&error))? {
            self.event(event, listed)?;
        }
        self.parser = ChunkParser::new();
        match self.place {
            Place::At(place) if place < end => Err(missing()),
            _ => Ok(()),
        }
    }

    /// A batch failed, or did not give what it should.
    pub(super) fn handle_failed(
        &mut self,
        error: ServiceError,
        listed: &[Listed],
        now: Instant,
        random: u64,
    ) {
        self.parser = ChunkParser::new();
        self.fragment.open = false;
        self.fragment.frames.rewind();
        if !is_fragments_fault(&error) {
            self.handle_refused(error, now, random);
            return;
        }
        let retry_in = self.backoff.next(random);
        self.fragment.reads += 1;
        if self.fragment.reads >= READS_MAX {
            self.give_up(error, listed);
        } else {
            self.wait(error, now, retry_in);
        }
    }

    /// A request failed, whatever it asked for: a page of the listing has no fragment to blame.
    pub(super) fn handle_refused(&mut self, error: ServiceError, now: Instant, random: u64) {
        let retry_in = self.backoff.next(random);
        if self.exhausted() || !self.staleness.may_try_again(&error) {
            self.failed = Some(error);
        } else {
            self.wait(error, now, retry_in);
        }
    }

    fn wait(&mut self, error: ServiceError, now: Instant, retry_in: Duration) {
        self.waiting = Some(now + retry_in);
        self.items.push_back(Item::Disconnected {
            error: Some(error),
            retry_in,
        });
    }

    fn event(&mut self, event: ChunkEvent, listed: &[Listed]) -> Result<(), ServiceError> {
        match event {
            ChunkEvent::Tracks(tracks) => {
                if self.tracks.as_ref() != Some(&tracks) {
                    self.tracks = Some(Arc::clone(&tracks));
                    self.items.push_back(Item::Tracks(tracks));
                }
            }
            ChunkEvent::Start(info) => return self.start(info, listed),
            ChunkEvent::Frame(frame) => {
                if let Some(info) = self.fragment.info.clone().filter(|_| self.fragment.open)
                    && self.fragment.frames.admit(&frame)
                {
                    self.items.push_back(Item::Frame {
                        frame,
                        fragment: info,
                    });
                    self.backoff.reset();
                    self.staleness.reset();
                }
            }
            ChunkEvent::End(end) => self.end(end),
            ChunkEvent::Error(fault) => return Err(fault.into_error(OPERATION)),
        }
        Ok(())
    }

    fn start(&mut self, info: Arc<FragmentInfo>, listed: &[Listed]) -> Result<(), ServiceError> {
        let Place::At(place) = self.place else {
            return Err(missing());
        };
        if listed
            .get(place)
            .is_none_or(|listed| listed.number != info.number)
        {
            return Err(missing());
        }
        self.fragment.open = true;
        if self.fragment.info.is_none() {
            self.items.push_back(Item::Fragment(Arc::clone(&info)));
            self.fragment.info = Some(info);
        }
        Ok(())
    }

    fn end(&mut self, end: FragmentEnd) {
        if self.fragment.open {
            self.items.push_back(Item::FragmentEnd(end));
            self.advance();
        }
    }

    fn advance(&mut self) {
        self.fragment = Expected::default();
        if let Place::At(place) = &mut self.place {
            *place += 1;
        }
    }

    fn give_up(&mut self, why: ServiceError, listed: &[Listed]) {
        if let Place::At(place) = self.place
            && let Some(listed) = listed.get(place)
        {
            let fragment = Arc::new(FragmentInfo {
                number: listed.number.clone(),
                server_time: listed.server_time,
                producer_time: listed.producer_time,
            });
            self.items.push_back(Item::Lost { fragment, why });
        }
        self.advance();
    }

    fn exhausted(&self) -> bool {
        self.retry_attempts > 0 && self.backoff.failures() > self.retry_attempts
    }
}

/// Whether the fragment is to blame for an error, which decides how often it is tried again.
fn is_fragments_fault(error: &ServiceError) -> bool {
    use ErrorKind::{FragmentNotFound, InvalidArgument, Protocol};
    // A number that the service does not take is that of a fragment that has expired.
    matches!(error.kind(), FragmentNotFound | InvalidArgument | Protocol)
}

fn missing() -> ServiceError {
    let message = format!("{OPERATION} did not give a fragment that ListFragments had named");
    ServiceError::new(ErrorKind::FragmentNotFound, message)
}

fn corrupt(error: &ChunkError) -> ServiceError {
    let message = format!("{OPERATION} gave bytes that cannot be read: {error}");
    ServiceError::new(ErrorKind::Protocol, message)
}

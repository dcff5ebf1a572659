//! Replay: after a response that ended, what has been given already is not given again.
//!
//! The service gives whole fragments only, so a fragment that was broken off is read again from its
//! first frame. And a producer that lost its connection sends a fragment again under a new number.

use std::collections::VecDeque;
use std::sync::Arc;

use kvs_media::{Frame, Track};
use kvs_protocol::{FragmentNumber, Timestamp};

use super::given::FramesGiven;
use super::item::{FragmentEnd, FragmentInfo, Item};
use super::live::Start;
use crate::service_error::{ErrorKind, ServiceError};

/// How many fragments are remembered to know one that is sent again. A producer replays from the
/// last one confirmed, which is seconds back; 256 are minutes.
const REMEMBERED_MAX: usize = 256;

/// What has been given, and so where to go on and what to leave out.
///
/// ```text
///            start                    end
///   Between ───────► Giving / Skipping ───► Between
///                        │ broken()              the fragment is kept until it is seen again,
///                        ▼                       then its frames go on behind the last one given
///                     Between
/// ```
#[derive(Debug)]
pub(super) struct Replay {
    start: Start,
    /// Whether fragments with a producer time that was given already are left out.
    deduplicate: bool,
    current: Current,
    /// The fragment that was broken off last, until its rest has been given.
    broken: Option<Open>,
    done: Option<Done>,
    /// The token was refused: go on by the server's clock until the next fragment is complete.
    by_time: bool,
    remembered: VecDeque<Timestamp>,
    tracks: Option<Arc<[Track]>>,
}

#[derive(Debug)]
enum Current {
    Between,
    Giving(Open),
    /// All of it has been given before.
    Skipping,
}

/// A fragment of which frames are being given.
#[derive(Debug)]
struct Open {
    fragment: Arc<FragmentInfo>,
    frames: FramesGiven,
}

/// The last fragment that was given completely.
#[derive(Debug)]
struct Done {
    fragment: Arc<FragmentInfo>,
    token: Option<String>,
}

impl Replay {
    /// Nothing has been given yet.
    pub(super) fn new(start: Start, deduplicate: bool) -> Self {
        Self {
            start,
            deduplicate,
            current: Current::Between,
            broken: None,
            done: None,
            by_time: false,
            remembered: VecDeque::new(),
            tracks: None,
        }
    }

    /// Where the next request starts.
    pub(super) fn selector(&self) -> Start {
        match (&self.done, &self.broken) {
            (Some(done), _) if self.by_time => not_behind(&done.fragment),
            (Some(done), _) => match &done.token {
                Some(token) => Start::Continuation(token.clone()),
                None => Start::AfterFragment(done.fragment.number.clone()),
            },
            // "Now" has moved on since; the fragment is found where it began.
            (None, Some(broken)) if self.start == Start::Now => not_behind(&broken.fragment),
            (None, _) => self.start.clone(),
        }
    }

    /// The token behind the last fragment that was given completely.
    pub(super) fn continuation(&self) -> Option<&str> {
        self.done.as_ref()?.token.as_deref()
    }

    /// The number of the last fragment that was given completely.
    pub(super) fn last(&self) -> Option<&FragmentNumber> {
        self.done.as_ref().map(|done| &done.fragment.number)
    }

    /// The service does not know the token (any more). Whether there is another way on.
    pub(super) fn token_refused(&mut self) -> bool {
        let another = self.done.is_some() && !self.by_time;
        self.by_time |= another;
        another
    }

    /// A chunk's tracks.
    pub(super) fn tracks(&mut self, tracks: Arc<[Track]>) -> Option<Item> {
        if self.tracks.as_ref() == Some(&tracks) {
            return None;
        }
        self.tracks = Some(Arc::clone(&tracks));
        Some(Item::Tracks(tracks))
    }

    /// A fragment begins.
    pub(super) fn start(&mut self, fragment: Arc<FragmentInfo>, out: &mut VecDeque<Item>) {
        let given_before = self.last().is_some_and(|last| fragment.number <= *last);
        let too_early = |broken: &Open| fragment.number < broken.fragment.number;
        if given_before || self.broken.as_ref().is_some_and(too_early) {
            self.current = Current::Skipping;
            return;
        }
        if let Some(broken) = self.broken.take() {
            if broken.fragment.producer_time == fragment.producer_time {
                self.resume(broken, fragment, out);
                return;
            }
            let why = "the fragment broke off, and the service does not have the rest of it";
            let why = ServiceError::new(ErrorKind::NotFound, why.to_owned());
            out.push_back(Item::Lost {
                fragment: broken.fragment,
                why,
            });
        }
        if self.deduplicate && self.remembered.contains(&fragment.producer_time) {
            self.current = Current::Skipping;
            return;
        }
        out.push_back(Item::Fragment(Arc::clone(&fragment)));
        self.current = Current::Giving(Open {
            fragment,
            frames: FramesGiven::default(),
        });
    }

    /// The fragment that broke off comes again, under its own or a new number.
    fn resume(&mut self, broken: Open, fragment: Arc<FragmentInfo>, out: &mut VecDeque<Item>) {
        let mut frames = broken.frames;
        frames.rewind();
        if fragment.number != broken.fragment.number {
            out.push_back(Item::Fragment(Arc::clone(&fragment)));
        }
        self.current = Current::Giving(Open { fragment, frames });
    }

    /// A frame of the fragment that began last.
    pub(super) fn frame(&mut self, frame: Frame) -> Option<Item> {
        let Current::Giving(open) = &mut self.current else {
            return None;
        };
        open.frames.admit(&frame).then(|| Item::Frame {
            frame,
            fragment: Arc::clone(&open.fragment),
        })
    }

    /// The fragment that began last is complete.
    pub(super) fn end(&mut self, end: FragmentEnd) -> Option<Item> {
        let given = match std::mem::replace(&mut self.current, Current::Between) {
            Current::Giving(_) => true,
            Current::Skipping => false,
            Current::Between => return None,
        };
        // Skipped ones from before the last one given must not turn the reader back.
        if self.last().is_none_or(|last| *last < end.fragment.number) && self.broken.is_none() {
            self.complete(Arc::clone(&end.fragment), end.continuation.clone());
        }
        given.then_some(Item::FragmentEnd(end))
    }

    /// The response ended: a fragment that is not complete will be looked for again.
    pub(super) fn broken(&mut self) {
        if let Current::Giving(open) = std::mem::replace(&mut self.current, Current::Between) {
            self.broken = Some(open);
        }
    }

    /// Gives up the fragment that was broken off: it cannot be read. Whether there was one.
    pub(super) fn give_up(&mut self, why: ServiceError, out: &mut VecDeque<Item>) -> bool {
        self.broken();
        let Some(open) = self.broken.take() else {
            return false;
        };
        self.complete(Arc::clone(&open.fragment), None);
        out.push_back(Item::Lost {
            fragment: open.fragment,
            why,
        });
        true
    }

    fn complete(&mut self, fragment: Arc<FragmentInfo>, token: Option<String>) {
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(fragment.producer_time);
        self.by_time = false;
        self.done = Some(Done { fragment, token });
    }
}

/// A start that leaves out neither a fragment nor any behind it. Several may share a millisecond,
/// of which the service gives the last; what comes before the fragment is skipped by its number.
fn not_behind(fragment: &FragmentInfo) -> Start {
    Start::ServerTime(Timestamp::from_ms(
        fragment.server_time.as_ms().saturating_sub(1),
    ))
}

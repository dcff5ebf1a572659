//! What an archive holds in a range: listed in windows of time, sorted, each instant once.

use kvs_protocol::{FragmentNumber, Timestamp};

use super::archive::{Extent, Range, RangeClock};
use crate::service_error::{ErrorKind, ServiceError};

/// The first window. It is short, since reading begins when it is listed: at most a page where
/// fragments are as short as the service takes them on average.
const WINDOW_MS_MIN: u64 = 10 * 60 * 1000;

/// A window with fewer fragments is followed by one of twice its length, so that long gaps cost
/// few requests.
const WINDOW_FRAGMENTS_MIN: usize = 500;

/// How far before the range its first fragment may begin: the service takes none longer than 20 s.
const FRAGMENT_MS_MAX: u64 = 20_000;

/// A fragment's length leaves its last frame's own duration out; a second covers 1 frame/s.
const LAST_FRAME_MS_MAX: u64 = 1000;

/// A producer's clock may be ahead of ours: an open range ends this much after now.
const CLOCK_AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

/// The most fragments of one listing: 11 days of 2 s each, in some 60 MB.
const FRAGMENTS_MAX: usize = 500_000;

/// A fragment of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) number: FragmentNumber,
    pub(super) server_time: Timestamp,
    pub(super) producer_time: Timestamp,
    /// From its first frame to its last.
    pub(super) length_ms: u64,
    pub(super) bytes: u64,
}

/// One answer of ListFragments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) fragments: Vec<Listed>,
    pub(super) next_token: Option<String>,
}

/// A range of starts of fragments, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// The fragments of a range in order, as far as they have been listed.
///
/// Ask for [`request`](Self::request) and hand its answer to [`page`](Self::page) until there is
/// none. Within a window, pages come in any order; windows follow each other.
#[derive(Debug)]
pub(super) struct Listing {
    clock: RangeClock,
    from: Option<Timestamp>,
    to: Timestamp,
    window: Option<Window>,
    token: Option<String>,
    /// Of the window at hand.
    gathered: Vec<Listed>,
    /// Of all windows before it.
    fragments: Vec<Listed>,
}

impl Listing {
    /// A listing of which nothing is known yet; `now` is wall time.
    pub(super) fn new(range: &Range, now: Timestamp) -> Self {
        let to = range
            .to
            .unwrap_or(Timestamp::from_ms(now.as_ms() + CLOCK_AHEAD_MS));
        let window = match range.from {
            // Where nobody knows when it begins, one window is all.
            None => Window {
                from: Timestamp::from_ms(0),
                to,
            },
            Some(from) => {
                let from = from.as_ms().saturating_sub(FRAGMENT_MS_MAX);
                window(from, WINDOW_MS_MIN, to)
            }
        };
        Self {
            clock: range.clock,
            from: range.from,
            to,
            window: (window.from <= to).then_some(window),
            token: None,
            gathered: Vec::new(),
            fragments: Vec::new(),
        }
    }

    /// The page to ask for; `None` when all is listed.
    pub(super) fn request(&self) -> Option<(Window, Option<String>)> {
        self.window.map(|window| (window, self.token.clone()))
    }

    /// The answer to [`request`](Self::request).
    pub(super) fn page(&mut self, page: Page) -> Result<(), ServiceError> {
        self.gathered.extend(page.fragments);
        if self.fragments.len() + self.gathered.len() > FRAGMENTS_MAX {
            return Err(ServiceError::config(format!(
                "the range holds more than {FRAGMENTS_MAX} fragments: give a shorter one by \
                 start-time and stop-time"
            )));
        }
        self.token = page.next_token;
        if self.token.is_none() {
            self.close_window();
        }
        Ok(())
    }

    /// The answer is that what was asked for lies before the retention period: nothing is left.
    pub(super) fn expired(&mut self) {
        self.token = None;
        self.close_window();
    }

    fn close_window(&mut self) {
        let Some(closed) = self.window.take() else {
            return;
        };
        let mut listed = std::mem::take(&mut self.gathered);
        let found = listed.len();
        let clock = self.clock;
        listed.sort_unstable_by(|a, b| (clock.of(a), &a.number).cmp(&(clock.of(b), &b.number)));
        listed.dedup_by(|later, kept| {
            let same = match clock {
                RangeClock::Producer => later.producer_time == kept.producer_time,
                RangeClock::Server => later.number == kept.number,
            };
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        self.fragments.append(&mut listed);
        if closed.to < self.to {
            let length = closed.to.as_ms() - closed.from.as_ms() + 1;
            let length = if found < WINDOW_FRAGMENTS_MIN {
                length * 2
            } else {
                length
            };
            self.window = Some(window(closed.to.as_ms() + 1, length, self.to));
        }
        // The first window began before the range, to find what reaches into it.
        if let Some(from) = self.from.filter(|from| closed.from < *from) {
            let first = self.search(from);
            self.fragments.drain(..first);
        }
    }

    /// Where the fragment is that contains an instant, or the next later one; `None` while the
    /// listing has not come that far.
    pub(super) fn position(&self, at: Timestamp) -> Option<usize> {
        let at = self.from.map_or(at, |from| at.max(from));
        let known = self.window.is_none_or(|window| at < window.from);
        known.then(|| self.search(at))
    }

    fn search(&self, at: Timestamp) -> usize {
        let later = self
            .fragments
            .partition_point(|listed| self.clock.of(listed) <= at);
        match later
            .checked_sub(1)
            .and_then(|before| self.fragments.get(before))
        {
            Some(before) if at.as_ms() <= self.end_ms(before) + LAST_FRAME_MS_MAX => later - 1,
            _ => later,
        }
    }

    fn end_ms(&self, listed: &Listed) -> u64 {
        self.clock
            .of(listed)
            .as_ms()
            .saturating_add(listed.length_ms)
    }

    /// The fragments listed so far, in order.
    pub(super) fn fragments(&self) -> &[Listed] {
        &self.fragments
    }

    /// From the first fragment's start to the last frame's time, of what is listed.
    pub(super) fn extent(&self) -> Option<Extent> {
        let first = self.fragments.first()?;
        let end_ms = self
            .fragments
            .iter()
            .map(|listed| self.end_ms(listed))
            .max()?;
        Some(Extent {
            start: self.clock.of(first),
            end: Timestamp::from_ms(end_ms),
        })
    }
}

fn window(from_ms: u64, length_ms: u64, to: Timestamp) -> Window {
    let end = Timestamp::from_ms(from_ms.saturating_add(length_ms) - 1);
    Window {
        from: Timestamp::from_ms(from_ms),
        to: end.min(to),
    }
}

/// Whether ListFragments refuses a range because it ends before the retention period. AWS does,
/// with `End timestamp … is outside of the stream retention period.`; a window of a longer range
/// may well lie there.
pub(super) fn is_past_retention(error: &ServiceError) -> bool {
    error.kind() == ErrorKind::InvalidArgument && error.to_string().contains("retention period")
}

impl RangeClock {
    fn of(self, listed: &Listed) -> Timestamp {
        match self {
            Self::Producer => listed.producer_time,
            Self::Server => listed.server_time,
        }
    }
}

#[cfg(test)]
mod tests;

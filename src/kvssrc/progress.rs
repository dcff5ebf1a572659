//! How far an element has come: counters, the state of its reader, and the token to go on from.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use kvs_client::FragmentEnd;

use crate::lock::lock;

/// What the reader is doing, as `stats` and the message `kvs-state` name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing has been answered yet.
    #[default]
    Connecting,
    /// Frames arrive, or may arrive at any time.
    Streaming,
    /// The service ended its answer or the connection broke; the reader tries again.
    Reconnecting,
    /// The range is over, or EOS was sent.
    Ended,
    /// An error was posted.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Streaming => "streaming",
            Self::Reconnecting => "reconnecting",
            Self::Ended => "ended",
            Self::Failed => "failed",
        })
    }
}

/// Counts since READY→PAUSED.
#[derive(Debug, Default)]
pub(super) struct Progress {
    frames: AtomicU64,
    bytes: AtomicU64,
    fragments: AtomicU64,
    reconnects: AtomicU64,
    millis_behind: AtomicU64,
    last_pts_ns: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    state: State,
    continuation: Option<String>,
}

impl Progress {
    /// A frame leaves its pad.
    pub(super) fn frame(&self, bytes: usize, pts: gst::ClockTime) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_pts_ns
            .fetch_max(pts.nseconds(), Ordering::Relaxed);
    }

    /// A fragment has left all pads.
    pub(super) fn fragment(&self, end: &FragmentEnd) {
        self.fragments.fetch_add(1, Ordering::Relaxed);
        if let Some(millis) = end.millis_behind {
            self.millis_behind.store(millis, Ordering::Relaxed);
        }
        if let Some(token) = &end.continuation {
            self.last().continuation = Some(token.clone());
        }
    }

    /// The reader connects again.
    pub(super) fn reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets the state; false if it was that one already.
    pub(super) fn set_state(&self, state: State) -> bool {
        std::mem::replace(&mut self.last().state, state) != state
    }

    /// The greatest timestamp given so far, on any pad.
    pub(super) fn last_pts(&self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.last_pts_ns.load(Ordering::Relaxed))
    }

    /// A seek goes elsewhere.
    pub(super) fn sought(&self, pts: gst::ClockTime) {
        self.last_pts_ns.store(pts.nseconds(), Ordering::Relaxed);
    }

    /// The token behind the last fragment that has left all pads.
    pub(super) fn continuation(&self) -> Option<String> {
        self.last().continuation.clone()
    }

    /// The property `stats`.
    pub(super) fn stats(&self) -> gst::Structure {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        gst::Structure::builder("kvssrc-stats")
            .field("frames", count(&self.frames))
            .field("bytes", count(&self.bytes))
            .field("fragments", count(&self.fragments))
            .field("reconnects", count(&self.reconnects))
            .field("millis-behind", count(&self.millis_behind))
            .field("state", self.last().state.to_string())
            .build()
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        lock(&self.last)
    }
}

//! What a reader gives: tracks, fragments, frames, and what became of the connection.

use std::sync::Arc;
use std::time::Duration;

use kvs_media::mkv::Tag;
use kvs_media::{Frame, Track};
use kvs_protocol::{FragmentNumber, Timestamp};

use crate::service_error::ServiceError;

/// One thing that was read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Item {
    /// The service began to answer.
    Connected,
    /// The answer ended, and the reader connects again by itself. Nothing is lost by it.
    Disconnected {
        /// Why; `None` where the service ended it in good order, as it does when a stream is idle.
        error: Option<ServiceError>,
        /// When the reader tries again.
        retry_in: Duration,
    },
    /// The tracks of the fragments that follow; given again only when they change.
    Tracks(Arc<[Track]>),
    /// A fragment began.
    Fragment(Arc<FragmentInfo>),
    /// A frame, as soon as it has arrived.
    Frame {
        /// The frame. Its time is absolute, also where the producer sent relative times.
        frame: Frame,
        /// The fragment that it belongs to.
        fragment: Arc<FragmentInfo>,
    },
    /// All frames of a fragment have been given.
    FragmentEnd(FragmentEnd),
    /// A fragment, or the rest of one that had begun, cannot be read.
    Lost {
        /// The fragment.
        fragment: Arc<FragmentInfo>,
        /// Why it cannot be read.
        why: ServiceError,
    },
    /// The range is over. Only an archive ends.
    End,
}

/// A fragment, as the service names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentInfo {
    /// Its number.
    pub number: FragmentNumber,
    /// When its first byte reached the service, by the service's clock.
    pub server_time: Timestamp,
    /// When it was captured, by the producer's clock.
    pub producer_time: Timestamp,
}

/// What is known of a fragment once all of it has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentEnd {
    /// The fragment.
    pub fragment: Arc<FragmentInfo>,
    /// The producer's metadata; the service's own tags are left out.
    pub tags: Vec<Tag>,
    /// How far the reader is behind the producer; only live.
    pub millis_behind: Option<u64>,
    /// The token with which a reader goes on behind this fragment; only live.
    pub continuation: Option<String>,
}

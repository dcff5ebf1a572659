//! Fragments as the facade shows them.

use bytes::Bytes;
use kvs_protocol::FragmentParts;

use super::stream::StreamId;

/// A fragment may have 50 MB by the service's rule, and the header that is stored with it 1 MiB in
/// all; a record with both is below this.
pub const RECORD_BYTES_MAX: u64 = 64 << 20;

/// A fragment to be stored.
#[derive(Clone, Debug)]
pub struct NewFragment {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// As `begin_fragment` gave it.
    pub number: FragmentParts,
    /// The producer's time of its start, in milliseconds since 1970.
    pub producer_ms: u64,
    /// From its first to its last frame.
    pub length_ms: u64,
    /// What the producer sent before the first cluster, which every reader gets in front.
    pub header: Bytes,
    /// How much of `body` is the cluster; the tags follow it.
    pub cluster_bytes: u64,
    /// The cluster, then its tags.
    pub body: Vec<Bytes>,
}

/// What the index says of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentInfo {
    /// Its number.
    pub number: FragmentParts,
    /// The producer's time of its start, in milliseconds since 1970.
    pub producer_ms: u64,
    /// From its first to its last frame.
    pub length_ms: u64,
    /// Cluster and tags.
    pub bytes: u64,
}

/// Which of a fragment's two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeOrigin {
    /// The server's, which never goes back.
    Server,
    /// The producer's, which may.
    Producer,
}

impl FragmentInfo {
    /// When it starts, by this clock.
    pub fn start_ms(&self, origin: TimeOrigin) -> u64 {
        match origin {
            TimeOrigin::Server => self.number.server_ms,
            TimeOrigin::Producer => self.producer_ms,
        }
    }
}

/// Fragments by their start, in order of that time.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// Which of the two times counts.
    pub origin: TimeOrigin,
    /// The earliest start, inclusive.
    pub from_ms: u64,
    /// The latest start, inclusive.
    pub to_ms: u64,
    /// Goes on behind the last fragment of the page before, or where that one stopped.
    pub after: Option<FragmentInfo>,
    /// At most so many.
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In order; fewer than the limit are all there are, unless it stopped.
    pub fragments: Vec<FragmentInfo>,
    /// It had to pass over too many fragments past their retention, and goes on behind this place.
    pub stopped: Option<FragmentInfo>,
}

//! What a demuxer says about its input.

use std::sync::Arc;

use super::Tag;
use crate::{Frame, ProducerTime, Track};

/// One thing that was found, in the order of the input.
///
/// Every `offset` counts bytes from the very first one pushed, over all documents, so that the raw
/// bytes of a header, a cluster or a Tags element can be cut out exactly.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An EBML header began. What follows until the first [`ClusterStart`](Self::ClusterStart) is
    /// the document's header.
    Document {
        /// Of the EBML header's first byte.
        offset: u64,
    },
    /// A Segment began.
    Segment {
        /// Of the first byte of its id.
        offset: u64,
        /// Of its first child.
        body: u64,
        /// How many bytes its children have; `None` is unknown.
        size: Option<u64>,
    },
    /// The Segment's Info element.
    Info(Info),
    /// The Segment's tracks. After a cluster they are legal Matroska, but not in a PutMedia.
    Tracks(Arc<[Track]>),
    /// A cluster, once its timecode is known.
    ClusterStart {
        /// Of the first byte of its id.
        offset: u64,
        /// Its timecode in units of TimecodeScale.
        timecode: u64,
        /// The same in nanoseconds.
        time: ProducerTime,
    },
    /// A frame. [`Demuxer::offset`](super::Demuxer::offset) is then the end of its block.
    Frame(Frame),
    /// The cluster's frames are all there: another element of the Segment follows, its size is
    /// used up, or the input ended.
    ClusterEnd {
        /// Of the first byte behind it.
        offset: u64,
    },
    /// A Tags element, before, between or behind clusters.
    Tags {
        /// Of the first byte of its id.
        offset: u64,
        /// Of the first byte behind it.
        end: u64,
        /// Its tags in order; those that describe a single track are left out.
        tags: Vec<Tag>,
    },
}

/// What a Segment says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Nanoseconds a unit of time; Matroska's own default is 1 000 000.
    pub timecode_scale_ns: u64,
    /// The title, where given.
    pub title: Option<String>,
    /// The application that made the file, where given.
    pub writing_app: Option<String>,
}

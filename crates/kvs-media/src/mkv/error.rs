//! Why a demuxer gave up.

use super::ebml::{Id, Malformed};

/// The input is not Matroska that can be read; nothing of it is read from here on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset} of the Matroska input: {kind}")]
pub struct DemuxError {
    /// Where the element at fault begins, counted from the first byte pushed.
    pub offset: u64,
    /// What is wrong.
    pub kind: DemuxErrorKind,
}

/// What is wrong with the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DemuxErrorKind {
    /// The input does not begin with an EBML header, or something else follows a document.
    #[error("an EBML header was expected, not element {id:X}")]
    NotADocument {
        /// The element found instead.
        id: u32,
    },
    /// The document is EBML, but of a kind or version that is not read here.
    #[error("unsupported document: {what}")]
    UnsupportedDocument {
        /// What is not supported.
        what: String,
    },
    /// An id or size that no element can have.
    #[error("not an EBML element")]
    NotAnElement,
    /// An element reaches over the end of its parent, or a body is broken.
    #[error("malformed element {id:X}")]
    Malformed {
        /// The element at fault.
        id: u32,
    },
    /// An element stands where Matroska does not allow it.
    #[error("element {id:X} is not allowed here")]
    Misplaced {
        /// The element at fault.
        id: u32,
    },
    /// Only a Segment and a Cluster may be of unknown size.
    #[error("element {id:X} is of unknown size")]
    UnknownSize {
        /// The element at fault.
        id: u32,
    },
    /// An element is over its bound in [`Limits`](super::Limits).
    #[error("element {id:X} has {size} bytes, more than {max}")]
    TooLarge {
        /// The element at fault.
        id: u32,
        /// The size that it states.
        size: u64,
        /// The bound.
        max: u64,
    },
    /// A cluster came before the tracks.
    #[error("a cluster before the tracks")]
    NoTracks,
    /// A block before its cluster's timecode, or a cluster without one.
    #[error("a cluster without a timecode")]
    NoTimecode,
    /// A track's description is incomplete or not supported.
    #[error("track {number}: {what}")]
    Track {
        /// The track's number, 0 if it has none.
        number: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A block of a track that the header does not declare.
    #[error("a frame of track {number}, which is not declared")]
    UndeclaredTrack {
        /// The number that the block states.
        number: u64,
    },
    /// A block's time lies before 0.
    #[error("a frame with a negative time")]
    NegativeTime,
    /// A time does not fit into 64 bits of nanoseconds.
    #[error("a time beyond the year 2554")]
    TimeOverflow,
    /// The input ended inside an element.
    #[error("the input ends inside an element")]
    Truncated,
}

impl DemuxErrorKind {
    /// The error for a broken body, or a broken part of the body, of element `parent`.
    pub(super) fn of(malformed: Malformed, parent: Id) -> Self {
        match malformed {
            Malformed::Id | Malformed::Size | Malformed::Overrun => {
                Self::Malformed { id: parent.0 }
            }
            Malformed::Value(id) | Malformed::Text(id) => Self::Malformed { id: id.0 },
        }
    }
}

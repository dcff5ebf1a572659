//! Matroska to frames, from input that is pushed in pieces of any size.

use std::collections::VecDeque;

use bytes::Bytes;

use super::block::Block;
use super::ebml::{HEADER_BYTES_MAX, Header, Id, id};
use super::input::Input;
use super::tracks::Entry;
use super::{DemuxError, DemuxErrorKind, Event, Limits};

mod body;

/// The longest unsigned integer.
const UINT_BYTES_MAX: u64 = 8;

/// A push parser for Matroska documents, one or many behind each other.
///
/// Hand over bytes with [`push`](Self::push), then call [`next`](Self::next) until it says `None`;
/// at the end of the input, [`finish`](Self::finish) until it says `None`.
///
/// ```text
///            EBML, Segment             Cluster             BlockGroup
///   Top ──────────────────► Segment ────────────► Cluster ────────────► Group
///    ▲ size used up, EBML     │ ▲  size used up,    │  ▲  size used up    │
///    └────────────────────────┘ └───────────────────┘  └──────────────────┘
///                                 level-1 element
/// ```
///
/// Frames are slices of the bytes pushed. Elements that are not known are dropped as they arrive;
/// those that have to be whole are bounded by [`Limits`], and so is the memory held: the largest
/// of them, plus what was pushed since `next` last said `None`.
#[derive(Debug)]
pub struct Demuxer {
    limits: Limits,
    input: Input,
    /// Bytes pushed so far.
    received: u64,
    /// Where the last event returned ends.
    offset: u64,
    /// Bytes of a dropped element that have yet to arrive.
    skip: u64,
    /// An element whose body is awaited as a whole.
    awaited: Option<Element>,
    level: Level,
    /// Whether an EBML header has been seen.
    in_document: bool,
    segment: Segment,
    cluster: Cluster,
    group: Group,
    /// Events that were found together with the one returned last.
    ready: VecDeque<Event>,
    failed: Option<DemuxError>,
}

/// Which element's children come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Top,
    Segment,
    Cluster,
    Group,
}

/// An element and where it lies.
#[derive(Clone, Copy, Debug)]
struct Element {
    id: Id,
    /// Of the first byte of its id.
    offset: u64,
    /// Of its body, once that is at hand or bounded.
    size: u64,
}

#[derive(Debug)]
struct Segment {
    end: Option<u64>,
    timecode_scale_ns: u64,
    entries: Vec<Entry>,
}

#[derive(Debug, Default)]
struct Cluster {
    offset: u64,
    end: Option<u64>,
    timecode: Option<u64>,
}

#[derive(Debug, Default)]
struct Group {
    end: u64,
    block: Option<Block>,
    /// In units of TimecodeScale.
    duration: Option<u64>,
    referring: bool,
}

/// What becomes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Its children follow.
    Segment,
    Cluster,
    Group,
    /// Its body, of at most so many bytes, is awaited as a whole.
    Whole(u64),
    /// It is dropped as it arrives.
    Drop,
    /// It belongs to an upper level; this one ends before it.
    Leave,
}

/// What one step of parsing came to.
enum Step {
    Event(Event),
    /// Something was consumed or a level was left; there is no event to tell.
    Again,
    /// More input is needed.
    Starved,
}

impl Demuxer {
    /// A demuxer before the first byte.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            input: Input::default(),
            received: 0,
            offset: 0,
            skip: 0,
            awaited: None,
            level: Level::Top,
            in_document: false,
            segment: Segment::new(None),
            cluster: Cluster::default(),
            group: Group::default(),
            ready: VecDeque::new(),
            failed: None,
        }
    }

    /// Hands over the next bytes of the input, which may be cut anywhere.
    pub fn push(&mut self, input: Bytes) {
        self.received += input.len() as u64;
        if self.failed.is_none() {
            self.input.push(input);
        }
    }

    /// The next event; `None` if that needs more input.
    ///
    /// # Errors
    /// The input is not Matroska that can be read. The same error is returned ever after.
    #[expect(
        clippy::should_implement_trait,
        reason = "an Iterator would end at the first None"
    )]
    pub fn next(&mut self) -> Result<Option<Event>, DemuxError> {
        if let Some(event) = self.ready.pop_front() {
            return Ok(Some(event));
        }
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            let awaited = self.awaited;
            match self.step() {
                Ok(Step::Event(event)) => {
                    self.offset = self.input.position();
                    return Ok(Some(event));
                }
                Ok(Step::Again) => {}
                Ok(Step::Starved) => return Ok(None),
                Err(kind) => {
                    let at = awaited.map_or(self.input.position(), |element| element.offset);
                    return Err(self.fail(at, kind));
                }
            }
        }
    }

    /// The next event when the input has ended: [`next`](Self::next), then the end of an open
    /// cluster; `None` when all has been told.
    ///
    /// # Errors
    /// As for `next`, and if the input ends inside an element of known size.
    pub fn finish(&mut self) -> Result<Option<Event>, DemuxError> {
        if let Some(event) = self.next()? {
            return Ok(Some(event));
        }
        let position = self.input.position();
        let whole = self.input.len() == 0 && self.skip == 0 && self.awaited.is_none();
        match self.level {
            _ if !whole => Err(self.fail(position, DemuxErrorKind::Truncated)),
            Level::Top => Ok(None),
            Level::Cluster if self.cluster.end.is_none() => {
                let event = self
                    .end_cluster()
                    .map_err(|kind| self.fail(position, kind))?;
                self.offset = position;
                Ok(Some(event))
            }
            Level::Segment if self.segment.end.is_none() => Ok(None),
            _ => Err(self.fail(position, DemuxErrorKind::Truncated)),
        }
    }

    /// Where the last event returned ends, in bytes since the first push. Whatever lies before it
    /// needs no longer be kept by a caller that forwards raw bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes have been pushed.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many of the bytes pushed are kept: those of an element that has yet to be whole.
    pub fn buffered(&self) -> u64 {
        self.input.len() as u64
    }

    /// How many bytes of the open cluster have arrived, those of an incomplete frame included;
    /// `None` outside a cluster. Exact whenever [`next`](Self::next) has said `None`.
    pub fn cluster_bytes(&self) -> Option<u64> {
        matches!(self.level, Level::Cluster | Level::Group)
            .then(|| self.received - self.cluster.offset)
    }

    fn fail(&mut self, offset: u64, kind: DemuxErrorKind) -> DemuxError {
        let error = DemuxError { offset, kind };
        self.failed = Some(error.clone());
        self.input = Input::default();
        error
    }

    fn step(&mut self) -> Result<Step, DemuxErrorKind> {
        if self.skip > 0 {
            self.skip -= self.input.skip(self.skip);
            if self.skip > 0 {
                return Ok(Step::Starved);
            }
        }
        if let Some(element) = self.awaited {
            if (self.input.len() as u64) < element.size {
                return Ok(Step::Starved);
            }
            self.awaited = None;
            return self.whole(element);
        }
        if self.end_of_level() == Some(self.input.position()) {
            return self.leave();
        }
        // A header has to end within its parent.
        let room = self
            .end_of_level()
            .map_or(u64::MAX, |end| end - self.input.position());
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let mut copy = [0; HEADER_BYTES_MAX];
        let bytes = self.input.peek(&mut copy);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        match Header::read(bytes) {
            Ok(Some(header)) => self.element(header),
            Ok(None) if bytes.len() < room => Ok(Step::Starved),
            Ok(None) | Err(_) => Err(DemuxErrorKind::NotAnElement),
        }
    }

    /// Where the innermost open element of known size ends.
    fn end_of_level(&self) -> Option<u64> {
        match self.level {
            Level::Top => None,
            Level::Segment => self.segment.end,
            Level::Cluster => self.cluster.end.or(self.segment.end),
            Level::Group => Some(self.group.end),
        }
    }

    /// Leaves a level whose size is used up.
    fn leave(&mut self) -> Result<Step, DemuxErrorKind> {
        match self.level {
            Level::Top => Ok(Step::Again),
            Level::Segment => {
                self.level = Level::Top;
                Ok(Step::Again)
            }
            Level::Cluster => self.end_cluster().map(Step::Event),
            Level::Group => {
                self.level = Level::Cluster;
                self.end_group()
            }
        }
    }

    /// An element begins. Its level and id decide what becomes of it.
    fn element(&mut self, header: Header) -> Result<Step, DemuxErrorKind> {
        let Header { id, size, len } = header;
        let role = self.role(id)?;
        if role == Role::Leave {
            return self.leave();
        }
        let offset = self.input.position();
        let body = offset + len as u64;
        let malformed = DemuxErrorKind::Malformed { id: id.0 };
        let end = match size.map(|size| body.checked_add(size)) {
            Some(None) => return Err(malformed),
            Some(end) => end,
            None => None,
        };
        let parent_end = self.end_of_level().unwrap_or(u64::MAX);
        if end.unwrap_or(body) > parent_end {
            return Err(malformed);
        }
        let bounded = size.ok_or(DemuxErrorKind::UnknownSize { id: id.0 });
        match role {
            Role::Leave => {}
            Role::Segment => {
                self.segment = Segment::new(end);
                self.level = Level::Segment;
                self.input.skip(len as u64);
                return Ok(Step::Event(Event::Segment { offset, body, size }));
            }
            Role::Cluster => {
                self.cluster = Cluster {
                    offset,
                    end,
                    timecode: None,
                };
                self.level = Level::Cluster;
            }
            Role::Group => {
                bounded?;
                let end = end.unwrap_or(body);
                self.group = Group {
                    end,
                    ..Group::default()
                };
                self.level = Level::Group;
            }
            Role::Whole(max) => {
                let size = bounded?;
                if size > max {
                    return Err(DemuxErrorKind::TooLarge {
                        id: id.0,
                        size,
                        max,
                    });
                }
                self.awaited = Some(Element { id, offset, size });
            }
            Role::Drop => {
                self.skip = bounded?;
                self.group.referring |= id == id::REFERENCE_BLOCK;
            }
        }
        self.input.skip(len as u64);
        Ok(Step::Again)
    }

    /// What becomes of an element of this id at this level.
    fn role(&self, id: Id) -> Result<Role, DemuxErrorKind> {
        let misplaced = Err(DemuxErrorKind::Misplaced { id: id.0 });
        Ok(match (self.level, id) {
            (Level::Top, id::EBML) => Role::Whole(self.limits.header_bytes_max),
            (Level::Top, id::SEGMENT) if self.in_document => Role::Segment,
            (Level::Top | Level::Segment, id::TAGS) => Role::Whole(self.limits.tags_bytes_max),
            (Level::Top, id::VOID) => Role::Drop,
            (Level::Top, _) => return Err(DemuxErrorKind::NotADocument { id: id.0 }),

            (Level::Segment, id::INFO | id::TRACKS) => Role::Whole(self.limits.header_bytes_max),
            (Level::Segment, id::CLUSTER) if self.segment.entries.is_empty() => {
                return Err(DemuxErrorKind::NoTracks);
            }
            (Level::Segment, id::CLUSTER) => Role::Cluster,
            (Level::Segment, id::EBML | id::SEGMENT) => match self.segment.end {
                None => Role::Leave,
                Some(_) => return misplaced,
            },

            (Level::Cluster, id::TIMECODE) => Role::Whole(UINT_BYTES_MAX),
            (Level::Cluster, id::SIMPLE_BLOCK) => Role::Whole(self.limits.frame_bytes_max),
            (Level::Cluster, id::BLOCK_GROUP) => Role::Group,
            (Level::Cluster, id) if is_above_clusters(id) => match self.cluster.end {
                None => Role::Leave,
                Some(_) => return misplaced,
            },

            (Level::Group, id::BLOCK) => Role::Whole(self.limits.frame_bytes_max),
            (Level::Group, id::BLOCK_DURATION) => Role::Whole(UINT_BYTES_MAX),
            (Level::Group, id) if is_above_clusters(id) => return misplaced,
            _ => Role::Drop,
        })
    }
}

/// Whether an element stands beside or above clusters, and so ends one of unknown size.
fn is_above_clusters(id: Id) -> bool {
    matches!(
        id,
        id::EBML
            | id::SEGMENT
            | id::SEEK_HEAD
            | id::INFO
            | id::TRACKS
            | id::CLUSTER
            | id::CUES
            | id::ATTACHMENTS
            | id::CHAPTERS
            | id::TAGS
    )
}

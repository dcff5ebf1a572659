//! Cuts a PutMedia body into fragments, by what its demuxer finds in it.
//!
//! A cutter does no I/O and reads no clock. Bytes go in with [`Cutter::push`]; [`Cutter::next`]
//! gives what they mean, until it wants more. An error ends the session: the cutter must not be
//! asked again.
//!
//! ```text
//!   header ──cluster──► open ──its data ends──► closed ──cluster, END_OF_FRAGMENT, end──► between
//!                        ▲                                                                   │
//!                        └──────────────────────────cluster──────────────────────────────────┘
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use kvs_media::mkv::{DemuxError, DemuxErrorKind, Demuxer, Event, Limits, Tag, tags_element};
use kvs_media::{ProducerTime, Track};
use kvs_protocol::ack::AckError;

use super::header::Header;
use super::raw::Raw;
use super::refused::Refused;
use super::rules::{FRAGMENT_BYTES_MAX, Rules, TRACKS_MAX, ends_fragment};

/// All that stands before the first cluster: it is stored with every fragment.
const HEADER_BYTES_MAX: u64 = 1 << 20;
/// Matroska ids: those of the elements whose errors have ids of their own.
const TAGS: u32 = 0x1254_C367;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;

/// One thing that happened to a fragment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// A fragment began.
    Begin(Beginning),
    /// The next bytes of its cluster: whole elements, as they came.
    Media(Bytes),
    /// The next of its tags, behind its cluster.
    Tags(Bytes),
    /// It is complete, and its first frame is this many milliseconds before its last.
    End {
        /// From the first frame's time to the last one's.
        length_ms: u64,
    },
}

/// What is known of a fragment when it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Beginning {
    /// The cluster's own timecode, in its own units: what acks name it by.
    pub(crate) timecode: u64,
    /// The cluster's time, from the session's start where that is relative.
    pub(crate) time: ProducerTime,
    /// When its first byte arrived.
    pub(crate) arrived_ms: u64,
    /// What stands before it when it is sent.
    pub(crate) header: Bytes,
}

/// A body's way through the states above.
#[derive(Debug)]
pub(crate) struct Cutter {
    demuxer: Demuxer,
    raw: Raw,
    header: Header,
    steps: VecDeque<Step>,
    state: State,
    tracks: Option<Arc<[Track]>>,
    /// Tags that came before the first cluster.
    early_tags: Vec<Tag>,
    /// The last frame time of the fragment before.
    floor: Option<ProducerTime>,
    documents: usize,
    segments: usize,
    /// The whole body is a Tags element, which AWS's producer sends after an error: nothing to do.
    ignoring: bool,
}

#[derive(Debug)]
enum State {
    /// No cluster yet.
    Header,
    /// Frames arrive.
    Open { rules: Rules, start: u64 },
    /// All frames are there; tags may follow.
    Closed { rules: Rules, start: u64 },
    /// The fragment is complete.
    Between,
}

impl Cutter {
    pub(crate) fn new() -> Self {
        Self {
            demuxer: Demuxer::new(Limits::default()),
            raw: Raw::default(),
            header: Header::default(),
            steps: VecDeque::new(),
            state: State::Header,
            tracks: None,
            early_tags: Vec::new(),
            floor: None,
            documents: 0,
            segments: 0,
            ignoring: false,
        }
    }

    /// Takes the next bytes of the body.
    pub(crate) fn push(&mut self, bytes: Bytes, arrived_ms: u64) {
        if !self.ignoring {
            self.raw.push(bytes.clone(), arrived_ms);
            self.demuxer.push(bytes);
        }
    }

    /// What happened next; `None` wants more bytes.
    pub(crate) fn next(&mut self) -> Result<Option<Step>, Refused> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return Ok(Some(step));
            }
            if self.ignoring {
                return Ok(None);
            }
            match self.demuxer.next() {
                Ok(Some(event)) => self.event(event)?,
                Ok(None) => {
                    self.check_bounds()?;
                    return Ok(None);
                }
                Err(error) => self.demux_error(&error)?,
            }
        }
    }

    /// The body ended as its sender meant it to: the last steps, in order.
    pub(crate) fn finish(&mut self) -> Result<Option<Step>, Refused> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return Ok(Some(step));
            }
            if self.ignoring {
                return Ok(None);
            }
            match self.demuxer.finish() {
                Ok(Some(event)) => self.event(event)?,
                Ok(None) if self.ends_by_itself() => self.end()?,
                Ok(None) => return Ok(None),
                Err(error) => self.demux_error(&error)?,
            }
        }
    }

    /// Whether a fragment has all its frames and only its end is missing, so that a pause ends it.
    pub(crate) fn ends_by_itself(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Whether a fragment is neither complete nor given up.
    pub(crate) fn in_fragment(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::Closed { .. })
    }

    /// Bytes that have arrived and are no step yet: of an element that is still under way.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.raw.len()
    }

    /// Ends the fragment that has all its frames, without waiting for what follows it.
    pub(crate) fn end_by_pause(&mut self) -> Result<(), Refused> {
        if self.ends_by_itself() {
            self.end()?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), Refused> {
        match event {
            Event::Document { offset } => self.document(offset),
            Event::Segment { offset, body, size } => self.segment(offset, body, size),
            Event::Tracks(tracks) => self.set_tracks(tracks),
            Event::ClusterStart {
                offset,
                timecode,
                time,
            } => self.begin(offset, timecode, time),
            Event::Frame(frame) => match &mut self.state {
                State::Open { rules, start } => {
                    rules.frame(&frame)?;
                    check_size(*start, self.demuxer.offset())?;
                    self.media_to(self.demuxer.offset());
                    Ok(())
                }
                _ => Err(invalid("a frame outside a cluster")),
            },
            Event::ClusterEnd { offset } => {
                self.close(offset);
                Ok(())
            }
            Event::Tags { offset, end, tags } => self.tags(offset, end, tags),
            // Info tells nothing that the cluster's own time does not.
            _ => Ok(()),
        }
    }

    fn document(&mut self, offset: u64) -> Result<(), Refused> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(invalid(format!("a second EBML header at byte {offset}")));
        }
        Ok(())
    }

    fn segment(&mut self, offset: u64, body: u64, size: Option<u64>) -> Result<(), Refused> {
        self.segments += 1;
        if self.segments > 1 {
            return Err(invalid(format!("a second Segment at byte {offset}")));
        }
        if size.is_some() {
            self.header.known_segment(offset, body);
        }
        Ok(())
    }

    fn set_tracks(&mut self, tracks: Arc<[Track]>) -> Result<(), Refused> {
        if !matches!(self.state, State::Header) || self.tracks.is_some() {
            return Err(invalid("a second Tracks element"));
        }
        if tracks.is_empty() {
            return Err(invalid("no tracks"));
        }
        if tracks.len() > TRACKS_MAX {
            return Err(Refused::new(
                AckError::TooManyTracks,
                format!("{} tracks, more than {TRACKS_MAX}", tracks.len()),
            ));
        }
        self.tracks = Some(tracks);
        Ok(())
    }

    fn begin(&mut self, start: u64, timecode: u64, time: ProducerTime) -> Result<(), Refused> {
        self.close(start);
        if self.ends_by_itself() {
            self.end()?;
        }
        let Some(tracks) = self.tracks.clone() else {
            return Err(invalid("a cluster before the tracks"));
        };
        let mut rules = Rules::new(tracks, self.floor);
        let header = if matches!(self.state, State::Header) {
            rules.tags(&std::mem::take(&mut self.early_tags))?;
            let whole = self.raw.bytes_to(start);
            self.header.close(&whole)
        } else {
            self.raw.skip_to(start);
            self.header.document()
        };
        self.steps.push_back(Step::Begin(Beginning {
            timecode,
            time,
            arrived_ms: self.raw.arrived_ms().unwrap_or_default(),
            header,
        }));
        self.state = State::Open { rules, start };
        self.media_to(self.demuxer.offset());
        Ok(())
    }

    fn media_to(&mut self, offset: u64) {
        let steps = &mut self.steps;
        self.raw
            .take_to(offset, |bytes| steps.push_back(Step::Media(bytes)));
    }

    /// The cluster's last element ended at `offset`.
    fn close(&mut self, offset: u64) {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Open { rules, start } => {
                self.media_to(offset);
                self.state = State::Closed { rules, start };
            }
            other => self.state = other,
        }
    }

    fn tags(&mut self, offset: u64, end: u64, mut tags: Vec<Tag>) -> Result<(), Refused> {
        let ends = ends_fragment(&tags);
        let count = tags.len();
        match &mut self.state {
            State::Header => {
                let rest = without_end(&mut tags, ends);
                self.header.tags(offset, end, rest);
                self.early_tags.append(&mut tags);
            }
            State::Open { rules, start } | State::Closed { rules, start } => {
                rules.tags(&tags)?;
                check_size(*start, end)?;
                self.raw.skip_to(offset);
                let whole = self.raw.bytes_to(end);
                let kept = without_end(&mut tags, ends).unwrap_or(whole);
                if !kept.is_empty() {
                    self.steps.push_back(Step::Tags(kept));
                }
                if ends {
                    self.end()?;
                }
            }
            State::Between if ends && count == 1 => self.raw.skip_to(end),
            State::Between => return Err(invalid("tags after the end of their fragment")),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refused> {
        if let State::Open { rules, .. } | State::Closed { rules, .. } = &self.state {
            let length_ms = rules.end()?;
            self.floor = rules.latest();
            self.steps.push_back(Step::End { length_ms });
            self.state = State::Between;
        }
        Ok(())
    }

    /// What has arrived but is not yet an event stays within the bounds of what it may become.
    fn check_bounds(&self) -> Result<(), Refused> {
        match self.state {
            State::Open { start, .. } | State::Closed { start, .. } => {
                check_size(start, self.raw.end())
            }
            State::Header | State::Between if self.raw.len() > HEADER_BYTES_MAX => {
                Err(invalid("more than 1 MiB outside of any cluster"))
            }
            _ => Ok(()),
        }
    }

    fn demux_error(&mut self, error: &DemuxError) -> Result<(), Refused> {
        let id = match error.kind {
            DemuxErrorKind::NotADocument { id: TAGS } if self.documents == 0 => {
                self.ignoring = true;
                return Ok(());
            }
            DemuxErrorKind::UndeclaredTrack { .. } => AckError::TrackNumberMismatch,
            DemuxErrorKind::NegativeTime | DemuxErrorKind::TimeOverflow => {
                AckError::InvalidProducerTimestamp
            }
            DemuxErrorKind::TooLarge {
                id: SIMPLE_BLOCK | BLOCK_GROUP | BLOCK,
                ..
            } => AckError::MaxFragmentSizeReached,
            _ => AckError::InvalidMkvData,
        };
        Err(Refused::new(id, error.to_string()))
    }
}

fn check_size(start: u64, end: u64) -> Result<(), Refused> {
    if end.saturating_sub(start) > FRAGMENT_BYTES_MAX {
        return Err(Refused::new(
            AckError::MaxFragmentSizeReached,
            format!("a fragment of more than {FRAGMENT_BYTES_MAX} bytes"),
        ));
    }
    Ok(())
}

/// The element without END_OF_FRAGMENT, which no reader sees; `None` if it did not have it.
fn without_end(tags: &mut Vec<Tag>, ends: bool) -> Option<Bytes> {
    if !ends {
        return None;
    }
    tags.retain(|tag| tag.name != kvs_media::mkv::END_OF_FRAGMENT);
    Some(if tags.is_empty() {
        Bytes::new()
    } else {
        tags_element(tags)
    })
}

fn invalid(why: impl Into<String>) -> Refused {
    Refused::new(AckError::InvalidMkvData, why)
}

#[cfg(test)]
mod tests;

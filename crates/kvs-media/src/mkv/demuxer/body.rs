//! What a demuxer makes of a body that has arrived whole, and of the end of a cluster or group.

use super::{Cluster, Demuxer, Element, Group, Level, Segment, Step};
use crate::mkv::block::{Block, Frames};
use crate::mkv::ebml::{id, uint};
use crate::mkv::tracks::Entry;
use crate::mkv::{DemuxErrorKind, Event, Info, document, tags, tracks};
use crate::{Frame, ProducerTime};

impl Segment {
    pub(super) fn new(end: Option<u64>) -> Self {
        Self {
            end,
            timecode_scale_ns: Info::default().timecode_scale_ns,
            entries: Vec::new(),
        }
    }

    /// A time in units of TimecodeScale, in nanoseconds.
    fn ns(&self, units: u64) -> Result<u64, DemuxErrorKind> {
        units
            .checked_mul(self.timecode_scale_ns)
            .ok_or(DemuxErrorKind::TimeOverflow)
    }
}

impl Demuxer {
    /// An awaited element is at hand, its header consumed.
    pub(super) fn whole(&mut self, element: Element) -> Result<Step, DemuxErrorKind> {
        let Element { id, offset, size } = element;
        // Bounded by what is at hand, so it fits.
        let size = size as usize;
        if matches!(id, id::SIMPLE_BLOCK | id::BLOCK) {
            return self.block(element, size);
        }
        let body = self.input.take(size).unwrap_or_default().to_bytes();
        let malformed = |malformed| DemuxErrorKind::of(malformed, id);
        match id {
            id::EBML => {
                document::check(&body)?;
                self.in_document = true;
                Ok(Step::Event(Event::Document { offset }))
            }
            id::INFO => {
                let info = document::info(&body).map_err(malformed)?;
                self.segment.timecode_scale_ns = info.timecode_scale_ns;
                Ok(Step::Event(Event::Info(info)))
            }
            id::TRACKS => {
                self.segment.entries = tracks::parse(&body)?;
                let tracks = self.segment.entries.iter().map(|entry| entry.track.clone());
                Ok(Step::Event(Event::Tracks(tracks.collect())))
            }
            id::TAGS => {
                let tags = tags::parse(&body).map_err(malformed)?;
                let end = self.input.position();
                Ok(Step::Event(Event::Tags { offset, end, tags }))
            }
            id::TIMECODE => self.timecode(uint(id, &body).map_err(malformed)?),
            _ => {
                self.group.duration = Some(uint(id, &body).map_err(malformed)?);
                Ok(Step::Again)
            }
        }
    }

    fn timecode(&mut self, timecode: u64) -> Result<Step, DemuxErrorKind> {
        if self.cluster.timecode.replace(timecode).is_some() {
            return Err(DemuxErrorKind::Misplaced { id: id::TIMECODE.0 });
        }
        Ok(Step::Event(Event::ClusterStart {
            offset: self.cluster.offset,
            timecode,
            time: ProducerTime::from_ns(self.segment.ns(timecode)?),
        }))
    }

    /// A cluster is complete.
    pub(super) fn end_cluster(&mut self) -> Result<Event, DemuxErrorKind> {
        self.level = Level::Segment;
        let Cluster { timecode, .. } = std::mem::take(&mut self.cluster);
        timecode.ok_or(DemuxErrorKind::NoTimecode)?;
        let offset = self.input.position();
        Ok(Event::ClusterEnd { offset })
    }

    fn block(&mut self, element: Element, size: usize) -> Result<Step, DemuxErrorKind> {
        let block = Block::take(&mut self.input, size, element.id)?;
        if self.level == Level::Cluster {
            let key = block.key;
            return self.frames(block, None, key);
        }
        if self.group.block.replace(block).is_some() {
            return Err(DemuxErrorKind::Misplaced { id: id::BLOCK.0 });
        }
        Ok(Step::Again)
    }

    /// A BlockGroup is complete: only now are its block's duration and references known.
    pub(super) fn end_group(&mut self) -> Result<Step, DemuxErrorKind> {
        self.level = Level::Cluster;
        let group = std::mem::take(&mut self.group);
        let Group {
            block,
            duration,
            referring,
            ..
        } = group;
        let malformed = DemuxErrorKind::Malformed {
            id: id::BLOCK_GROUP.0,
        };
        let duration_ns = duration.map(|units| self.segment.ns(units)).transpose()?;
        self.frames(block.ok_or(malformed)?, duration_ns, !referring)
    }

    /// The frames of a block. All but the first wait in `ready`.
    fn frames(
        &mut self,
        block: Block,
        duration_ns: Option<u64>,
        key: bool,
    ) -> Result<Step, DemuxErrorKind> {
        let number = block.track;
        let is_of_block = |entry: &&Entry| u64::from(entry.track.number.get()) == number;
        let entry = self.segment.entries.iter().find(is_of_block);
        let entry = entry.ok_or(DemuxErrorKind::UndeclaredTrack { number })?;
        let track = entry.track.number;
        let first_ns = self.block_time_ns(block.relative)?;
        let frame = |time_ns, duration_ns, data| {
            Event::Frame(Frame {
                track,
                time: ProducerTime::from_ns(time_ns),
                decode_time: None,
                duration_ns,
                key,
                data,
            })
        };
        let laced = match block.frames {
            Frames::One(data) => {
                let duration_ns = duration_ns.or(entry.frame_duration_ns);
                return Ok(Step::Event(frame(first_ns, duration_ns, data)));
            }
            Frames::Laced(laced) => laced,
        };
        // A block's duration is that of all its frames together.
        let each_ns = duration_ns
            .map(|ns| ns / laced.len() as u64)
            .or(entry.frame_duration_ns);
        let step_ns = each_ns.unwrap_or(0);
        for (at, data) in (0..).zip(laced) {
            let time_ns = step_ns
                .checked_mul(at)
                .and_then(|after| first_ns.checked_add(after));
            let time_ns = time_ns.ok_or(DemuxErrorKind::TimeOverflow)?;
            self.ready.push_back(frame(time_ns, each_ns, data));
        }
        Ok(self.ready.pop_front().map_or(Step::Again, Step::Event))
    }

    /// The cluster's timecode with a block's relative one.
    fn block_time_ns(&self, relative: i16) -> Result<u64, DemuxErrorKind> {
        let timecode = self.cluster.timecode.ok_or(DemuxErrorKind::NoTimecode)?;
        let units = timecode.checked_add_signed(relative.into());
        self.segment.ns(units.ok_or(if relative < 0 {
            DemuxErrorKind::NegativeTime
        } else {
            DemuxErrorKind::TimeOverflow
        })?)
    }
}

//! Frames to Matroska, in the profile that Kinesis Video Streams takes.
//!
//! The layout is that of AWS's own producer: a Segment and Clusters of unknown size, timecodes and
//! block sizes of 8 bytes, SimpleBlocks only, Tags after the cluster that they describe.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use super::ebml::{id, write};
use super::tags::{END_OF_FRAGMENT, Tag, tags_element};
use super::tracks;
use crate::{Frame, ProducerTime, Track, TrackNumber};

/// Size of the buffer that block headers are cut from: some 300 of them. It is freed when the last
/// of its headers has been sent.
const ARENA_BYTES: usize = 4 << 10;
/// SimpleBlock id, 8-byte size, track number, relative time, flags.
const BLOCK_HEADER_BYTES: usize = 1 + 8 + 1 + 2 + 1;
/// Cluster id and unknown size, Timecode id, its size and 8 bytes.
const CLUSTER_HEADER_BYTES: usize = 4 + 1 + 1 + 1 + 8;
/// A size field of one byte that says "unknown".
const UNKNOWN_SIZE: u8 = 0xFF;
/// The marker bit of a size field of 8 bytes.
const SIZE_MARKER: u64 = 1 << 56;
const FLAG_KEY: u8 = 0x80;
/// SimpleBlocks came with version 2.
const DOC_TYPE_VERSION: u64 = 2;

/// What a [`Muxer`] writes into Info.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuxerSettings {
    /// Nanoseconds a unit of time; 1 000 000 in every AWS client.
    pub timecode_scale_ns: u32,
    /// Where the times of clusters count from, rounded down to a unit; 1970 are absolute times.
    pub origin: ProducerTime,
    /// The title of the Segment; left out if empty.
    pub title: String,
    /// Who makes the frames.
    pub writing_app: String,
    /// Names this Segment among all others; left out if all zero.
    pub segment_uid: [u8; 16],
}

impl Default for MuxerSettings {
    fn default() -> Self {
        Self {
            timecode_scale_ns: 1_000_000,
            origin: ProducerTime::from_ns(0),
            title: String::new(),
            writing_app: concat!("kvs-media ", env!("CARGO_PKG_VERSION")).to_owned(),
            segment_uid: [0; 16],
        }
    }
}

/// A track or frame that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MuxError {
    /// A document needs at least one track.
    #[error("no tracks")]
    NoTracks,
    /// Two tracks have the same number.
    #[error("track {0} is declared twice")]
    TrackTwice(TrackNumber),
    /// A unit of time must last at least a nanosecond.
    #[error("timecode scale 0")]
    ZeroScale,
    /// A frame of a track that the header does not declare.
    #[error("a frame of track {0}, which is not declared")]
    UndeclaredTrack(TrackNumber),
    /// A frame before the first cluster.
    #[error("a frame before the first cluster")]
    NoCluster,
    /// A frame before its cluster, or more than 32 767 units after its start.
    #[error("a frame at {time} does not fit into the cluster at {cluster}")]
    OutsideCluster {
        /// The frame's time.
        time: ProducerTime,
        /// The cluster's time.
        cluster: ProducerTime,
    },
}

/// Writes one document: [`header`](Self::header), then for each fragment
/// [`begin_cluster`](Self::begin_cluster), its [`frame`](Self::frame)s, and where wanted
/// [`tags`](Self::tags) and [`end_of_fragment`](Self::end_of_fragment).
///
/// Bytes are appended to `out`. A frame's own pieces are passed on as they are.
#[derive(Debug)]
pub struct Muxer {
    header: Bytes,
    tracks: SmallVec<[TrackNumber; 4]>,
    timecode_scale_ns: u64,
    /// In units.
    origin: u64,
    /// The open cluster's timecode, in units.
    cluster: Option<u64>,
    arena: BytesMut,
}

impl Muxer {
    /// A muxer for a document with these tracks.
    ///
    /// # Errors
    /// No tracks, two of the same number, or a timecode scale of 0.
    pub fn new(tracks: &[Track], settings: &MuxerSettings) -> Result<Self, MuxError> {
        if tracks.is_empty() {
            return Err(MuxError::NoTracks);
        }
        if settings.timecode_scale_ns == 0 {
            return Err(MuxError::ZeroScale);
        }
        let mut numbers = SmallVec::new();
        for track in tracks {
            if numbers.contains(&track.number) {
                return Err(MuxError::TrackTwice(track.number));
            }
            numbers.push(track.number);
        }
        let timecode_scale_ns = u64::from(settings.timecode_scale_ns);
        Ok(Self {
            header: header(tracks, settings),
            tracks: numbers,
            timecode_scale_ns,
            origin: settings.origin.as_ns() / timecode_scale_ns,
            cluster: None,
            arena: BytesMut::new(),
        })
    }

    /// The document's header: EBML, Segment, Info and Tracks. It has no Tags, as those would belong
    /// to the first fragment.
    pub fn header(&self) -> Bytes {
        self.header.clone()
    }

    /// Begins a cluster at `start`, rounded down to a unit of time; at the origin if that is later.
    pub fn begin_cluster(&mut self, start: ProducerTime, out: &mut impl Extend<Bytes>) {
        let timecode = (start.as_ns() / self.timecode_scale_ns).max(self.origin);
        self.cluster = Some(timecode);
        let origin = self.origin;
        let arena = self.arena(CLUSTER_HEADER_BYTES);
        arena.put_u32(id::CLUSTER.0);
        arena.put_u8(UNKNOWN_SIZE);
        arena.put_u8(id::TIMECODE.0 as u8);
        arena.put_u8(0x88);
        arena.put_u64(timecode - origin);
        out.extend([self.cut()]);
    }

    /// Adds a frame to the open cluster.
    ///
    /// # Errors
    /// Nothing has been written then: the track is not declared, no cluster is open, or the frame's
    /// time lies before it or too far behind.
    pub fn frame(&mut self, frame: &Frame, out: &mut impl Extend<Bytes>) -> Result<(), MuxError> {
        if !self.tracks.contains(&frame.track) {
            return Err(MuxError::UndeclaredTrack(frame.track));
        }
        let cluster = self.cluster.ok_or(MuxError::NoCluster)?;
        let timecode = frame.time.as_ns() / self.timecode_scale_ns;
        let relative = timecode
            .checked_sub(cluster)
            .and_then(|relative| i16::try_from(relative).ok())
            .ok_or(MuxError::OutsideCluster {
                time: frame.time,
                cluster: ProducerTime::from_ns(cluster * self.timecode_scale_ns),
            })?;
        let size = frame.data.len() as u64 + 4;
        let arena = self.arena(BLOCK_HEADER_BYTES);
        arena.put_u8(id::SIMPLE_BLOCK.0 as u8);
        arena.put_u64(size | SIZE_MARKER);
        arena.put_u8(0x80 | frame.track.get());
        arena.put_i16(relative);
        arena.put_u8(if frame.key { FLAG_KEY } else { 0 });
        out.extend([self.cut()]);
        out.extend(frame.data.pieces().iter().cloned());
        Ok(())
    }

    /// Writes tags that describe the fragment whose cluster was begun last. They end the cluster.
    pub fn tags(&mut self, tags: &[Tag], out: &mut impl Extend<Bytes>) {
        self.cluster = None;
        out.extend([tags_element(tags)]);
    }

    /// Says that the fragment is complete, so that the service need not wait for the next cluster.
    pub fn end_of_fragment(&mut self, out: &mut impl Extend<Bytes>) {
        self.tags(&[Tag::new(END_OF_FRAGMENT, "")], out);
    }

    /// The arena with room for `bytes` more.
    fn arena(&mut self, bytes: usize) -> &mut BytesMut {
        if self.arena.capacity() < bytes {
            self.arena = BytesMut::with_capacity(ARENA_BYTES);
        }
        &mut self.arena
    }

    /// What has been written into the arena.
    fn cut(&mut self) -> Bytes {
        self.arena.split().freeze()
    }
}

/// A document without tracks: EBML header and the start of a Segment of unknown size. Tags may
/// follow, as in the error chunk of GetMedia.
pub fn empty_document() -> Bytes {
    let mut out = Vec::new();
    begin_document(&mut out);
    out.into()
}

fn begin_document(out: &mut Vec<u8>) {
    write::master(out, id::EBML, |out| {
        write::uint(out, id::EBML_VERSION, 1);
        write::uint(out, id::EBML_READ_VERSION, 1);
        write::uint(out, id::EBML_MAX_ID_LENGTH, 4);
        write::uint(out, id::EBML_MAX_SIZE_LENGTH, 8);
        write::text(out, id::DOC_TYPE, "matroska");
        write::uint(out, id::DOC_TYPE_VERSION, DOC_TYPE_VERSION);
        write::uint(out, id::DOC_TYPE_READ_VERSION, DOC_TYPE_VERSION);
    });
    write::id(out, id::SEGMENT);
    out.push(UNKNOWN_SIZE);
}

fn header(tracks: &[Track], settings: &MuxerSettings) -> Bytes {
    let mut out = Vec::new();
    begin_document(&mut out);
    write::master(&mut out, id::INFO, |out| {
        if settings.segment_uid != [0; 16] {
            write::binary(out, id::SEGMENT_UID, &settings.segment_uid);
        }
        let scale = settings.timecode_scale_ns;
        write::uint(out, id::TIMECODE_SCALE, scale.into());
        if !settings.title.is_empty() {
            write::text(out, id::TITLE, &settings.title);
        }
        write::text(
            out,
            id::MUXING_APP,
            concat!("kvs-media ", env!("CARGO_PKG_VERSION")),
        );
        write::text(out, id::WRITING_APP, &settings.writing_app);
    });
    tracks::write(&mut out, tracks);
    out.into()
}

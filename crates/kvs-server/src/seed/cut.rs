//! Cuts a file's frames into fragments: at key frames, within the bounds of the service.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use kvs_media::{Frame, ProducerTime, Track, TrackKind, TrackNumber};

use super::SeedError;
use super::mkv::MkvFrames;
use super::mp4::Mp4Frames;
use crate::ingest::{FRAGMENT_BYTES_MAX, FRAGMENT_LENGTH_NS_MAX};

/// Where each picture is a key frame, or all is sound: a fragment a second, as producers do.
const FRAGMENT_NS_MIN: u64 = 1_000_000_000;

/// A file's fragments, one at a time.
#[derive(Debug)]
pub(super) struct Cuts {
    source: Source,
    /// The track whose key frames begin fragments.
    leading: TrackNumber,
    /// The key frame that the next fragment begins with.
    next: Option<Frame>,
}

/// The frames of one fragment, in the order of the file.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) frames: Vec<Frame>,
    pub(super) earliest: ProducerTime,
    pub(super) latest: ProducerTime,
    bytes: u64,
}

#[derive(Debug)]
enum Source {
    Mkv(Box<MkvFrames>),
    Mp4(Mp4Frames),
}

impl Source {
    fn open(path: &Path) -> Result<Self, SeedError> {
        let mut file = File::open(path)?;
        let mut head = Vec::new();
        (&mut file).take(8).read_to_end(&mut head)?;
        file.rewind()?;
        match head.as_slice() {
            [0x1A, 0x45, 0xDF, 0xA3, ..] => MkvFrames::open(file).map(Box::new).map(Self::Mkv),
            [_, _, _, _, b'f', b't', b'y', b'p'] => Mp4Frames::open(file).map(Self::Mp4),
            _ => Err(SeedError::wrong("neither Matroska nor MP4")),
        }
    }

    fn tracks(&self) -> &[Track] {
        match self {
            Self::Mkv(frames) => frames.tracks(),
            Self::Mp4(frames) => frames.tracks(),
        }
    }

    fn next(&mut self) -> Result<Option<Frame>, SeedError> {
        match self {
            Self::Mkv(frames) => frames.next(),
            Self::Mp4(frames) => frames.next(),
        }
    }
}

impl Cuts {
    pub(super) fn open(path: &Path) -> Result<Self, SeedError> {
        let source = Source::open(path)?;
        let tracks = source.tracks();
        let video = |track: &&Track| matches!(track.kind, TrackKind::Video(_));
        let leading = tracks.iter().find(video).or(tracks.first());
        let nothing = || SeedError::wrong("it has no tracks of pictures or sound");
        let leading = leading.ok_or_else(nothing)?.number;
        Ok(Self {
            source,
            leading,
            next: None,
        })
    }

    pub(super) fn tracks(&self) -> &[Track] {
        self.source.tracks()
    }

    /// The next fragment. What comes before the first key frame belongs to none.
    pub(super) fn next(&mut self) -> Result<Option<Cut>, SeedError> {
        let first = loop {
            let next = match self.next.take() {
                Some(next) => Some(next),
                None => self.source.next()?,
            };
            match next {
                Some(frame) if self.is_key(&frame) => break frame,
                Some(_) => {}
                None => return Ok(None),
            }
        };
        let begins = first.time;
        let mut cut = Cut {
            earliest: begins,
            latest: begins,
            frames: Vec::new(),
            bytes: 0,
        };
        cut.push(first)?;
        while let Some(frame) = self.source.next()? {
            let since_ns = frame.time.saturating_ns_since(begins);
            if self.is_key(&frame) && since_ns >= FRAGMENT_NS_MIN {
                self.next = Some(frame);
                break;
            }
            cut.push(frame)?;
        }
        Ok(Some(cut))
    }

    fn is_key(&self, frame: &Frame) -> bool {
        frame.key && frame.track == self.leading
    }
}

impl Cut {
    fn push(&mut self, frame: Frame) -> Result<(), SeedError> {
        self.earliest = self.earliest.min(frame.time);
        self.latest = self.latest.max(frame.time);
        self.bytes += frame.data.len() as u64;
        self.frames.push(frame);
        let lasts_ns = self.latest.saturating_ns_since(self.earliest);
        if lasts_ns > FRAGMENT_LENGTH_NS_MAX || self.bytes > FRAGMENT_BYTES_MAX {
            let begins = self.earliest;
            return Err(SeedError::wrong(format!(
                "no key frame within the 20 s and 50 MB of a fragment that begins at {begins}"
            )));
        }
        Ok(())
    }
}

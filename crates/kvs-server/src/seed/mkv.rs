//! Frames of a Matroska file, as its demuxer finds them.

use std::fs::File;
use std::io::Read;

use bytes::{Bytes, BytesMut};
use kvs_media::mkv::{DemuxError, Demuxer, Event, Limits};
use kvs_media::{Frame, Track, TrackKind};

use super::{SeedError, TRACKS_MAX};

/// What is read at a time.
const READ_BYTES: usize = 1 << 20;

/// A file's frames, of its pictures and sound. The times are the file's own.
#[derive(Debug)]
pub(super) struct MkvFrames {
    file: File,
    demuxer: Demuxer,
    tracks: Vec<Track>,
    is_read: bool,
}

impl MkvFrames {
    pub(super) fn open(file: File) -> Result<Self, SeedError> {
        let mut frames = Self {
            file,
            demuxer: Demuxer::new(Limits::default()),
            tracks: Vec::new(),
            is_read: false,
        };
        while frames.tracks.is_empty() {
            match frames.event()? {
                Some(Event::Tracks(tracks)) => frames.tracks = media(&tracks),
                Some(_) => {}
                None => return Err(SeedError::wrong("it has no tracks of pictures or sound")),
            }
        }
        Ok(frames)
    }

    pub(super) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    pub(super) fn next(&mut self) -> Result<Option<Frame>, SeedError> {
        while let Some(event) = self.event()? {
            match event {
                Event::Frame(frame) if self.has(&frame) => return Ok(Some(frame)),
                // What GetMedia gave is a document for each fragment.
                Event::Tracks(tracks) if media(&tracks) != self.tracks => {
                    let at = self.demuxer.offset();
                    return Err(SeedError::wrong(format!("its tracks change at byte {at}")));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn has(&self, frame: &Frame) -> bool {
        self.tracks.iter().any(|track| track.number == frame.track)
    }

    fn event(&mut self) -> Result<Option<Event>, SeedError> {
        loop {
            let event = match self.is_read {
                false => self.demuxer.next(),
                true => self.demuxer.finish(),
            };
            match event.map_err(|error| damaged(&error))? {
                Some(event) => return Ok(Some(event)),
                None if self.is_read => return Ok(None),
                None => {}
            }
            let mut bytes = BytesMut::zeroed(READ_BYTES);
            let read = self.file.read(&mut bytes)?;
            bytes.truncate(read);
            self.is_read = read == 0;
            self.demuxer.push(Bytes::from(bytes));
        }
    }
}

fn damaged(error: &DemuxError) -> SeedError {
    SeedError::wrong(format!("damaged Matroska: {error}"))
}

fn media(tracks: &[Track]) -> Vec<Track> {
    let is_media = |track: &&Track| matches!(track.kind, TrackKind::Video(_) | TrackKind::Audio(_));
    tracks
        .iter()
        .filter(is_media)
        .take(TRACKS_MAX)
        .cloned()
        .collect()
}

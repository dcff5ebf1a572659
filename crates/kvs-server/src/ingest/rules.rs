//! The rules that one fragment must keep, from the service's limits on PutMedia.

use std::sync::Arc;

use kvs_media::mkv::{END_OF_FRAGMENT, Tag};
use kvs_media::{Frame, ProducerTime, Track, TrackNumber};
use kvs_protocol::ack::AckError;
use kvs_protocol::tag;

use super::refused::Refused;

/// Tracks of a stream.
pub(crate) const TRACKS_MAX: usize = 3;
/// Cluster and metadata of a fragment: the service's 50 MB, in the larger reading of "MB".
pub(crate) const FRAGMENT_BYTES_MAX: u64 = 50 << 20;
/// From a fragment's first frame to its last.
pub(crate) const FRAGMENT_LENGTH_NS_MAX: u64 = 20_000_000_000;

/// What is known of the fragment that is being received.
#[derive(Debug)]
pub(super) struct Rules {
    tracks: Arc<[Track]>,
    seen: Vec<TrackNumber>,
    /// The last frame time of the fragment before.
    floor: Option<ProducerTime>,
    earliest: Option<ProducerTime>,
    latest: Option<ProducerTime>,
    tags: usize,
}

impl Rules {
    /// A fragment of these tracks, all of whose frames must be later than `floor`.
    pub(super) fn new(tracks: Arc<[Track]>, floor: Option<ProducerTime>) -> Self {
        Self {
            tracks,
            seen: Vec::new(),
            floor,
            earliest: None,
            latest: None,
            tags: 0,
        }
    }

    /// Takes a frame into account.
    pub(super) fn frame(&mut self, frame: &Frame) -> Result<(), Refused> {
        if !self.tracks.iter().any(|track| track.number == frame.track) {
            return Err(Refused::new(
                AckError::TrackNumberMismatch,
                format!("a frame of track {}, which is not declared", frame.track),
            ));
        }
        if !self.seen.contains(&frame.track) {
            self.seen.push(frame.track);
        }
        if let Some(floor) = self.floor.filter(|floor| frame.time <= *floor) {
            return Err(Refused::new(
                AckError::FragmentTimecodeLesserThanPrevious,
                format!("a frame at {}, after one at {floor}", frame.time),
            ));
        }
        let earliest = self
            .earliest
            .map_or(frame.time, |time| time.min(frame.time));
        let latest = self.latest.map_or(frame.time, |time| time.max(frame.time));
        (self.earliest, self.latest) = (Some(earliest), Some(latest));
        if latest.saturating_ns_since(earliest) > FRAGMENT_LENGTH_NS_MAX {
            return Err(Refused::new(
                AckError::MaxFragmentDurationReached,
                format!("frames from {earliest} to {latest} in one fragment"),
            ));
        }
        Ok(())
    }

    /// Takes the tags of one Tags element into account; END_OF_FRAGMENT counts like any other.
    pub(super) fn tags(&mut self, tags: &[Tag]) -> Result<(), Refused> {
        self.tags += tags.len();
        tag::check_count(self.tags).map_err(|broken| refused(&broken))?;
        for each in tags {
            tag::check(&each.name, &each.value).map_err(|broken| refused(&broken))?;
        }
        Ok(())
    }

    /// The fragment is complete: what it lacks, or its length in milliseconds.
    pub(super) fn end(&self) -> Result<u64, Refused> {
        let missing = self
            .tracks
            .iter()
            .find(|track| !self.seen.contains(&track.number));
        if let Some(track) = missing {
            return Err(Refused::new(
                AckError::FramesMissingForTrack,
                format!("no frame of track {} in the fragment", track.number),
            ));
        }
        Ok(self.length_ms())
    }

    /// The last frame time, which the next fragment must be later than.
    pub(super) fn latest(&self) -> Option<ProducerTime> {
        self.latest.or(self.floor)
    }

    /// From the first frame's time to the last one's, without how long that one lasts.
    fn length_ms(&self) -> u64 {
        match (self.earliest, self.latest) {
            (Some(earliest), Some(latest)) => latest.as_ms() - earliest.as_ms(),
            _ => 0,
        }
    }
}

/// Whether these tags say that the producer's fragment is complete.
pub(super) fn ends_fragment(tags: &[Tag]) -> bool {
    tags.iter().any(|tag| tag.name == END_OF_FRAGMENT)
}

fn refused(broken: &tag::TagError) -> Refused {
    Refused::new(broken.ack_error(), broken.to_string())
}

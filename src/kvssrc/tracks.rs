//! Tracks become pads, in the order of events that every kind of decodebin needs.

use std::sync::Arc;

use gst::prelude::*;
use kvs_media::{Track, TrackKind, TrackNumber};

use super::KvsSrc;
use super::caps;
use super::pad;
use super::queue::{Entry, Stale};
use super::session::Session;
use crate::data_track;

/// A track that has a pad.
#[derive(Clone, Debug)]
pub(super) struct ExposedTrack {
    pub(super) number: TrackNumber,
    pub(super) family: Family,
    pub(super) caps: gst::Caps,
    pub(super) pad: gst::Pad,
    /// The index of its queue.
    pub(super) queue: usize,
}

/// The families of pads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Video,
    Audio,
    Data,
}

impl Family {
    pub(super) const ALL: [Self; 3] = [Self::Video, Self::Audio, Self::Data];

    fn of(track: &Track) -> Self {
        match track.kind {
            TrackKind::Video(_) => Self::Video,
            TrackKind::Audio(_) => Self::Audio,
            TrackKind::Data(_) => Self::Data,
        }
    }

    /// The name of the pads, with their index.
    fn pad_name(self, index: usize) -> String {
        let family = match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Data => "data",
        };
        format!("{family}_{index}")
    }

    pub(super) fn template_name(self) -> &'static str {
        match self {
            Self::Video => "video_%u",
            Self::Audio => "audio_%u",
            Self::Data => "data_%u",
        }
    }

    fn stream_type(self) -> gst::StreamType {
        match self {
            Self::Video => gst::StreamType::VIDEO,
            Self::Audio => gst::StreamType::AUDIO,
            Self::Data => gst::StreamType::UNKNOWN,
        }
    }

    fn stream_flags(self) -> gst::StreamFlags {
        match self {
            Self::Data => gst::StreamFlags::SPARSE,
            Self::Video | Self::Audio => gst::StreamFlags::empty(),
        }
    }
}

/// Where a track's frames go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) track: TrackNumber,
    /// Its index.
    pub(super) queue: usize,
    /// Frames without the key flag are no news, see [`data_track::is_ours`].
    pub(super) has_repeats: bool,
}

/// Makes a pad for each track that has none, gives new caps to those that have, and says which
/// queue each track has. A pad whose track is gone stays: it may come back, and gets GAP events.
pub(super) fn expose(
    session: &Arc<Session>,
    element: &KvsSrc,
    epoch: u64,
    tracks: &[Track],
) -> Result<Vec<Queue>, Stale> {
    let mut exposed = session.tracks();
    let mut queues = Vec::with_capacity(tracks.len());
    let known = exposed.len();
    for track in tracks {
        let family = Family::of(track);
        let caps = caps::of_track(track);
        let same = |other: &&ExposedTrack| (other.number, other.family) == (track.number, family);
        if let Some(old) = exposed.iter().find(same) {
            if old.caps != caps {
                let event = gst::event::Caps::new(&caps);
                session.queues.put(epoch, old.queue, Entry::Event(event))?;
                session.set_caps(old.queue, &caps);
            }
            queues.push(queue_of(track, old.queue));
            continue;
        }
        let index = exposed.iter().filter(|o| o.family == family).count();
        let queue = session.queues.add(epoch)?;
        queues.push(queue_of(track, queue));
        exposed.push(ExposedTrack {
            number: track.number,
            family,
            caps,
            pad: pad::new(element, family, &family.pad_name(index)),
            queue,
        });
    }
    if exposed.len() > known {
        add(session, element, epoch, &exposed, known)?;
    }
    Ok(queues)
}

fn queue_of(track: &Track, queue: usize) -> Queue {
    Queue {
        track: track.number,
        queue,
        has_repeats: data_track::is_ours(track),
    }
}

/// Adds the pads from index `known` on. The collection goes out before a pad is added: without
/// it uridecodebin3 and playbin3 fail, and without no_more_pads uridecodebin waits for ever.
fn add(
    session: &Arc<Session>,
    element: &KvsSrc,
    epoch: u64,
    tracks: &[ExposedTrack],
    known: usize,
) -> Result<(), Stale> {
    let upstream_id = format!(
        "kvs/{}/{}",
        session.config.connection.stream.name(),
        element.name()
    );
    let streams: Vec<_> = tracks
        .iter()
        .map(|track| {
            gst::Stream::new(
                Some(&format!("{upstream_id}/{}", track.pad.name())),
                Some(&track.caps),
                track.family.stream_type(),
                track.family.stream_flags(),
            )
        })
        .collect();
    let collection = gst::StreamCollection::builder(Some(&upstream_id))
        .streams(streams.iter().cloned())
        .build();
    let segment = session.segment();
    for (track, stream) in tracks.iter().zip(streams).skip(known) {
        let start = gst::event::StreamStart::builder(&stream.stream_id().unwrap_or_default())
            .group_id(session.group)
            .flags(track.family.stream_flags())
            .stream(stream)
            .build();
        pad::prepare(track, start, &collection);
        if segment.announced {
            let event = Entry::Event(segment.event());
            session.queues.put(epoch, track.queue, event)?;
        }
        if element.add_pad(&track.pad).is_err() {
            gst::error!(
                super::imp::CAT,
                obj = element,
                "Cannot add pad {}",
                track.pad.name()
            );
        }
    }
    session.add_tracks(&tracks[known..]);
    element.no_more_pads();
    Ok(())
}

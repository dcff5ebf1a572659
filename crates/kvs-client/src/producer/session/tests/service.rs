//! A service that keeps the rules of PutMedia, and fails by a seed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Buf, Bytes};
use kvs_media::mkv::{Demuxer, END_OF_FRAGMENT, Event, Limits, Tag};
use kvs_media::{ProducerTime, Track, TrackNumber};
use kvs_protocol::ack::AckedFragment;
use kvs_protocol::{Ack, AckError, FragmentNumber, FragmentParts};

use super::super::super::pieces::Pieces;
use super::super::Head;
use super::source;
use crate::ErrorKind;
use crate::jitter::Jitter;

/// What goes wrong, each out of 1000 fragments or requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) refused: u64,
    pub(super) broken: u64,
    pub(super) mute: u64,
    pub(super) error: u64,
    pub(super) errors: Vec<AckError>,
    pub(super) reordered: bool,
    /// The fragments that are refused, by how many arrived before, and with what.
    pub(super) script: Vec<(u64, AckError)>,
    /// RECEIVED is all that comes.
    pub(super) keeps_nothing: bool,
    /// How long credentials are valid when a connection is opened.
    pub(super) valid_for: Option<Duration>,
    /// What the first connections are refused with.
    pub(super) refusals: Vec<ErrorKind>,
}

/// What comes back over a connection, and after how long.
#[derive(Debug)]
pub(super) enum Answer {
    Ack(Duration, Ack),
    Break(Duration),
}

/// A fragment as it arrives.
#[derive(Debug, Default)]
struct Arriving {
    timecode: u64,
    sequence: u64,
    frames: Vec<(TrackNumber, u64, u64)>,
    /// Values of data tracks that had come before.
    repeats: Vec<(TrackNumber, u64, u64)>,
    tags: Vec<Tag>,
}

/// One PutMedia as the service sees it.
#[derive(Debug)]
pub(super) struct Request {
    demuxer: Demuxer,
    tracks: Vec<Track>,
    arriving: Option<Arriving>,
    latest: Option<u64>,
    last_of: BTreeMap<TrackNumber, u64>,
    /// What its head says.
    head: Head,
    /// It does not answer any more, or has failed.
    pub(super) mute: bool,
}

/// All that the service keeps.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// The times of frames, in ms since 1970, by their numbers in the source.
    pub(super) stored: BTreeMap<u64, u64>,
    pub(super) fragments: u64,
    /// The tags of fragments, by the number of their first frame.
    pub(super) tags: BTreeMap<u64, Vec<Tag>>,
    arrived: u64,
    sequence: u64,
}

impl Request {
    pub(super) fn new(head: Head) -> Self {
        Self {
            head,
            demuxer: Demuxer::new(Limits::default()),
            tracks: Vec::new(),
            arriving: None,
            latest: None,
            last_of: BTreeMap::new(),
            mute: false,
        }
    }

    /// Takes bytes in.
    pub(super) fn receive(
        &mut self,
        mut bytes: Pieces,
        service: &mut Service,
        faults: &Faults,
        jitter: &mut Jitter,
    ) -> Vec<Answer> {
        let mut answers = Vec::new();
        while bytes.has_remaining() {
            let piece: Bytes = bytes.copy_to_bytes(bytes.chunk().len());
            self.demuxer.push(piece);
        }
        while let Some(event) = self.demuxer.next().expect("the session writes Matroska") {
            match event {
                Event::Tracks(tracks) => self.tracks = tracks.to_vec(),
                Event::ClusterStart { timecode, .. } => {
                    self.complete(service, faults, jitter, &mut answers);
                    service.sequence += 1;
                    let arriving = Arriving {
                        timecode,
                        sequence: service.sequence,
                        frames: Vec::new(),
                        repeats: Vec::new(),
                        tags: Vec::new(),
                    };
                    self.answer(
                        &mut answers,
                        Duration::ZERO,
                        Ack::Buffering(arriving.acked()),
                    );
                    self.arriving = Some(arriving);
                }
                Event::Frame(frame) => {
                    let mut data = frame.data.to_bytes();
                    let number = data.get_u64();
                    let arriving = self.arriving.as_mut().expect("a cluster comes first");
                    let at = frame.time.as_ms();
                    let is_repeat = frame.track == source::track(3) && !frame.key;
                    let into = match is_repeat {
                        true => &mut arriving.repeats,
                        false => &mut arriving.frames,
                    };
                    into.push((frame.track, at, number));
                }
                Event::Tags { tags, .. } if tags.iter().all(|tag| tag.name != END_OF_FRAGMENT) => {
                    let arriving = self.arriving.as_mut().expect("a cluster comes first");
                    arriving.tags.extend(tags);
                }
                Event::Tags { tags, .. } if tags.iter().any(|tag| tag.name == END_OF_FRAGMENT) => {
                    self.complete(service, faults, jitter, &mut answers);
                }
                _ => {}
            }
        }
        answers
    }

    fn answer(&self, answers: &mut Vec<Answer>, delay: Duration, ack: Ack) {
        if !self.mute && self.head.acks {
            answers.push(Answer::Ack(delay, ack));
        }
    }

    /// A fragment is whole: it must keep the rules; then it is stored, or something fails.
    fn complete(
        &mut self,
        service: &mut Service,
        faults: &Faults,
        jitter: &mut Jitter,
        answers: &mut Vec<Answer>,
    ) {
        let Some(fragment) = self.arriving.take() else {
            return;
        };
        if self.mute {
            return;
        }
        self.check(&fragment);
        let before = service.arrived;
        service.arrived += 1;
        let delay = Duration::from_millis(1 + jitter.number() % 40);
        let chance = |jitter: &mut Jitter, of: u64| jitter.number() % 1000 < of;
        if chance(jitter, faults.mute) {
            self.mute = true;
        } else if chance(jitter, faults.broken) {
            self.mute = true;
            answers.push(Answer::Break(delay));
        } else if let Some((_, error)) = faults.script.iter().find(|(at, _)| *at == before) {
            self.refuse(answers, delay, *error, Some(fragment.timecode));
        } else if chance(jitter, faults.error) && !faults.errors.is_empty() {
            let which = jitter.number() as usize % faults.errors.len();
            let named = !jitter.number().is_multiple_of(4);
            let timecode = named.then_some(fragment.timecode);
            self.refuse(answers, delay, faults.errors[which], timecode);
        } else {
            let origin_ms = self.head.origin.map_or(0, ProducerTime::as_ms);
            let frames = fragment.frames.iter();
            let frames = frames.map(|(_, at, number)| (*number, origin_ms + at));
            service.stored.extend(frames);
            service.fragments += 1;
            if let (Some((_, _, first)), false) =
                (fragment.frames.first(), fragment.tags.is_empty())
            {
                service.tags.insert(*first, fragment.tags.clone());
            }
            self.answer(answers, delay, Ack::Received(fragment.acked()));
            let late = if faults.reordered {
                delay * (1 + (jitter.number() % 50) as u32)
            } else {
                delay * 2
            };
            if !faults.keeps_nothing {
                self.answer(answers, late, Ack::Persisted(fragment.acked()));
            }
        }
    }

    fn refuse(
        &mut self,
        answers: &mut Vec<Answer>,
        delay: Duration,
        error: AckError,
        timecode: Option<u64>,
    ) {
        let number = None;
        let ack = Ack::Error {
            error,
            timecode,
            number,
        };
        self.answer(answers, delay, ack);
        self.mute = true;
        answers.push(Answer::Break(delay * 2));
    }

    /// The service's own rules; the session must never break one.
    fn check(&mut self, fragment: &Arriving) {
        let all = || fragment.frames.iter().chain(&fragment.repeats);
        let times = || all().map(|(_, at, _)| *at);
        let earliest = times().min().expect("no fragment is empty");
        let latest = times().max().expect("no fragment is empty");
        assert!(
            self.latest.is_none_or(|before| before < earliest),
            "4004: {:?} then {earliest}",
            self.latest
        );
        self.latest = Some(latest);
        assert!(earliest >= fragment.timecode, "a block before its cluster");
        assert!(fragment.tags.len() <= 9, "4009: {:?}", fragment.tags);
        assert!(latest - earliest <= 20_000, "4002: longer than 20 s");
        for track in &self.tracks {
            let has = |(number, _, _): &(TrackNumber, u64, u64)| *number == track.number;
            assert!(all().any(has), "4011: track {}", track.number);
        }
        for (track, _, number) in &fragment.repeats {
            let is_its = |(other, _, _): &&(TrackNumber, u64, u64)| other == track;
            let news = fragment.frames.iter().filter(is_its).count();
            assert_eq!(news, 0, "track {track} repeats {number} beside news");
            // Fragments between may have gone over another connection.
            let latest = self.last_of.get(track);
            let is_old = latest.is_some_and(|latest| latest > number);
            assert!(!is_old, "track {track} repeats {number} after {latest:?}");
        }
        for (track, _, number) in &fragment.frames {
            let declared = self.tracks.iter().any(|t| t.number == *track);
            assert!(declared, "4010: track {track}");
            let before = self.last_of.insert(*track, *number);
            assert!(
                before.is_none_or(|before| before < *number),
                "track {track}: frame {number} after {before:?}"
            );
        }
    }
}

impl Arriving {
    fn acked(&self) -> AckedFragment {
        AckedFragment {
            timecode: self.timecode,
            number: FragmentNumber::from_parts(FragmentParts {
                sequence: self.sequence,
                server_ms: self.timecode,
                random: 0,
            }),
        }
    }
}

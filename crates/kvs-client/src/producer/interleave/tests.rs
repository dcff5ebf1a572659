//! What comes out of the order, for every kind of stream.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvs_media::{AudioFormat, Frame, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat};
use proptest::prelude::*;

use super::super::config::ProducerConfig;
use super::super::event::{DropReason, ProducerEvent, Warning};
use super::super::timecode::Timecode;
use super::{Interleave, Piece};

const START_MS: u64 = 1_000_000;

fn number(number: u64) -> TrackNumber {
    TrackNumber::new(number).expect("a small number")
}

fn track(n: u64, kind: TrackKind) -> Track {
    Track {
        number: number(n),
        kind,
        name: None,
        codec_id: "codec".to_owned(),
        codec_private: None,
    }
}

fn video() -> Track {
    track(1, TrackKind::Video(VideoFormat::default()))
}

fn audio(n: u64) -> Track {
    track(
        n,
        TrackKind::Audio(AudioFormat {
            sample_rate: 8000.0,
            channels: 1,
            bit_depth: None,
        }),
    )
}

fn frame(n: u64, ms: u64, key: bool) -> Frame {
    Frame {
        track: number(n),
        time: ProducerTime::from_ms(START_MS + ms),
        decode_time: None,
        duration_ns: None,
        key,
        data: Bytes::from_static(b"0123456789").into(),
    }
}

/// A fragment as it came out.
#[derive(Debug, Default)]
struct Cut {
    start: u64,
    tracks: Vec<u8>,
    step: bool,
    frames: Vec<(u8, u64)>,
    closed: bool,
}

/// An order under test, with the clock in our hand.
struct Order {
    order: Interleave,
    now: Instant,
    fragments: Vec<Cut>,
    events: Vec<ProducerEvent>,
}

impl Order {
    fn new(config: &ProducerConfig, tracks: &[Track]) -> Self {
        let mut order = Interleave::new(config);
        tracks
            .iter()
            .for_each(|track| order.add_track(track.clone()));
        Self {
            order,
            now: Instant::now(),
            fragments: Vec::new(),
            events: Vec::new(),
        }
    }

    fn push(&mut self, frame: Frame) {
        self.order.push(frame, self.now);
        self.take();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.order.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.now || self.order.poll_timeout().is_some());
            self.now = self.now.max(due);
            self.order.handle_timeout(self.now);
            self.take();
            assert_ne!(
                self.order.poll_timeout(),
                Some(due),
                "a timer that changes nothing"
            );
        }
        self.now = end;
    }

    fn finish(&mut self) {
        self.order.finish(self.now);
        self.take();
        assert_eq!(self.order.held_bytes(), 0, "frames are left behind");
    }

    fn take(&mut self) {
        let numbers = |tracks: &[Track]| tracks.iter().map(|t| t.number.get()).collect();
        while let Some(piece) = self.order.poll() {
            match piece {
                Piece::Begin {
                    start,
                    tracks,
                    step,
                } => self.fragments.push(Cut {
                    start: start.0,
                    tracks: numbers(&tracks),
                    step,
                    ..Cut::default()
                }),
                Piece::Tracks(tracks) => self.last().tracks = numbers(&tracks),
                Piece::Frame(frame, Timecode(at)) => {
                    self.last().frames.push((frame.track.get(), at));
                }
                Piece::End => self.last().closed = true,
                Piece::Event(event) => self.events.push(event),
            }
        }
    }

    fn last(&mut self) -> &mut Cut {
        self.fragments.last_mut().expect("a fragment has begun")
    }

    /// The rules of the service, and ours.
    fn check(&self, frames: usize) {
        let mut before: Option<u64> = None;
        for cut in &self.fragments {
            assert!(cut.closed);
            let times = || cut.frames.iter().map(|(_, at)| *at);
            let (earliest, latest) = (times().min(), times().max());
            let earliest = earliest.expect("no fragment is empty");
            if !cut.step {
                assert!(
                    before.is_none_or(|before| before < earliest),
                    "{cut:?} after {before:?}"
                );
                assert!(before.is_none_or(|before| before < cut.start));
            }
            assert!(cut.start <= earliest);
            assert!(latest.expect("not empty") - cut.start <= 19_000 + 1);
            for track in &cut.tracks {
                assert!(
                    cut.frames.iter().any(|(t, _)| t == track),
                    "{cut:?} lacks {track}"
                );
            }
            for (track, _) in &cut.frames {
                assert!(
                    cut.tracks.contains(track),
                    "{cut:?} does not declare {track}"
                );
            }
            before = latest;
        }
        let dropped = self.events.iter().filter_map(|event| match event {
            ProducerEvent::Dropped(dropped) => Some(dropped.span.frames as usize),
            _ => None,
        });
        let out: usize = self.fragments.iter().map(|cut| cut.frames.len()).sum();
        assert_eq!(
            out + dropped.sum::<usize>(),
            frames,
            "each frame is out or told"
        );
    }

    fn warned(&self, late: bool) -> bool {
        self.events.iter().any(|event| match event {
            ProducerEvent::Warning(Warning::Late { .. }) => late,
            ProducerEvent::Warning(Warning::ForcedCut { .. }) => !late,
            _ => false,
        })
    }
}

/// How the pictures of a GOP are coded.
#[derive(Clone, Copy, Debug)]
enum Gop {
    /// I P P P
    Plain,
    /// I0 P3 B1 B2 P6 B4 B5
    Closed,
    /// B and I0: the first pictures shown come after the I in decoding order.
    Open,
}

/// Times of the pictures in decoding order, and which are key.
fn pictures(gop: Gop, len: u64, gops: u64, ms: u64) -> Vec<(u64, bool)> {
    let mut all = Vec::new();
    for index in 0..gops {
        let first = index * len;
        let mut shown: Vec<u64> = (0..len).collect();
        match gop {
            Gop::Plain => {}
            Gop::Closed => shown[1..]
                .chunks_exact_mut(3)
                .for_each(|b| b.rotate_right(1)),
            Gop::Open => shown.chunks_exact_mut(3).for_each(|b| b.rotate_right(1)),
        }
        let pictures = shown.iter().enumerate();
        all.extend(pictures.map(|(i, at)| ((first + at) * ms, i == 0)));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn fragments_never_overlap_and_have_every_track(
        gop in prop::sample::select(vec![Gop::Plain, Gop::Closed, Gop::Open]),
        len in 6u64..60,
        gops in 1u64..8,
        ms in prop::sample::select(vec![17u64, 33, 40]),
        audio_ms in 10u64..64,
        skew in 0u64..300,
        delay in 0u64..300,
        by_key in any::<bool>(),
    ) {
        let config = ProducerConfig {
            key_frame_fragmentation: by_key,
            ..ProducerConfig::default()
        };
        let mut order = Order::new(&config, &[video(), audio(2)]);
        let pictures = pictures(gop, len, gops, ms);
        let total = pictures.len() as u64 * ms;
        let mut arrivals: Vec<(u64, Frame)> = (0..).zip(&pictures)
            .map(|(i, (at, key))| (i * ms, frame(1, at + 100, *key)))
            .collect();
        let packets = (0..total / audio_ms).map(|i| i * audio_ms);
        arrivals.extend(packets.map(|at| (at + delay, frame(2, at + skew, true))));
        arrivals.sort_by_key(|(at, _)| *at);
        let frames = arrivals.len();
        let mut clock = 0;
        for (at, frame) in arrivals {
            order.pass(Duration::from_millis(at - clock));
            clock = at;
            order.push(frame);
        }
        order.finish();
        order.check(frames);
        prop_assert!(!order.warned(true), "nothing is late: {:?}", order.events);
        if by_key {
            let keys = pictures.iter().filter(|(_, key)| *key).count();
            prop_assert!(order.fragments.len() <= keys + 1);
        }
    }

    #[test]
    fn no_source_breaks_the_rules(
        arrivals in prop::collection::vec(
            (1u64..=3, 0u64..40_000, any::<bool>(), 0u64..700), 1..200,
        ),
    ) {
        let mut order = Order::new(&ProducerConfig::default(), &[video(), audio(2), audio(3)]);
        let frames = arrivals.len();
        for (track, at, key, wait) in arrivals {
            order.pass(Duration::from_millis(wait));
            order.push(frame(track, at, key));
        }
        order.finish();
        order.check(frames);
    }
}

#[test]
fn each_track_keeps_its_order() {
    let mut order = Order::new(&ProducerConfig::default(), &[video(), audio(2)]);
    for index in 0..100 {
        order.push(frame(1, index * 40, index % 25 == 0));
        order.push(frame(2, index * 40 + 7, true));
    }
    order.finish();
    order.check(200);
    let mut last: BTreeMap<u8, u64> = BTreeMap::new();
    for (track, at) in order.fragments.iter().flat_map(|cut| &cut.frames) {
        let before = last.insert(*track, *at);
        assert!(before.is_none_or(|before| before < *at));
    }
    assert_eq!(order.fragments.len(), 4);
}

#[test]
fn audio_that_is_late_for_a_cut_is_waited_for_half_a_second() {
    let mut order = Order::new(&ProducerConfig::default(), &[video(), audio(2)]);
    order.push(frame(2, 0, true));
    for index in 0..25 {
        order.push(frame(1, index * 40, index == 0));
    }
    order.push(frame(2, 500, true));
    order.push(frame(1, 1000, true));
    order.pass(Duration::from_millis(499));
    assert_eq!(order.fragments.len(), 1, "the cut waits");
    order.push(frame(2, 900, true));
    order.push(frame(2, 980, true));
    assert_eq!(
        order.fragments.len(),
        2,
        "the audio has passed the boundary"
    );
    assert_eq!(order.fragments[0].frames.last(), Some(&(2, START_MS + 900)));
    order.push(frame(1, 2000, true));
    order.pass(Duration::from_millis(500));
    assert_eq!(order.fragments.len(), 3, "nobody waits longer");
    order.push(frame(2, 990, true));
    order.finish();
    order.check(32);
    assert!(order.warned(true));
}

#[test]
fn key_frames_that_are_close_stay_in_one_fragment() {
    let mut order = Order::new(&ProducerConfig::default(), &[video()]);
    (0..100).for_each(|index| order.push(frame(1, index * 40, true)));
    order.finish();
    order.check(100);
    assert!(
        order
            .fragments
            .iter()
            .rev()
            .skip(1)
            .all(|cut| cut.frames.len() == 7)
    );
}

#[test]
fn without_key_frames_one_is_asked_for_and_then_cut_without() {
    let mut order = Order::new(&ProducerConfig::default(), &[video()]);
    (0..1000).for_each(|index| order.push(frame(1, index * 40, index == 0)));
    order.finish();
    order.check(1000);
    let asked = |event: &&ProducerEvent| matches!(event, ProducerEvent::KeyFrameWanted { .. });
    assert_eq!(order.events.iter().filter(asked).count(), 2);
    assert!(order.warned(false));
    assert_eq!(order.fragments.len(), 3);
}

#[test]
fn frames_before_the_first_key_frame_are_told() {
    let mut order = Order::new(&ProducerConfig::default(), &[video()]);
    (0..50).for_each(|index| order.push(frame(1, index * 40, index == 20)));
    order.finish();
    order.check(50);
    let dropped = order.events.iter().find_map(|event| match event {
        ProducerEvent::Dropped(dropped) => Some(*dropped),
        _ => None,
    });
    let dropped = dropped.expect("the loss is told");
    assert_eq!(
        (dropped.span.frames, dropped.why),
        (20, DropReason::BeforeKeyFrame)
    );
}

#[test]
fn audio_alone_is_cut_by_duration() {
    let mut order = Order::new(&ProducerConfig::default(), &[audio(1)]);
    (0..500).for_each(|index| order.push(frame(1, index * 20, true)));
    order.finish();
    order.check(500);
    assert_eq!(order.fragments.len(), 5);
}

#[test]
fn a_silent_track_leaves_and_comes_back() {
    let mut order = Order::new(&ProducerConfig::default(), &[video(), audio(2)]);
    for index in 0..300 {
        order.pass(Duration::from_millis(40));
        order.push(frame(1, index * 40, index % 25 == 0));
        if !(100..200).contains(&index) {
            order.push(frame(2, index * 40, true));
        }
    }
    order.finish();
    order.check(500);
    let with_audio = |cut: &Cut| cut.tracks.contains(&2);
    let tracks: Vec<bool> = order.fragments.iter().map(with_audio).collect();
    assert_eq!(tracks[..4], [true; 4]);
    assert_eq!(tracks[4..8], [false; 4]);
    assert_eq!(tracks[8..], [true; 4]);
}

#[test]
fn a_new_format_begins_with_a_fragment() {
    let mut order = Order::new(&ProducerConfig::default(), &[video()]);
    (0..30).for_each(|index| order.push(frame(1, index * 40, index == 0)));
    let mut changed = video();
    changed.codec_private = Some(Bytes::from_static(b"new"));
    order.order.set_format(changed);
    (30..60).for_each(|index| order.push(frame(1, index * 40, index == 30)));
    order.finish();
    order.check(60);
    assert_eq!(order.fragments.len(), 2);
    assert_eq!(order.fragments[0].frames.len(), 30);
}

#[test]
fn a_track_that_is_expected_is_in_the_first_fragment() {
    let mut order = Order::new(&ProducerConfig::default(), &[audio(2)]);
    order.order.expect_tracks(2, order.now);
    for index in 0..20 {
        order.push(frame(2, index * 100, true));
    }
    assert!(order.fragments.is_empty(), "the encoder still looks ahead");
    order.order.add_track(video());
    for index in 0..20 {
        order.push(frame(1, index * 100, index == 0));
    }
    order.finish();
    assert_eq!(order.fragments.len(), 1);
    order.check(40);
}

#[test]
fn a_track_that_is_expected_is_not_waited_for_for_ever() {
    let mut order = Order::new(&ProducerConfig::default(), &[audio(2)]);
    order.order.expect_tracks(2, order.now);
    order.push(frame(2, 0, true));
    order.pass(super::LIVE_SILENCE - Duration::from_millis(1));
    assert!(order.fragments.is_empty(), "it may still come");
    order.pass(Duration::from_millis(1));
    assert_eq!(order.fragments.len(), 1, "nobody waits longer");
    order.finish();
    order.check(1);
}

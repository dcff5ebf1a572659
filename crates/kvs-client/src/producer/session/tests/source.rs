//! A camera: video with B-frames, audio, and the troubles that sources have.

use std::time::Duration;

use crate::jitter::Jitter;
use bytes::{BufMut, Bytes, BytesMut};
use kvs_media::{AudioFormat, Frame, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat};

/// What a camera does.
#[derive(Clone, Debug)]
pub(super) struct Habits {
    pub(super) seconds: u64,
    pub(super) gop: u64,
    pub(super) b_frames: bool,
    pub(super) audio: bool,
    /// Falls silent for 7 s, once.
    pub(super) pause: bool,
    /// Its clock goes back, once.
    pub(super) step: bool,
    /// The audio is away for a while.
    pub(super) audio_gap: bool,
    /// A sensor tells its value now and then.
    pub(super) data: bool,
}

/// Frames and when they arrive, in the order of arrival.
pub(super) fn frames(habits: &Habits, jitter: &mut Jitter) -> Vec<(Duration, Frame)> {
    let mut all = Vec::new();
    let start = 1_767_225_600_000 + jitter.number() % 1000;
    let half = habits.seconds * 1000 / 2;
    let shift = |arrival_ms: u64| {
        let pause = if habits.pause && arrival_ms > half {
            7000
        } else {
            0
        };
        let back = if habits.step && arrival_ms > half {
            15_000
        } else {
            0
        };
        (arrival_ms + pause, start + arrival_ms + pause - back)
    };
    for index in 0..habits.seconds * 25 {
        // Pictures of a GOP in decoding order: I, then groups of P B B.
        let in_gop = index % habits.gop;
        let shown = match in_gop.checked_sub(1) {
            None => index,
            Some(rest) if habits.b_frames && index - in_gop + habits.gop > index + 3 => {
                let group = rest / 3;
                index - in_gop + 1 + group * 3 + [2, 0, 1][(rest % 3) as usize]
            }
            Some(_) => index,
        };
        let (arrival, time) = shift(index * 40);
        let time = time + shown * 40 - index * 40;
        all.push((arrival + jitter.number() % 5, track(1), time, in_gop == 0));
    }
    if habits.audio {
        for index in 0..habits.seconds * 50 {
            let at = index * 20;
            let away = habits.audio_gap && at > half / 2 && at < half;
            if !away {
                let (arrival, time) = shift(at);
                all.push((arrival + jitter.number() % 120, track(2), time, true));
            }
        }
    }
    if habits.data {
        let mut at = 0;
        while at < habits.seconds * 1000 {
            let (arrival, time) = shift(at);
            all.push((arrival + jitter.number() % 120, track(3), time, true));
            at += 20 + jitter.number() % 6000;
        }
    }
    all.sort_by_key(|(arrival, track, _, _)| (*arrival, *track));
    in_order(all)
}

/// Numbers the frames; each track keeps the order of its own times or decoding.
fn in_order(mut all: Vec<(u64, TrackNumber, u64, bool)>) -> Vec<(Duration, Frame)> {
    // Jitter must not turn the frames of a track round: arrivals are sorted, so contents follow.
    for number in [track(1), track(2), track(3)] {
        let slots: Vec<usize> = (0..all.len()).filter(|&i| all[i].1 == number).collect();
        let mut contents: Vec<_> = slots.iter().map(|&i| (all[i].2, all[i].3)).collect();
        if number != track(1) {
            let cut = contents.windows(2).position(|w| w[1].0 + 5000 < w[0].0);
            let (old, new) = contents.split_at_mut(cut.map_or(0, |cut| cut + 1));
            old.sort_unstable();
            new.sort_unstable();
        }
        for (&slot, (time, key)) in slots.iter().zip(contents) {
            (all[slot].2, all[slot].3) = (time, key);
        }
    }
    let frame = |(number, (arrival, track, time, key)): (u64, (u64, TrackNumber, u64, bool))| {
        let mut data = BytesMut::with_capacity(64);
        data.put_u64(number);
        data.resize(64 + (number as usize * 31) % 400, 0);
        let frame = Frame {
            track,
            time: ProducerTime::from_ms(time),
            decode_time: None,
            duration_ns: None,
            key,
            data: Bytes::from(data).into(),
        };
        (Duration::from_millis(arrival), frame)
    };
    (0..).zip(all).map(frame).collect()
}

pub(super) fn track(number: u64) -> TrackNumber {
    TrackNumber::new(number).expect("a small number")
}

pub(super) fn video() -> Track {
    Track {
        number: track(1),
        kind: TrackKind::Video(VideoFormat::default()),
        name: None,
        codec_id: "V_MPEG4/ISO/AVC".to_owned(),
        codec_private: None,
    }
}

pub(super) fn audio() -> Track {
    Track {
        number: track(2),
        kind: TrackKind::Audio(AudioFormat {
            sample_rate: 48_000.0,
            channels: 1,
            bit_depth: None,
        }),
        name: None,
        codec_id: "A_AAC".to_owned(),
        codec_private: None,
    }
}

pub(super) fn data() -> Track {
    Track {
        number: track(3),
        kind: TrackKind::Data(33),
        name: None,
        codec_id: "D_GSTREAMER/CAPS/1".to_owned(),
        codec_private: None,
    }
}

//! Many seeds: whatever fails, each frame is stored or reported, and the session ends.

use std::time::Duration;

use kvs_protocol::AckError;

use super::super::super::config::{ProducerConfig, Streaming};
use super::super::super::event::{ProducerEvent, Warning};
use super::super::SpoolLimits;
use super::pair::Pair;
use super::seeds;
use super::service::Faults;
use super::source::{self, Habits};
use super::spool::{DiskFaults, Spool};
use crate::jitter::Jitter;

/// Seeds of the short run and of the long one.
const SEEDS: (u64, u64) = (1_000, 1_000_000);

fn habits(jitter: &mut Jitter) -> Habits {
    let mut one_in = |of: u64| jitter.number().is_multiple_of(of);
    Habits {
        b_frames: one_in(2),
        audio: one_in(2),
        pause: one_in(6),
        step: one_in(6),
        audio_gap: one_in(4),
        data: one_in(3),
        seconds: 4 + jitter.number() % 20,
        gop: 8 + jitter.number() % 60,
    }
}

fn faults(jitter: &mut Jitter) -> Faults {
    let mut often = |most: u64| match jitter.number() % 3 {
        0 => 0,
        _ => jitter.number() % most,
    };
    Faults {
        refused: often(400),
        broken: often(300),
        mute: often(60),
        error: often(300),
        errors: vec![
            AckError::StreamReadError,
            AckError::MaxFragmentSizeReached,
            AckError::MaxFragmentDurationReached,
            AckError::MaxConnectionDurationReached,
            AckError::FragmentTimecodeLesserThanPrevious,
            AckError::InvalidMkvData,
            AckError::StreamNotActive,
            AckError::FragmentMetadataLimitReached,
            AckError::FramesMissingForTrack,
            AckError::KmsKeyUnavailable,
            AckError::InternalError,
            AckError::ArchivalError,
            AckError::Unknown(4999),
        ],
        reordered: jitter.number().is_multiple_of(2),
        ..Faults::default()
    }
}

fn disk_faults(jitter: &mut Jitter) -> DiskFaults {
    let mut often = |most: u64| match jitter.number() % 3 {
        0 => 0,
        _ => jitter.number() % most,
    };
    let slow_ms = often(400);
    let (save_fails, fetch_fails) = (often(100), often(100));
    let crash = |_| Duration::from_millis(jitter.number() % 30_000);
    let crashes = (0..slow_ms % 4).map(crash).collect();
    DiskFaults {
        slow_ms,
        save_fails,
        fetch_fails,
        crashes,
    }
}

/// Asks for some seconds, now and then.
fn ask(pair: &mut Pair, jitter: &mut Jitter) {
    for _ in 0..1 + jitter.number() % 3 {
        let number = jitter.number() % pair.times.len() as u64;
        let (before, after) = (jitter.number() % 5000, jitter.number() % 5000);
        let at = pair.times[&number];
        pair.asked.push((at - before, at + after));
        let length = (Duration::from_millis(before), Duration::from_millis(after));
        let again = pair.triggers.insert(number, length);
        if let Some((before, after)) = again {
            // One trigger behind each frame: the other one does not happen.
            let (before, after) = (before.as_millis() as u64, after.as_millis() as u64);
            pair.asked
                .retain(|asked| *asked != (at - before, at + after));
        }
    }
}

/// What was tried, told if it panics.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

#[test]
fn every_frame_is_stored_or_reported() {
    seeds::each(seeds::seeds(SEEDS.0, SEEDS.1), survive);
}

/// A bad day, by its seed.
struct Day {
    pair: Pair,
    frames: u64,
    /// Only what is asked for is sent.
    asks: bool,
    /// The buffer holds no more than [`SMALL`].
    small: bool,
    told: Told,
}

/// A small buffer.
const SMALL: usize = 60_000;

fn day(seed: u64) -> Day {
    let mut jitter = Jitter::new(seed);
    let habits = habits(&mut jitter);
    let small = jitter.number().is_multiple_of(4);
    let mut config = ProducerConfig {
        storage_bytes_max: if small { SMALL } else { 128 << 20 },
        rotation_period: Duration::from_secs(5 + jitter.number() % 60),
        first_contact: Duration::from_secs(600),
        absolute_times: !jitter.number().is_multiple_of(4),
        ..ProducerConfig::default()
    };
    let mut frames = source::frames(&habits, &mut jitter);
    // A file is there at once.
    let file = jitter.number().is_multiple_of(4);
    if file {
        config.streaming = Streaming::Offline;
        frames.iter_mut().for_each(|(at, _)| *at = Duration::ZERO);
    }
    let asks = !small && !file && !habits.step && jitter.number().is_multiple_of(5);
    config.on_trigger = asks;
    let count = frames.len() as u64;
    let mut pair = Pair::new(config, faults(&mut jitter), frames, seed);
    let mut disk = disk_faults(&mut jitter);
    if asks {
        ask(&mut pair, &mut jitter);
        // What is asked for of the time to come goes with the producer.
        disk.crashes.clear();
        // A full disk shortens the ring.
        disk.save_fails = 0;
    }
    let told = format!("seed {seed}: {habits:?} {:?} {disk:?}", pair.faults);
    if jitter.number().is_multiple_of(2) {
        let small = !asks && jitter.number().is_multiple_of(3);
        let limits = SpoolLimits {
            bytes_max: if small { 100_000 } else { u64::MAX },
            age_max: Duration::from_secs(if small { 30 } else { 0 }),
        };
        pair.use_spool(Spool::new(limits, disk));
    }
    Day {
        pair,
        frames: count,
        asks,
        small: small && !file,
        told: Told(told),
    }
}

fn survive(seed: u64) {
    let mut day = day(seed);
    day.pair.run();
    day.has_all_its_frames();
    day.has_kept_its_bounds();
    drop(day.told);
}

impl Day {
    fn has_all_its_frames(&self) {
        let pair = &self.pair;
        let mut missing = pair.missing();
        if self.asks {
            missing.retain(|number| pair.is_asked(*number));
        }
        assert!(missing.is_empty(), "{missing:?} are lost");
        let misplaced = pair.misplaced();
        assert!(misplaced.is_empty(), "{misplaced:?} are at other times");
        let reported: u64 = pair.reported.iter().map(|span| span.frames).sum();
        let stored = &pair.service.stored;
        let waiting = pair.waiting();
        let waiting = waiting.iter().filter(|number| !stored.contains_key(number));
        let gone = self.frames - (stored.len() + waiting.count()) as u64;
        let excused = pair.excused.len() as u64;
        let is_known = self.asks || gone <= reported + excused;
        assert!(is_known, "{gone} lost, {reported} reported");
        if pair.spool.is_none() {
            assert_eq!(pair.session.stats().frames_in, self.frames);
        }
    }

    fn has_kept_its_bounds(&self) {
        let pair = &self.pair;
        if let Some(spool) = &pair.spool {
            // What is left there waits for the next start.
            let waits = |event: &ProducerEvent| {
                matches!(event, ProducerEvent::Warning(Warning::Spooled { .. }))
            };
            assert!(spool.files.is_empty() || pair.events.iter().any(waits));
            assert!(spool.bytes() <= spool.limits.bytes_max);
        }
        let ended = |event: &ProducerEvent| matches!(event, ProducerEvent::Drained { .. });
        assert!(pair.events.iter().any(ended), "no good end");
        // Five a second is what the service takes; the back-off stays far below it.
        let elapsed = pair.now.duration_since(pair.start).as_millis() as u64;
        let connects = pair.connects;
        assert!(connects <= 2 + elapsed / 200, "{connects} requests");
        // Two fragments beside the bound: one on its way, one that grows.
        let bytes_max = SMALL as u64 + 600_000;
        assert!(
            !self.small || pair.bytes_max < bytes_max,
            "{}",
            pair.bytes_max
        );
    }
}

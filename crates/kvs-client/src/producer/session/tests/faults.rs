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

/// One bad day.
fn survive(seed: u64) {
    let mut jitter = Jitter::new(seed);
    let habits = habits(&mut jitter);
    let small = jitter.number().is_multiple_of(4);
    let mut config = ProducerConfig {
        storage_bytes_max: if small { 60_000 } else { 128 << 20 },
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
    let sent = frames.len();
    let mut pair = Pair::new(config, faults(&mut jitter), frames, seed);
    let disk = disk_faults(&mut jitter);
    let _told = Told(format!(
        "seed {seed}: {habits:?} {:?} {disk:?}",
        pair.faults
    ));
    let spools = jitter.number().is_multiple_of(2);
    if spools {
        let small = jitter.number().is_multiple_of(3);
        let limits = SpoolLimits {
            bytes_max: if small { 100_000 } else { u64::MAX },
            age_max: Duration::from_secs(if small { 30 } else { 0 }),
        };
        pair.use_spool(Spool::new(limits, disk));
    }
    pair.run();

    let missing = pair.missing();
    assert!(missing.is_empty(), "{missing:?} are lost");
    let misplaced = pair.misplaced();
    assert!(misplaced.is_empty(), "{misplaced:?} are at other times");
    let reported: u64 = pair.reported.iter().map(|span| span.frames).sum();
    let stored = &pair.service.stored;
    let waiting = pair.waiting();
    let waiting = waiting.iter().filter(|number| !stored.contains_key(number));
    let gone = (sent - stored.len() - waiting.count()) as u64;
    let excused = pair.excused.len() as u64;
    assert!(
        gone <= reported + excused,
        "{gone} lost, {reported} reported"
    );
    if !spools {
        assert_eq!(pair.session.stats().frames_in, sent as u64);
    }
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
    if small && !file {
        let bytes = pair.bytes_max;
        assert!(bytes < 60_000 + 600_000, "{bytes} bytes");
    }
}

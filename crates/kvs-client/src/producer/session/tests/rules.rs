//! The rules of the state machine, one by one.

use std::time::{Duration, Instant};

use kvs_protocol::AckError;

use super::super::super::config::{ProducerConfig, Streaming};
use super::super::super::event::{
    DropReason, FailReason, FrameSpan, ProducerEvent, ProducerState, Warning,
};
use super::super::{Input, Output, Session};
use super::pair::Pair;
use super::service::Faults;
use super::source::{self, Habits};
use crate::jitter::Jitter;
use crate::{ErrorKind, ServiceError};

/// A quiet camera: one fragment a second.
pub(super) fn habits(seconds: u64) -> Habits {
    Habits {
        seconds,
        gop: 25,
        b_frames: false,
        audio: false,
        pause: false,
        step: false,
        audio_gap: false,
        data: false,
    }
}

pub(super) fn run(config: ProducerConfig, faults: Faults, habits: &Habits) -> Pair {
    let frames = source::frames(habits, &mut Jitter::new(7));
    let mut pair = Pair::new(config, faults, frames, 7);
    pair.retention_hours = if pair.faults.keeps_nothing { 0 } else { 24 };
    pair.run();
    pair
}

pub(super) fn ended_well(pair: &Pair) -> Option<FrameSpan> {
    match pair.events.last() {
        Some(ProducerEvent::Drained { unconfirmed }) => *unconfirmed,
        other => panic!("no good end: {other:?}"),
    }
}

fn failed(pair: &Pair) -> FailReason {
    match pair.events.last() {
        Some(ProducerEvent::Failed { reason, .. }) => *reason,
        other => panic!("no bad end: {other:?}"),
    }
}

fn drops(pair: &Pair) -> Vec<DropReason> {
    let dropped = pair.events.iter().filter_map(|event| match event {
        ProducerEvent::Dropped(dropped) => Some(dropped.why),
        _ => None,
    });
    dropped.collect()
}

pub(super) fn retries(pair: &Pair) -> usize {
    let is_retry =
        |event: &&ProducerEvent| matches!(event, ProducerEvent::Warning(Warning::Retry { .. }));
    pair.events.iter().filter(is_retry).count()
}

#[test]
fn a_fragment_is_sent_once_where_nothing_fails() {
    let pair = run(ProducerConfig::default(), Faults::default(), &habits(10));
    assert_eq!(ended_well(&pair), None);
    assert_eq!((pair.connects, pair.service.fragments), (1, 10));
    assert_eq!(pair.session.stats().frames_sent, 250);
    assert_eq!(pair.session.stats().frames_confirmed, 250);
}

#[test]
fn what_an_error_says_decides() {
    use AckError::{
        ArchivalError, FragmentMetadataLimitReached, FragmentTimecodeLesserThanPrevious,
        FramesMissingForTrack, InternalError, InvalidMkvData, KmsKeyUnavailable,
        MaxConnectionDurationReached, MaxFragmentDurationReached, MaxFragmentSizeReached,
        StreamNotActive, StreamReadError, Unknown,
    };
    for error in [
        StreamReadError,
        MaxFragmentSizeReached,
        MaxFragmentDurationReached,
        MaxConnectionDurationReached,
        FragmentTimecodeLesserThanPrevious,
        InvalidMkvData,
        StreamNotActive,
        FragmentMetadataLimitReached,
        FramesMissingForTrack,
        KmsKeyUnavailable,
        InternalError,
        ArchivalError,
        Unknown(4999),
    ] {
        let faults = Faults {
            script: vec![(2, error)],
            ..Faults::default()
        };
        let pair = run(ProducerConfig::default(), faults, &habits(5));
        assert_eq!(ended_well(&pair), None, "{error}");
        assert_eq!(pair.service.stored.len(), 125, "{error}: a frame is lost");
        assert_eq!(pair.connects, 2, "{error}");
        let again = pair.states().contains(&ProducerState::Creating);
        assert!(again, "the stream is made in each run");
        let described = |state: &&ProducerState| **state == ProducerState::Describing;
        let asked = pair.states().iter().filter(described).count();
        let expected = if error == StreamNotActive { 3 } else { 2 };
        assert_eq!(asked, expected, "{error}");
    }
}

#[test]
fn a_fragment_that_nothing_helps_is_given_up_and_told() {
    use AckError::{FragmentTimecodeLesserThanPrevious, InvalidMkvData};
    for error in [InvalidMkvData, FragmentTimecodeLesserThanPrevious] {
        let faults = Faults {
            script: vec![(2, error), (3, error)],
            ..Faults::default()
        };
        let pair = run(ProducerConfig::default(), faults, &habits(5));
        assert_eq!(ended_well(&pair), None);
        assert_eq!(drops(&pair), [DropReason::Refused(error)]);
        assert_eq!(pair.service.stored.len(), 100);
        assert_eq!(pair.session.stats().frames_dropped, 25);
    }
}

#[test]
fn an_error_that_will_not_get_better_ends_the_upload() {
    use AckError::{
        InvalidFragmentMetadata, InvalidProducerTimestamp, KmsKeyAccessDenied, KmsKeyNotFound,
        MoreThanAllowedTracksFound, TooManyTracks, TrackNumberMismatch,
    };
    for error in [
        InvalidFragmentMetadata,
        InvalidProducerTimestamp,
        KmsKeyAccessDenied,
        KmsKeyNotFound,
        MoreThanAllowedTracksFound,
        TooManyTracks,
        TrackNumberMismatch,
    ] {
        let faults = Faults {
            script: vec![(2, error)],
            ..Faults::default()
        };
        let pair = run(ProducerConfig::default(), faults, &habits(5));
        assert_eq!(failed(&pair), FailReason::Refused, "{error}");
        assert_eq!(drops(&pair), [DropReason::Failed], "{error}");
    }
}

#[test]
fn credentials_are_fetched_again_once() {
    let refused = |times: usize| Faults {
        refusals: vec![ErrorKind::NotAuthorized; times],
        ..Faults::default()
    };
    let pair = run(ProducerConfig::default(), refused(1), &habits(5));
    assert_eq!(ended_well(&pair), None);
    assert_eq!(pair.service.stored.len(), 125);
    let pair = run(ProducerConfig::default(), refused(2), &habits(5));
    assert_eq!(failed(&pair), FailReason::Denied);
    assert_eq!(pair.connects, 2);
}

#[test]
fn retry_attempts_count_failures_without_an_ack() {
    let config = ProducerConfig {
        retry_attempts: 3,
        ..ProducerConfig::default()
    };
    let faults = |times| Faults {
        refusals: vec![ErrorKind::Network; times],
        ..Faults::default()
    };
    assert_eq!(
        ended_well(&run(config.clone(), faults(3), &habits(5))),
        None
    );
    let pair = run(config, faults(4), &habits(5));
    assert_eq!(failed(&pair), FailReason::Unreachable);
}

#[test]
fn where_nothing_is_kept_received_is_the_last_word() {
    let faults = Faults {
        keeps_nothing: true,
        ..Faults::default()
    };
    let pair = run(ProducerConfig::default(), faults, &habits(5));
    assert_eq!(ended_well(&pair), None);
    assert!(pair.now.duration_since(pair.start) < Duration::from_secs(7));
}

#[test]
fn the_end_waits_no_longer_than_it_was_told() {
    let frames = source::frames(&habits(5), &mut Jitter::new(7));
    let faults = Faults {
        keeps_nothing: true,
        ..Faults::default()
    };
    let config = ProducerConfig {
        stop_timeout: Duration::from_secs(9),
        ..ProducerConfig::default()
    };
    let mut pair = Pair::new(config, faults, frames, 7);
    pair.run();
    let unconfirmed = ended_well(&pair).expect("nothing was confirmed");
    assert_eq!(unconfirmed.frames, 125);
    let lasted = pair.now.duration_since(pair.start).as_secs();
    assert_eq!(lasted, 5 + 9 - 1);
}

#[test]
fn a_rotation_is_no_error_and_sends_nothing_twice() {
    let config = ProducerConfig {
        rotation_period: Duration::from_secs(10),
        ..ProducerConfig::default()
    };
    let pair = run(config, Faults::default(), &habits(30));
    assert_eq!(ended_well(&pair), None);
    assert_eq!((pair.service.fragments, retries(&pair)), (30, 0));
    assert!(
        (4..=6).contains(&pair.connects),
        "{} connections",
        pair.connects
    );
}

#[test]
fn two_connections_are_not_forced_on_a_service_that_takes_one() {
    let config = ProducerConfig {
        rotation_period: Duration::from_secs(6),
        ..ProducerConfig::default()
    };
    let faults = Faults {
        refusals: vec![ErrorKind::ConnectionLimit; 2],
        ..Faults::default()
    };
    let frames = source::frames(&habits(30), &mut Jitter::new(7));
    let mut pair = Pair::new(config, faults, frames, 7);
    pair.run();
    assert_eq!(ended_well(&pair), None);
    assert_eq!(pair.service.stored.len(), 750);
}

#[test]
fn an_idle_source_ends_its_connection_in_good_form() {
    let habits = Habits {
        pause: true,
        ..habits(10)
    };
    let pair = run(ProducerConfig::default(), Faults::default(), &habits);
    assert_eq!(ended_well(&pair), None);
    assert_eq!(pair.service.stored.len(), 250);
    assert_eq!((pair.connects, retries(&pair)), (2, 0));
}

#[test]
fn a_clock_that_steps_back_opens_a_session() {
    let habits = Habits {
        step: true,
        audio: true,
        gop: 30,
        ..habits(10)
    };
    let pair = run(ProducerConfig::default(), Faults::default(), &habits);
    assert_eq!(ended_well(&pair), None);
    assert_eq!(pair.service.stored.len(), 750);
    assert_eq!((pair.connects, retries(&pair)), (2, 0));
}

#[test]
fn a_backlog_with_a_step_is_sent_to_its_end() {
    let habits = Habits {
        step: true,
        ..habits(10)
    };
    let mut frames = source::frames(&habits, &mut Jitter::new(7));
    // All of it is there, and the source has ended, before the service has said a word.
    frames.iter_mut().for_each(|(at, _)| *at = Duration::ZERO);
    let config = ProducerConfig {
        streaming: Streaming::Offline,
        ..ProducerConfig::default()
    };
    for refusals in [vec![], vec![ErrorKind::ConnectionLimit; 2]] {
        let faults = Faults {
            refusals,
            ..Faults::default()
        };
        let mut pair = Pair::new(config.clone(), faults, frames.clone(), 7);
        pair.run();
        assert_eq!(ended_well(&pair), None);
        assert_eq!(pair.service.stored.len(), 250);
        assert!(pair.now.duration_since(pair.start) < Duration::from_secs(10));
    }
}

#[test]
fn a_full_buffer_drops_the_oldest_and_says_so() {
    let config = ProducerConfig {
        storage_bytes_max: 40_000,
        first_contact: Duration::from_secs(600),
        ..ProducerConfig::default()
    };
    let faults = Faults {
        refusals: vec![ErrorKind::Network; 8],
        ..Faults::default()
    };
    let pair = run(config, faults, &habits(30));
    assert_eq!(ended_well(&pair), None);
    let stats = pair.session.stats();
    assert!(drops(&pair).contains(&DropReason::BufferFull));
    assert_eq!(stats.frames_dropped + pair.service.stored.len() as u64, 750);
    assert!(pair.bytes_max < 40_000 + 25 * 464);
    assert!(pair.missing().is_empty());
}

#[test]
fn a_service_that_was_never_there_is_a_failure() {
    let faults = Faults {
        refused: 1000,
        ..Faults::default()
    };
    let pair = run(ProducerConfig::default(), faults, &habits(60));
    assert_eq!(failed(&pair), FailReason::Unreachable);
    assert_eq!(pair.now.duration_since(pair.start), Duration::from_secs(30));
    let first = pair.events.iter().find_map(|event| match event {
        ProducerEvent::Warning(warning @ Warning::Retry { .. }) => Some(warning.to_string()),
        _ => None,
    });
    let first = first.expect("a warning");
    assert!(first.ends_with("trying again for up to 30 s"), "{first}");
}

#[test]
fn a_call_that_hangs_is_cut_at_the_first_contact_s_deadline() {
    let start = Instant::now();
    let mut session = Session::new(ProducerConfig::default(), 7);
    session.handle(Input::Start, start);
    let error = ServiceError::new(ErrorKind::Timeout, "nobody there".to_owned());
    session.handle(
        Input::Described(Err(error)),
        start + Duration::from_secs(10),
    );
    let retry = session.poll_timeout(start).expect("a back-off");
    session.handle(Input::Timeout, retry);
    // The second call never ends.
    let due = session.poll_timeout(retry).expect("a deadline");
    assert_eq!(due, start + Duration::from_secs(30));
    session.handle(Input::Timeout, due);
    assert!(session.has_failed());
    let mut outputs = std::iter::from_fn(|| session.poll_output());
    let told = outputs.any(|output| {
        matches!(output, Output::Event(ProducerEvent::Failed { reason, message })
            if reason == FailReason::Unreachable && message == "nobody there")
    });
    assert!(told, "the last failure is the reason");
}

#[test]
fn a_stop_tells_what_it_leaves_behind() {
    let frames = source::frames(&habits(5), &mut Jitter::new(7));
    let config = ProducerConfig {
        streaming: Streaming::Offline,
        ..ProducerConfig::default()
    };
    let mut session = super::super::Session::new(config, 7);
    session.add_track(source::video());
    let now = std::time::Instant::now();
    for (_, frame) in frames {
        session.push(frame, now);
    }
    session.handle(super::super::Input::Stop, now);
    let told = std::iter::from_fn(|| session.poll_output()).find_map(|output| match output {
        super::super::Output::Event(ProducerEvent::Dropped(dropped)) => Some(dropped),
        _ => None,
    });
    let told = told.expect("the loss is told");
    assert_eq!((told.span.frames, told.why), (125, DropReason::Stopped));
    assert!(session.is_over() && session.poll_timeout(now).is_none());
}

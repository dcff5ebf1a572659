//! What settings and credentials change.

use std::time::{Duration, Instant};

use kvs_media::mkv::Tag;
use kvs_protocol::AckError;

use super::super::super::config::ProducerConfig;
use super::super::super::event::{Pressure, ProducerEvent, ProducerState, Warning};
use super::super::{Input, Output, Session};
use super::pair::Pair;
use super::rules::{ended_well, habits, retries, run};
use super::service::Faults;
use super::source;
use crate::jitter::Jitter;
use crate::{ErrorKind, ServiceError};

#[test]
fn times_may_count_from_the_start_of_each_connection() {
    let config = ProducerConfig {
        absolute_times: false,
        rotation_period: Duration::from_secs(10),
        ..ProducerConfig::default()
    };
    let pair = run(config, Faults::default(), &habits(60));
    assert_eq!(ended_well(&pair), None);
    assert!(pair.connects > 4, "{} connections", pair.connects);
    assert_eq!(pair.service.stored, pair.times);
}

#[test]
fn without_acks_what_was_sent_counts_as_stored() {
    let config = ProducerConfig {
        acks: false,
        ..ProducerConfig::default()
    };
    let pair = run(config, Faults::default(), &habits(10));
    assert_eq!(ended_well(&pair), None);
    assert_eq!(pair.service.stored, pair.times);
    assert_eq!(pair.session.stats().frames_confirmed, 250);
    let acked = |event: &ProducerEvent| matches!(event, ProducerEvent::Ack(_));
    assert!(!pair.events.iter().any(acked), "nobody was asked");
}

#[test]
fn a_stream_that_exists_is_given_its_tags_once_and_a_new_one_is_made_with_them() {
    for exists in [true, false] {
        let config = ProducerConfig {
            tags: [("site".to_owned(), "north".to_owned())].into(),
            ..ProducerConfig::default()
        };
        let faults = Faults {
            script: vec![(2, AckError::StreamNotActive)],
            ..Faults::default()
        };
        let frames = source::frames(&habits(5), &mut Jitter::new(7));
        let mut pair = Pair::new(config, faults, frames, 7);
        pair.exists = exists;
        pair.run();
        assert_eq!(ended_well(&pair), None);
        assert_eq!(pair.tagged, u64::from(exists));
    }
}

#[test]
fn a_filling_buffer_is_told_at_each_mark_and_a_late_confirmation_as_well() {
    let frames = source::frames(&habits(60), &mut Jitter::new(7));
    let config = ProducerConfig {
        buffer_duration: Duration::from_secs(20),
        latency_max: Duration::from_secs(15),
        ..ProducerConfig::default()
    };
    let mut session = Session::new(config, 7);
    session.add_track(source::video());
    let start = Instant::now();
    for (at, frame) in frames {
        session.push(frame, start + at);
    }
    let told = std::iter::from_fn(|| session.poll_output()).filter_map(|output| match output {
        Output::Event(ProducerEvent::Pressure(Pressure::Buffer { percent })) => {
            Some(percent.to_string())
        }
        Output::Event(ProducerEvent::Pressure(Pressure::Latency { waited })) => {
            assert!(waited > Duration::from_secs(15), "{waited:?}");
            Some("late".to_owned())
        }
        Output::Event(ProducerEvent::Dropped(_)) => Some("lost".to_owned()),
        _ => None,
    });
    let told: Vec<String> = told.take(5).collect();
    assert_eq!(told, ["50", "late", "80", "95", "lost"]);
}

#[test]
fn credentials_that_are_gone_for_a_while_are_waited_for_once_there_were_some() {
    let error = |kind| ServiceError::new(kind, "a half file".to_owned());
    let start = Instant::now();
    let mut session = Session::new(ProducerConfig::default(), 7);
    session.handle(Input::Start, start);
    session.handle(Input::Described(Err(error(ErrorKind::Credentials))), start);
    assert!(session.has_failed(), "there never were any");
    let mut session = Session::new(ProducerConfig::default(), 7);
    session.handle(Input::Start, start);
    session.handle(Input::Described(Err(error(ErrorKind::NotFound))), start);
    session.handle(Input::Created(Err(error(ErrorKind::Credentials))), start);
    assert_eq!(session.stats().state, ProducerState::Backoff);
}

#[test]
fn a_connection_is_replaced_before_its_credentials_expire() {
    let faults = Faults {
        valid_for: Some(Duration::from_secs(100)),
        ..Faults::default()
    };
    let pair = run(ProducerConfig::default(), faults, &habits(190));
    assert_eq!(ended_well(&pair), None);
    assert_eq!(pair.service.stored, pair.times);
    // At 45, 90, 135 and 180 s.
    assert_eq!((pair.connects, retries(&pair)), (5, 0));
}

#[test]
fn credentials_that_are_never_fresh_do_not_make_it_connect_again_and_again() {
    let faults = Faults {
        valid_for: Some(Duration::from_secs(50)),
        ..Faults::default()
    };
    let pair = run(ProducerConfig::default(), faults, &habits(60));
    assert_eq!(ended_well(&pair), None);
    assert_eq!(pair.connects, 1);
}

/// What fragments of 25 frames are described with where this metadata came before these frames.
fn described(metadata: &[(u64, &str, &str, bool)], faults: Faults) -> (Pair, Vec<(u64, String)>) {
    let frames = source::frames(&habits(5), &mut Jitter::new(7));
    let mut pair = Pair::new(ProducerConfig::default(), faults, frames, 7);
    let metadata = metadata.iter();
    pair.metadata = metadata
        .map(|(at, name, value, persist)| (*at, (Tag::new(*name, *value), *persist)))
        .collect();
    pair.run();
    assert_eq!(ended_well(&pair), None);
    let shown = |tag: &Tag| format!("{}={}", tag.name, tag.value);
    let tags = { pair.service.tags.iter() }.map(|(first, tags)| {
        let tags: Vec<String> = tags.iter().map(shown).collect();
        (*first, tags.join(" "))
    });
    let tags = tags.collect();
    (pair, tags)
}

#[test]
fn metadata_describes_the_fragment_that_is_open_and_what_persists_all_that_follow() {
    let metadata = [
        (0, "site", "north", false),
        (30, "door", "open", true),
        (60, "bell", "rung", false),
        (80, "door", "ajar", true),
        (110, "door", "", true),
    ];
    let expected = [
        (0, "site=north"),
        (25, "door=open"),
        (50, "door=open bell=rung"),
        (75, "door=ajar"),
        (100, "door=ajar"),
    ];
    let expected = expected.map(|(first, tags)| (first, tags.to_owned()));
    assert_eq!(described(&metadata, Faults::default()).1, expected);
    // A fragment that is sent again is described again.
    let faults = Faults {
        script: vec![(2, AckError::InternalError)],
        ..Faults::default()
    };
    assert_eq!(described(&metadata, faults).1, expected);
}

#[test]
fn metadata_that_the_service_refuses_is_told_and_costs_no_frame() {
    let faults = Faults {
        script: vec![(1, AckError::FragmentMetadataLimitReached)],
        ..Faults::default()
    };
    let metadata = [(30, "door", "open", false), (60, "bell", "rung", false)];
    let (pair, tags) = described(&metadata, faults);
    assert_eq!(tags, [(50, "bell=rung".to_owned())]);
    assert_eq!(pair.service.stored, pair.times);
    let refused = pair.events.iter().find_map(|event| match event {
        ProducerEvent::Warning(Warning::MetadataRefused { names }) => Some(names.clone()),
        _ => None,
    });
    assert_eq!(refused, Some(vec!["door".to_owned()]));
}

#[test]
fn a_tenth_metadata_is_left_out_and_told() {
    let names: Vec<String> = (0..10).map(|at| format!("name{at}")).collect();
    let metadata = { names.iter() }
        .zip(1..)
        .map(|(name, at)| (at, &**name, "x", false));
    let metadata: Vec<_> = metadata.collect();
    let (pair, tags) = described(&metadata, Faults::default());
    assert_eq!(tags[0].1.split(' ').count(), 9);
    let left_out = Warning::TooMuchMetadata {
        name: "name9".to_owned(),
    };
    assert!(pair.events.contains(&ProducerEvent::Warning(left_out)));
}

//! How a session with a spool ends.

use std::time::{Duration, Instant};

use kvs_media::ProducerTime;

use super::super::super::config::{ProducerConfig, Streaming};
use super::super::super::event::{ProducerEvent, Warning};
use super::super::{Input, Output, Session, SpoolLimits};
use super::rules::habits;
use super::source;
use crate::jitter::Jitter;

/// A file of some seconds whose spool holds so many bytes; the service is away.
fn session(bytes_max: u64) -> Session {
    let config = ProducerConfig {
        streaming: Streaming::Offline,
        ..ProducerConfig::default()
    };
    let now = Instant::now();
    let mut session = Session::new(config, 7);
    session.add_track(source::video());
    let limits = SpoolLimits {
        bytes_max,
        age_max: Duration::ZERO,
    };
    session.use_spool(limits, 0, &[], ProducerTime::from_ms(0), now);
    for (_, frame) in source::frames(&habits(4), &mut Jitter::new(7)) {
        session.push(frame, now);
    }
    session
}

/// Stops it; every write that it asks for succeeds. What it told.
fn stop(session: &mut Session) -> Vec<ProducerEvent> {
    let now = Instant::now();
    session.handle(Input::Stop, now);
    let mut told = Vec::new();
    while let Some(output) = session.poll_output() {
        match output {
            Output::Save(file, media) => {
                let bytes = media.frames.iter().map(|frame| frame.data.len() as u64);
                session.handle(Input::Saved(file, Ok(bytes.sum())), now);
            }
            Output::Event(event) => told.push(event),
            _ => {}
        }
    }
    told
}

#[test]
fn a_stop_ends_behind_the_last_write() {
    let mut session = session(u64::MAX);
    let told = stop(&mut session);
    assert!(session.is_over());
    let waits = |event: &ProducerEvent| match event {
        ProducerEvent::Warning(Warning::Spooled { span }) => Some(span.frames),
        _ => None,
    };
    assert_eq!(
        told.iter().find_map(waits),
        Some(100),
        "the open fragment as well"
    );
    assert!(
        !told
            .iter()
            .any(|event| matches!(event, ProducerEvent::Dropped(_)))
    );
}

#[test]
fn a_stop_ends_though_the_spool_has_no_room() {
    let mut session = session(20_000);
    let told = stop(&mut session);
    assert!(session.is_over());
    let dropped = |event: &ProducerEvent| match event {
        ProducerEvent::Dropped(dropped) => Some(dropped.span.frames),
        _ => None,
    };
    let dropped = told
        .iter()
        .find_map(dropped)
        .expect("what had no room is told");
    assert!((1..100).contains(&dropped), "{dropped}");
}

//! Upload on demand.

use std::time::Duration;

use super::super::super::config::ProducerConfig;
use super::super::super::event::ProducerEvent;
use super::super::SpoolLimits;
use super::pair::Pair;
use super::rules::{ended_well, habits};
use super::service::Faults;
use super::source;
use super::spool::{DiskFaults, Spool};
use crate::jitter::Jitter;

/// Pictures in a second, which are a fragment.
const RATE: u64 = 25;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A camera of thirty seconds, with triggers: at which second, and how much before and after.
fn camera(triggers: &[(u64, u64, u64)]) -> Pair {
    let config = ProducerConfig {
        on_trigger: true,
        buffer_duration: seconds(10),
        ..ProducerConfig::default()
    };
    let frames = source::frames(&habits(30), &mut Jitter::new(7));
    let mut pair = Pair::new(config, Faults::default(), frames, 7);
    let trigger =
        |&(at, before, after): &(u64, u64, u64)| (at * RATE, (seconds(before), seconds(after)));
    pair.triggers = triggers.iter().map(trigger).collect();
    pair
}

/// The seconds that are stored; each is there as a whole.
fn stored(pair: &Pair) -> Vec<u64> {
    let mut seconds: Vec<_> = pair
        .service
        .stored
        .keys()
        .map(|number| number / RATE)
        .collect();
    assert_eq!(seconds.len() as u64 % RATE, 0, "whole fragments");
    seconds.dedup();
    seconds
}

#[test]
fn nothing_is_sent_that_nobody_asks_for_and_that_is_no_loss() {
    let mut pair = camera(&[]);
    pair.run();
    assert_eq!(pair.connects, 0);
    assert_eq!(ended_well(&pair), None);
    assert!(pair.reported.is_empty());
}

#[test]
fn a_trigger_sends_the_seconds_before_and_after_from_a_key_frame_on() {
    // Behind the first picture of second 12: back into second 9, on into second 14.
    let mut pair = camera(&[(12, 3, 2)]);
    pair.run();
    assert_eq!(stored(&pair), [9, 10, 11, 12, 13, 14]);
    assert_eq!(pair.connects, 1);
    assert_eq!(ended_well(&pair), None);
    assert!(pair.reported.is_empty());
}

#[test]
fn what_was_asked_for_is_stored_before_the_source_ends() {
    let mut pair = camera(&[(12, 0, 1)]);
    pair.run();
    let acks = pair
        .events
        .iter()
        .filter(|e| matches!(e, ProducerEvent::Ack(_)));
    assert!(acks.count() >= 6, "two fragments");
    let drained = pair
        .events
        .iter()
        .position(|e| matches!(e, ProducerEvent::Drained { .. }));
    let last_ack = pair
        .events
        .iter()
        .rposition(|e| matches!(e, ProducerEvent::Ack(_)));
    assert!(last_ack < drained);
    assert_eq!(stored(&pair), [12, 13]);
}

#[test]
fn triggers_that_overlap_are_one_and_later_ones_are_their_own() {
    let mut pair = camera(&[(5, 1, 2), (6, 0, 3), (20, 1, 0)]);
    pair.run();
    assert_eq!(stored(&pair), [4, 5, 6, 7, 8, 9, 19, 20]);
    assert_eq!(pair.connects, 2);
}

#[test]
fn a_trigger_may_ask_for_what_is_older_than_what_was_sent() {
    let mut pair = camera(&[(10, 1, 0), (13, 6, 0)]);
    pair.run();
    assert_eq!(stored(&pair), [7, 8, 9, 10, 11, 12, 13]);
}

#[test]
fn the_ring_is_as_long_as_the_buffer_may_be() {
    let mut pair = camera(&[(25, 60, 0)]);
    pair.run();
    assert_eq!(stored(&pair), (15..=25).collect::<Vec<_>>());
}

#[test]
fn a_trigger_before_the_first_frame_counts_from_it() {
    let mut pair = camera(&[]);
    let now = pair.now;
    pair.session.trigger(seconds(5), seconds(2), now);
    pair.run();
    assert_eq!(stored(&pair), [0, 1, 2]);
}

#[test]
fn what_was_asked_for_outlives_the_producer_and_what_was_not_is_a_ring_again() {
    let mut pair = camera(&[(12, 3, 1)]);
    pair.faults.refused = 1000;
    let limits = SpoolLimits {
        bytes_max: u64::MAX,
        age_max: Duration::ZERO,
    };
    let crashes = vec![seconds(16)];
    let faults = DiskFaults {
        crashes,
        ..DiskFaults::default()
    };
    pair.use_spool(Spool::new(limits, faults));
    // The service is away until the producer has died.
    pair.heals_at = Some(seconds(17));
    pair.run();
    assert_eq!(stored(&pair), [9, 10, 11, 12, 13]);
    assert!(pair.spool.expect("it has one").files.is_empty());
}

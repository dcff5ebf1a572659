//! Outages in mid-stream, as long as users have reported losses of.

use std::time::Duration;

use super::super::super::config::ProducerConfig;
use super::pair::Pair;
use super::rules::{ended_well, habits};
use super::service::Faults;
use super::source;
use crate::jitter::Jitter;

/// When the service goes away, in the middle of a fragment.
const AWAY_AT: Duration = Duration::from_millis(5_300);

fn outage(seconds: u64, seed: u64) -> Pair {
    let frames = source::frames(&habits(20 + seconds), &mut Jitter::new(seed));
    let mut pair = Pair::new(ProducerConfig::default(), Faults::default(), frames, seed);
    pair.breaks_at = Some(AWAY_AT);
    pair.heals_at = Some(AWAY_AT + Duration::from_secs(seconds));
    pair.run();
    pair
}

#[test]
fn no_frame_is_lost_while_the_buffer_holds() {
    for seconds in [3, 6, 12, 60] {
        for seed in 0..50 {
            let pair = outage(seconds, seed);
            assert_eq!(ended_well(&pair), None, "{seconds} s, seed {seed}");
            assert!(pair.missing().is_empty(), "{seconds} s, seed {seed}");
            assert!(pair.reported.is_empty(), "{seconds} s, seed {seed}");
            let frames = (20 + seconds) * 25;
            assert_eq!(pair.service.stored.len() as u64, frames);
        }
    }
}

#[test]
fn requests_are_as_many_as_the_back_off_allows() {
    // Full jitter up to 0.1, 0.2, 0.4, … 20 s: a wait is half of that in the mean.
    for (seconds, most) in [(3, 20), (6, 20), (12, 25), (60, 30)] {
        let tried: Vec<u64> = (0..50).map(|seed| outage(seconds, seed).connects).collect();
        let worst = tried.iter().max().expect("fifty outages");
        assert!(*worst <= most, "{worst} connections in {seconds} s");
        let mean = tried.iter().sum::<u64>() / 50;
        assert!(mean <= 12, "{mean} connections in {seconds} s");
    }
}

//! The latency of a live source: how much later than its timestamp a frame has left.

use std::sync::atomic::{AtomicU64, Ordering};

/// The latency is told in steps of this size, so that a pipeline does not settle anew for every
/// millisecond.
const STEP_MS: u64 = 20;

/// A frame later than this was held up by an outage, for which no player should be late for ever.
const LATENCY_MAX_MS: u64 = 1000;

/// The greatest lateness seen so far, within [`LATENCY_MAX_MS`]: how much the producer and the
/// network bunch frames.
#[derive(Debug, Default)]
pub(super) struct Latency {
    told_ms: AtomicU64,
}

impl Latency {
    /// Takes note of how late a frame left; true if the pipeline has to ask for the latency again.
    pub(super) fn note(&self, late: gst::ClockTime) -> bool {
        let late_ms = late.mseconds().div_ceil(STEP_MS) * STEP_MS;
        late_ms <= LATENCY_MAX_MS && self.told_ms.fetch_max(late_ms, Ordering::Relaxed) < late_ms
    }

    /// What a LATENCY query is answered.
    pub(super) fn min(&self) -> gst::ClockTime {
        gst::ClockTime::from_mseconds(self.told_ms.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_in_steps_and_leaves_outages_out() {
        let latency = Latency::default();
        let ms = gst::ClockTime::from_mseconds;
        assert!(!latency.note(gst::ClockTime::ZERO));
        assert!(latency.note(ms(21)));
        assert_eq!(latency.min(), ms(40));
        assert!(!latency.note(ms(39)));
        assert!(!latency.note(ms(10_000)));
        assert_eq!(latency.min(), ms(40));
    }
}

//! What may soon cost frames is told before it does.

use std::time::Instant;

use super::super::event::{Pressure, ProducerEvent};
use super::Session;

/// Marks of the buffer's filling, in percent.
const MARKS: [u8; 3] = [50, 80, 95];
/// So far below a mark, the next time above it is told again.
const RELIEF_PERCENT: u8 = 10;

/// What has been told.
#[derive(Debug, Default)]
pub(super) struct Pressed {
    /// How many of the marks.
    marks: usize,
    /// That the oldest fragment is late.
    late: bool,
}

impl Session {
    /// Tells what has come up since the last call.
    pub(super) fn feel_pressure(&mut self, now: Instant) {
        let percent = self.buffer.fill_percent(self.interleave.held_bytes());
        let percent = percent.max(self.spool_percent());
        let passed = MARKS.iter().filter(|&&mark| percent >= mark).count();
        if passed > self.pressed.marks {
            let percent = MARKS[passed - 1];
            self.tell(ProducerEvent::Pressure(Pressure::Buffer { percent }));
            self.pressed.marks = passed;
        }
        let eased = |mark: &&u8| percent + RELIEF_PERCENT >= **mark;
        self.pressed.marks = { self.pressed.marks }.min(MARKS.iter().filter(eased).count());
        let latency_max = self.config.latency_max;
        let waited = self.buffer.waits_since();
        let waited = waited.map(|since| now.saturating_duration_since(since));
        let late = waited.filter(|waited| !latency_max.is_zero() && *waited > latency_max);
        if let (Some(waited), false) = (late, self.pressed.late) {
            self.tell(ProducerEvent::Pressure(Pressure::Latency { waited }));
        }
        self.pressed.late = late.is_some();
    }
}

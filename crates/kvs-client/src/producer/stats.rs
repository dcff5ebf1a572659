//! Figures of a producer.

use std::collections::VecDeque;
use std::time::Duration;

use super::event::ProducerState;

/// A snapshot of what a producer has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Where it is.
    pub state: ProducerState,
    /// Frames taken from the source.
    pub frames_in: u64,
    /// Bytes of frames taken from the source.
    pub bytes_in: u64,
    /// Frames written to a connection, replays not counted twice.
    pub frames_sent: u64,
    /// Frames of fragments that the service confirmed.
    pub frames_confirmed: u64,
    /// Frames lost, each reported by an event.
    pub frames_dropped: u64,
    /// Bytes written to connections, containers and replays counted.
    pub bytes_sent: u64,
    /// BUFFERING acks.
    pub fragments_buffering: u64,
    /// RECEIVED acks.
    pub fragments_received: u64,
    /// PERSISTED acks.
    pub fragments_persisted: u64,
    /// ERROR acks.
    pub fragments_refused: u64,
    /// Connections opened.
    pub connections: u64,
    /// Times that a connection was lost.
    pub losses: u64,
    /// Frames that wait, for being sent or for their ack.
    pub buffered_frames: u64,
    /// Their bytes.
    pub buffered_bytes: u64,
    /// The time that they span.
    pub buffered_span: Duration,
    /// Fragments in the spool.
    pub spool_files: u64,
    /// Their bytes on disk.
    pub spool_bytes: u64,
    /// From a fragment's last frame to the ack that confirms it, median of the last
    /// [`DELAYS_MAX`] fragments.
    pub ack_delay_p50: Duration,
    /// The same, 99th percentile.
    pub ack_delay_p99: Duration,
}

/// Enough for a meaningful 99th percentile, few enough to sort on demand.
pub const DELAYS_MAX: usize = 256;

/// The latest delays from frame to ack.
#[derive(Debug, Default)]
pub(super) struct Delays(VecDeque<Duration>);

impl Delays {
    pub(super) fn add(&mut self, delay: Duration) {
        if self.0.len() == DELAYS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(delay);
    }

    /// The median and the 99th percentile; zero where there is nothing yet.
    pub(super) fn percentiles(&self) -> (Duration, Duration) {
        let mut sorted: Vec<_> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let index = sorted.len().saturating_sub(1) * percent / 100;
            sorted.get(index).copied().unwrap_or_default()
        };
        (at(50), at(99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_latest_delays() {
        let mut delays = Delays::default();
        assert_eq!(delays.percentiles(), (Duration::ZERO, Duration::ZERO));
        delays.add(Duration::from_secs(9));
        for ms in 1..=DELAYS_MAX as u64 {
            delays.add(Duration::from_millis(ms));
        }
        let (p50, p99) = delays.percentiles();
        assert_eq!((p50.as_millis(), p99.as_millis()), (128, 253));
    }
}

//! Producer time: when a frame was captured, by the producer's clock.

use std::fmt;

/// Nanoseconds since 1970 by the producer's clock, or since the producer's start where a session
/// is RELATIVE.
///
/// It is what Matroska timecodes carry. Media time (a pipeline's running time) and wall time (the
/// server's clock) are types of their own, so that one is never taken for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerTime(u64);

impl ProducerTime {
    /// The time that is `ns` nanoseconds after 1970.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// The time that is `ms` milliseconds after 1970; the last representable one if that is later.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// Nanoseconds since 1970.
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since 1970, rounded down.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time `ns` nanoseconds later, or the last representable one.
    pub const fn saturating_add_ns(self, ns: u64) -> Self {
        Self(self.0.saturating_add(ns))
    }

    /// Nanoseconds from `earlier` to this time; 0 if `earlier` is the later one.
    pub const fn saturating_ns_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for ProducerTime {
    /// Seconds since 1970 with three decimals, as the service writes timestamps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.as_ms();
        write!(f, "{}.{:03}", ms / 1000, ms % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_seconds_with_three_decimals() {
        assert_eq!(
            ProducerTime::from_ms(1_511_852_108_005).to_string(),
            "1511852108.005"
        );
    }

    #[test]
    fn arithmetic_saturates() {
        let last = ProducerTime::from_ns(u64::MAX);
        assert_eq!(last.saturating_add_ns(1), last);
        assert_eq!(ProducerTime::from_ms(u64::MAX), last);
        assert_eq!(ProducerTime::from_ns(1).saturating_ns_since(last), 0);
    }
}

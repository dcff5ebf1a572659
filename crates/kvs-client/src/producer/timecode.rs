//! Times in the unit that clusters and blocks carry.

use std::time::Duration;

use kvs_media::ProducerTime;

/// A time in units of the timecode scale, rounded down.
///
/// The service compares times after this rounding, so we do too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Timecode(pub(super) u64);

impl Timecode {
    /// The time `units` later.
    pub(super) const fn plus(self, units: u64) -> Self {
        Self(self.0.saturating_add(units))
    }

    /// The time `units` earlier, or the beginning of time.
    pub(super) const fn minus(self, units: u64) -> Self {
        Self(self.0.saturating_sub(units))
    }

    /// Units from `earlier` to this time; 0 if `earlier` is the later one.
    pub(super) const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How long a unit is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    ns: u32,
}

impl Scale {
    /// A unit of that length; at least a nanosecond, at most what Matroska's muxer takes (4 s).
    pub(super) fn new(unit: Duration) -> Self {
        Self {
            ns: u32::try_from(unit.as_nanos()).unwrap_or(u32::MAX).max(1),
        }
    }

    pub(super) const fn ns(self) -> u32 {
        self.ns
    }

    /// A time in units.
    pub(super) const fn timecode(self, time: ProducerTime) -> Timecode {
        Timecode(time.as_ns() / self.ns as u64)
    }

    /// The earliest time that has this timecode.
    pub(super) const fn time(self, timecode: Timecode) -> ProducerTime {
        ProducerTime::from_ns(timecode.0.saturating_mul(self.ns as u64))
    }

    /// A length in units, rounded down, but never nothing.
    pub(super) fn units(self, length: Duration) -> u64 {
        u64::try_from(length.as_nanos() / u128::from(self.ns))
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

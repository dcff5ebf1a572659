//! Which wall time may expire fragments: none that a step, or a clock never set, has brought.
//!
//! ```text
//!            synchronised, or confirmed             forward step over an hour
//! doubted ──────────────────────────────► trusted ────────────────────────────► doubted
//!    ▲     after a step: for 30 s, or                not synchronised               │
//!    │     it is back where it was                                                  │
//!    └── the time that may expire stays ────────────────────────────────────────────┘
//! ```
//! Pure: times go in, and the time that may expire comes out.

use std::fmt;

/// A forward step that is larger may be a mistake, which would cost recordings.
const STEP_MS_MAX: i128 = 3_600_000;
/// A time that an earlier process trusted counts so far behind the newest fragment.
const RESUMED_MS_MAX: u64 = 3_600_000;
/// Who sets a clock makes the kernel call it unsynchronised. One that is called synchronised so
/// long after a step has agreed with a time server since.
const SETTLED_MS: u64 = 30_000;

/// What the clocks say at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) now_ms: u64,
    pub(super) monotonic_ms: u64,
    pub(super) synchronized: bool,
}

/// Why nothing expires now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockDoubt {
    /// Nobody has compared the clock with another.
    Unsynchronized,
    /// It was set forward.
    Stepped {
        /// So far, in ms.
        by_ms: u64,
    },
}

impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsynchronized => f.write_str(
                "the clock is not synchronised: nothing expires until a time server has set it, or \
                 the server is started with --trust-clock",
            ),
            Self::Stepped { by_ms } => {
                let minutes = by_ms / 60_000;
                write!(
                    f,
                    "the clock was set forward by {minutes} min: nothing expires until it is \
                     synchronised, or the server is started again with --trust-clock"
                )
            }
        }
    }
}

/// A step that is not believed yet.
#[derive(Clone, Copy, Debug)]
struct Step {
    offset_ms: i128,
    /// When, by the monotonic clock, it began to be synchronised all along.
    synchronized_ms: Option<u64>,
}

/// Remembers what was trusted.
#[derive(Debug)]
pub(super) struct ClockRule {
    /// The operator says that the clock is right although the kernel does not know it.
    confirmed: bool,
    /// The last time that was trusted.
    expiry_ms: u64,
    /// How far the wall clock was before the monotonic one then. Only a step that is believed
    /// makes it larger, so many small ones count as the large one that they are.
    offset_ms: Option<i128>,
    step: Option<Step>,
    doubt: Option<ClockDoubt>,
}

impl ClockRule {
    pub(super) fn new(confirmed: bool) -> Self {
        Self {
            confirmed,
            expiry_ms: 0,
            offset_ms: None,
            step: None,
            doubt: None,
        }
    }

    /// Goes on from what an earlier process trusted, until this one trusts its clock. Of that no
    /// more counts than an hour behind the newest fragment: one damaged bit in the index would else
    /// expire everything.
    pub(super) fn resume(&mut self, trusted_ms: u64, newest_ms: u64) {
        if self.offset_ms.is_none() {
            self.expiry_ms = trusted_ms.min(newest_ms.saturating_add(RESUMED_MS_MAX));
        }
    }

    /// The time before which fragments may expire by their retention.
    pub(super) fn look(&mut self, reading: Reading) -> u64 {
        let offset_ms = i128::from(reading.now_ms) - i128::from(reading.monotonic_ms);
        let by_ms = self.offset_ms.map_or(0, |trusted| offset_ms - trusted);
        self.doubt = if by_ms > STEP_MS_MAX {
            let by_ms = u64::try_from(by_ms).unwrap_or(u64::MAX);
            (!self.is_settled(offset_ms, reading)).then_some(ClockDoubt::Stepped { by_ms })
        } else {
            self.step = None;
            (!reading.synchronized && !self.confirmed).then_some(ClockDoubt::Unsynchronized)
        };
        if self.doubt.is_none() {
            let believed = self.step.take().is_some();
            let before = self.offset_ms.filter(|_| !believed);
            self.offset_ms = Some(before.map_or(offset_ms, |before| before.min(offset_ms)));
            self.expiry_ms = reading.now_ms;
        }
        self.expiry_ms
    }

    /// Why the last reading was not trusted.
    pub(super) fn doubt(&self) -> Option<ClockDoubt> {
        self.doubt
    }

    /// Whether a step has been synchronised for long enough.
    fn is_settled(&mut self, offset_ms: i128, reading: Reading) -> bool {
        let same = |step: &Step| (step.offset_ms - offset_ms).abs() <= STEP_MS_MAX;
        let mut step = self.step.filter(same).unwrap_or(Step {
            offset_ms,
            synchronized_ms: None,
        });
        if reading.synchronized {
            step.synchronized_ms.get_or_insert(reading.monotonic_ms);
        } else {
            step.synchronized_ms = None;
        }
        self.step = Some(step);
        let settled = |since: u64| reading.monotonic_ms.saturating_sub(since) >= SETTLED_MS;
        step.synchronized_ms.is_some_and(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    const NOW_MS: u64 = 1_700_000_000_000;

    fn look(rule: &mut ClockRule, now_ms: u64, monotonic_ms: u64, synchronized: bool) -> u64 {
        rule.look(Reading {
            now_ms,
            monotonic_ms,
            synchronized,
        })
    }

    fn trusted(confirmed: bool) -> ClockRule {
        let mut rule = ClockRule::new(confirmed);
        assert_eq!(look(&mut rule, NOW_MS, 0, true), NOW_MS);
        rule
    }

    #[test]
    fn time_that_passes_is_trusted_also_backwards() {
        let mut rule = trusted(false);
        for passed in [1, HOUR_MS, 900 * HOUR_MS] {
            assert_eq!(
                look(&mut rule, NOW_MS + passed, passed, true),
                NOW_MS + passed
            );
        }
        let back = NOW_MS - 5 * HOUR_MS;
        assert_eq!(look(&mut rule, back, 901 * HOUR_MS, true), back);
    }

    #[test]
    fn a_step_waits_for_sync_that_lasts() {
        let mut rule = trusted(false);
        let ahead = NOW_MS + 2 * HOUR_MS;
        assert_eq!(look(&mut rule, ahead, 0, false), NOW_MS);
        let by_ms = 2 * HOUR_MS;
        assert_eq!(rule.doubt(), Some(ClockDoubt::Stepped { by_ms }));
        for (monotonic_ms, synchronized) in [(0, true), (29_999, true), (30_000, false)] {
            let now_ms = ahead + monotonic_ms;
            assert_eq!(look(&mut rule, now_ms, monotonic_ms, synchronized), NOW_MS);
        }
        assert_eq!(look(&mut rule, ahead + 40_000, 40_000, true), NOW_MS);
        // Another step begins the wait anew.
        let further = NOW_MS + 90 * HOUR_MS;
        assert_eq!(look(&mut rule, further + 69_999, 69_999, true), NOW_MS);
        assert_eq!(look(&mut rule, further + 70_000, 70_000, true), NOW_MS);
        let settled = further + 99_999;
        assert_eq!(look(&mut rule, settled, 99_999, true), settled);
        assert_eq!(rule.doubt(), None);
    }

    #[test]
    fn a_step_that_is_taken_back_is_forgotten() {
        let mut rule = trusted(true);
        assert_eq!(look(&mut rule, NOW_MS + 900 * HOUR_MS, 0, false), NOW_MS);
        assert_eq!(look(&mut rule, NOW_MS + 5, 5, false), NOW_MS + 5);
    }

    #[test]
    fn many_small_steps_are_a_large_one() {
        let mut rule = trusted(true);
        let half = HOUR_MS / 2;
        for steps in 1..=2 {
            let now_ms = NOW_MS + steps * half;
            assert_eq!(look(&mut rule, now_ms, 0, false), now_ms);
        }
        let last = NOW_MS + 2 * half;
        assert_eq!(look(&mut rule, last + half, 0, false), last);
    }

    #[test]
    fn a_clock_that_nobody_set_is_trusted_only_when_told() {
        let mut rule = ClockRule::new(false);
        rule.resume(7, NOW_MS);
        assert_eq!(look(&mut rule, NOW_MS, 0, false), 7);
        assert_eq!(rule.doubt(), Some(ClockDoubt::Unsynchronized));
        assert_eq!(look(&mut rule, NOW_MS, 0, true), NOW_MS);
        assert_eq!(look(&mut rule, NOW_MS + 9, 9, false), NOW_MS);
        let mut told = ClockRule::new(true);
        assert_eq!(look(&mut told, NOW_MS, 0, false), NOW_MS);
    }

    #[test]
    fn what_was_trusted_before_is_not_far_behind_the_newest_fragment() {
        let mut rule = ClockRule::new(false);
        rule.resume(NOW_MS | 1 << 47, NOW_MS);
        assert_eq!(look(&mut rule, 0, 0, false), NOW_MS + HOUR_MS);
    }

    #[test]
    fn a_box_that_boots_in_1970_expires_nothing_until_its_new_time_is_synchronised() {
        for confirmed in [false, true] {
            let mut rule = ClockRule::new(confirmed);
            rule.resume(NOW_MS, NOW_MS);
            assert!(look(&mut rule, 1000, 0, false) <= NOW_MS);
            let later = NOW_MS + 900 * HOUR_MS;
            assert!(look(&mut rule, later, 5, false) <= NOW_MS);
            look(&mut rule, later, 10, true);
            assert_eq!(look(&mut rule, later, 30_010, true), later);
        }
    }
}

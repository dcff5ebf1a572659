//! How long to wait before the next attempt: exponential, with full jitter.

use std::time::Duration;

/// The first delay is drawn from nothing to this.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// No delay is longer: a service that comes back is found within this time.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(20);

/// Failures in a row, and the delay that follows from them.
///
/// Full jitter (a delay from nothing to the bound, evenly) spreads many clients that lost the same
/// service better than any other form:
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Another failure; how long to wait, by a random number.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let bound = BACKOFF_MIN.saturating_mul(1 << doublings).min(BACKOFF_MAX);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random % (nanos + 1))
    }

    /// It works again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_its_limit() {
        let mut backoff = Backoff::default();
        let greatest = |backoff: &mut Backoff| {
            let mut probe = *backoff;
            backoff.next(0);
            (0..64).map(|bit| probe.clone_next(u64::MAX >> bit)).max()
        };
        assert!(greatest(&mut backoff) <= Some(BACKOFF_MIN));
        assert!(greatest(&mut backoff) <= Some(BACKOFF_MIN * 2));
        for _ in 0..100 {
            assert!(backoff.next(u64::MAX) <= BACKOFF_MAX);
        }
        assert_eq!(backoff.failures(), 102);
        backoff.reset();
        assert!(backoff.next(u64::MAX) <= BACKOFF_MIN);
    }

    impl Backoff {
        fn clone_next(&mut self, random: u64) -> Duration {
            let mut copy = *self;
            copy.next(random)
        }
    }
}

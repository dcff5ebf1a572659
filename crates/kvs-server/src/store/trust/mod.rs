//! The store's trust in its clock: asks the rule, and logs when that changes its mind.

mod clock_rule;

use std::sync::Mutex;

use clock_rule::{ClockRule, Reading};

use crate::clock::Clock;
use crate::lock::lock;
use crate::store::config::Expiry;
pub use clock_rule::ClockDoubt;

/// `None` where nothing is ever to expire.
#[derive(Debug, Default)]
pub(super) struct Trust(Option<Mutex<ClockRule>>);

impl Trust {
    pub(super) fn new(expiry: Expiry) -> Self {
        let rule = |confirmed| Self(Some(Mutex::new(ClockRule::new(confirmed))));
        match expiry {
            Expiry::Never => Self(None),
            Expiry::Synchronized => rule(false),
            Expiry::Confirmed => rule(true),
        }
    }

    /// See [`ClockRule::resume`].
    pub(super) fn resume(&self, trusted_ms: u64, newest_ms: u64) {
        if let Some(rule) = &self.0 {
            lock(rule).resume(trusted_ms, newest_ms);
        }
    }

    /// The time that counts for retention; `None` where nothing expires.
    pub(super) fn expiry_ms(&self, clock: &dyn Clock) -> Option<u64> {
        let mut rule = lock(self.0.as_ref()?);
        let before = rule.doubt();
        // The wall first: what passes until the next line makes it earlier, never later.
        let now_ms = clock.now_ms();
        let expiry_ms = rule.look(Reading {
            now_ms,
            monotonic_ms: clock.monotonic_ms(),
            synchronized: clock.synchronized(),
        });
        match (before, rule.doubt()) {
            (None, Some(doubt)) => tracing::warn!("{doubt}"),
            (Some(ClockDoubt::Unsynchronized), Some(doubt @ ClockDoubt::Stepped { .. })) => {
                tracing::warn!("{doubt}");
            }
            (Some(_), None) => tracing::info!("the clock is trusted: expiry goes on"),
            _ => {}
        }
        Some(expiry_ms)
    }

    /// Why nothing expires now.
    pub(super) fn doubt(&self, clock: &dyn Clock) -> Option<ClockDoubt> {
        self.expiry_ms(clock)?;
        lock(self.0.as_ref()?).doubt()
    }
}

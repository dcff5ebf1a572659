//! Whether what is appended now would become durable, as far as the writer knows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::StoreError;
use crate::lock::lock;

/// A disk that answers at all has done so by then; a slow one syncs in some 100 ms.
const ANSWER_MS_MAX: u64 = 10_000;

/// Written by the writer, read by whoever asks.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the last attempt failed, until one succeeds.
    failed: Mutex<Option<StoreError>>,
    /// When the writer began what it is doing, in monotonic ms and one more; 0 while it waits.
    busy_since: AtomicU64,
}

impl Health {
    /// The writer goes to the disk.
    pub(super) fn begin(&self, now_ms: u64) {
        self.busy_since.store(now_ms + 1, Ordering::Release);
    }

    /// The disk has answered, well or not.
    pub(super) fn end(&self) {
        self.busy_since.store(0, Ordering::Release);
    }

    /// Something could not be made durable.
    pub(super) fn failed(&self, error: &StoreError) {
        *lock(&self.failed) = Some(error.again());
    }

    /// Something was made durable.
    pub(super) fn succeeded(&self) {
        *lock(&self.failed) = None;
    }

    /// Whether the last attempt failed.
    pub(super) fn has_failed(&self) -> bool {
        lock(&self.failed).is_some()
    }

    /// Why nothing becomes durable now.
    pub(super) fn check(&self, now_ms: u64) -> Result<(), StoreError> {
        if let Some(error) = &*lock(&self.failed) {
            return Err(error.again());
        }
        match self.busy_since.load(Ordering::Acquire) {
            0 => Ok(()),
            since => {
                let busy_ms = now_ms.saturating_sub(since - 1);
                match busy_ms > ANSWER_MS_MAX {
                    true => Err(StoreError::Stalled(busy_ms / 1000)),
                    false => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stays_until_a_success_and_a_disk_that_hangs_is_told() {
        let health = Health::default();
        health.failed(&StoreError::DiskFull);
        assert!(matches!(health.check(0), Err(StoreError::DiskFull)));
        health.succeeded();
        health.begin(5);
        assert!(health.check(5 + ANSWER_MS_MAX).is_ok());
        let late = health.check(6 + ANSWER_MS_MAX);
        assert!(matches!(late, Err(StoreError::Stalled(10))));
        health.end();
        assert!(health.check(u64::MAX).is_ok());
    }
}

//! The memory that all fragments under way may take together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::lock::lock;

/// Open fragments and those on their way to the disk, of all sessions. It holds 20 fragments of
/// the greatest size, or 1000 of an ordinary camera's.
pub(crate) const OPEN_BYTES_MAX: u64 = 1 << 30;

/// Who has how much. Over the bound the largest fragment is given up, so that one greedy session
/// costs the others nothing.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_max: u64,
    shares: Mutex<Shares>,
}

#[derive(Debug, Default)]
struct Shares {
    next_id: u64,
    bytes: u64,
    by_id: HashMap<u64, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    bytes: u64,
    /// On its way to the disk: its memory comes back by itself, and it is not given up.
    complete: bool,
    given_up: bool,
    notify: Arc<Notify>,
}

impl Budget {
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            shares: Mutex::default(),
        })
    }

    /// The share of a fragment that begins.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        let mut shares = self.lock();
        let id = shares.next_id;
        shares.next_id += 1;
        let entry = Entry::default();
        let notify = Arc::clone(&entry.notify);
        shares.by_id.insert(id, entry);
        Share {
            budget: Arc::clone(self),
            id,
            notify,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        lock(&self.shares)
    }
}

/// What one fragment takes; dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    id: u64,
    notify: Arc<Notify>,
}

impl Share {
    /// It grew by that much.
    pub(crate) fn grow(&self, bytes: u64) {
        self.change(|held| held + bytes);
    }

    /// It has that much now.
    pub(crate) fn set(&self, bytes: u64) {
        self.change(|_| bytes);
    }

    fn change(&self, change: impl FnOnce(u64) -> u64) {
        let mut shares = self.budget.lock();
        let Some(entry) = shares.by_id.get_mut(&self.id) else {
            return;
        };
        let before = entry.bytes;
        entry.bytes = change(before);
        let after = entry.bytes;
        shares.bytes = shares.bytes - before + after;
        if after > before && shares.bytes > self.budget.bytes_max {
            shares.give_up_largest();
        }
    }

    /// The fragment is whole: from here on it is stored, not given up.
    pub(crate) fn complete(&self) {
        if let Some(entry) = self.budget.lock().by_id.get_mut(&self.id) {
            entry.complete = true;
        }
    }

    /// Resolves once this fragment is to be given up.
    pub(crate) async fn given_up(&self) {
        self.notify.notified().await;
    }
}

impl Shares {
    /// One at a time: what it held comes back before another is chosen.
    fn give_up_largest(&mut self) {
        let mut open = self.by_id.values().filter(|entry| !entry.complete);
        if open.any(|entry| entry.given_up) {
            return;
        }
        let open = self.by_id.values_mut().filter(|entry| !entry.complete);
        if let Some(largest) = open.max_by_key(|entry| entry.bytes) {
            largest.given_up = true;
            largest.notify.notify_one();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.budget.lock();
        if let Some(entry) = shares.by_id.remove(&self.id) {
            shares.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn over_the_bound_the_largest_is_given_up_and_room_comes_back() {
        let budget = Budget::new(100);
        let (small, large) = (budget.share(), budget.share());
        large.grow(60);
        small.grow(40);
        assert!(pin!(large.given_up()).now_or_never().is_none());
        small.grow(1);
        assert!(pin!(small.given_up()).now_or_never().is_none());
        assert!(pin!(large.given_up()).now_or_never().is_some());
        large.set(0);
        drop(large);
        small.grow(59);
        assert!(pin!(small.given_up()).now_or_never().is_none());
        small.grow(1);
        assert!(pin!(small.given_up()).now_or_never().is_some());
    }

    #[test]
    fn what_is_being_stored_is_not_given_up_and_shields_no_other() {
        let budget = Budget::new(100);
        let (stored, open) = (budget.share(), budget.share());
        stored.grow(90);
        stored.complete();
        open.grow(11);
        assert!(pin!(stored.given_up()).now_or_never().is_none());
        assert!(pin!(open.given_up()).now_or_never().is_some());
    }
}

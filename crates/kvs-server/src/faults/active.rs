//! A fault that has been added: how often it had its chance, how often it fired, whether it ended.

use std::sync::Mutex;

use tokio::sync::watch;

use super::fault::Fault;
use super::when::{Counts, Trigger};
use crate::lock::lock;
use crate::stopping::turned_true;

/// The fault with its state.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) id: u64,
    pub(super) fault: Fault,
    trigger: Mutex<Trigger>,
    cleared: watch::Sender<bool>,
}

impl Active {
    pub(super) fn new(id: u64, fault: Fault) -> Self {
        Self {
            id,
            trigger: Mutex::new(Trigger::new(&fault.when)),
            fault,
            cleared: watch::Sender::new(false),
        }
    }

    /// Whether it fires at this occasion.
    pub(super) fn fires(&self) -> bool {
        let fires = lock(&self.trigger).occasion(&self.fault.when);
        if fires {
            tracing::debug!(id = self.id, what = ?self.fault.what, "a fault fires");
        }
        fires
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.trigger).counts()
    }

    /// It is over, for what it holds up too.
    pub(super) fn clear(&self) {
        self.cleared.send_replace(true);
    }

    /// Waits until it is cleared.
    pub(super) async fn cleared(&self) {
        turned_true(&mut self.cleared.subscribe()).await;
    }

    pub(super) fn is_cleared(&self) -> bool {
        *self.cleared.borrow()
    }
}

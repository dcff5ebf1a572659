//! Faults on purpose: what a server with `--enable-faults` does wrong when it is told to.
//!
//! A fault says what happens (`What`), where (`Scope`) and when (`When`). Each place that can
//! go wrong asks the set, [`Faults`], which of its faults fire: the router, a connection, the acks
//! of a session, the disk and the clock. A server without the flag has no set and asks nobody.

pub(crate) mod acks;
mod active;
mod answer;
pub(crate) mod clock;
pub(crate) mod disk;
mod fault;
pub(crate) mod page;
pub(crate) mod requests;
mod scope;
mod shape;
mod what;
mod when;
pub(crate) mod wire;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use active::Active;
use fault::Fault;
use what::What;

use crate::lock::{read, write};

/// Faults at once. Each place asks all of them at every step, and a test needs a handful.
const FAULTS_MAX: usize = 64;

/// All faults of a server; clones are the same set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Set>);

#[derive(Debug, Default)]
struct Set {
    /// In the order of their ids.
    active: RwLock<Vec<Arc<Active>>>,
    last_id: AtomicU64,
}

/// There are as many faults as there may be.
#[derive(Debug, thiserror::Error)]
#[error("there are {FAULTS_MAX} faults already; clear some first")]
pub(crate) struct TooMany;

impl Faults {
    /// Adds a fault and gives its id, which is never used again.
    fn add(&self, fault: Fault) -> Result<u64, TooMany> {
        let mut active = write(&self.0.active);
        if active.len() >= FAULTS_MAX {
            return Err(TooMany);
        }
        let id = self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let fault = Active::new(id, fault);
        if matches!(fault.fault.what, What::ClockStep { .. }) {
            // Its one occasion.
            fault.fires();
        }
        active.push(Arc::new(fault));
        Ok(id)
    }

    /// All faults, fired out or not, in the order of their ids.
    fn list(&self) -> Vec<Arc<Active>> {
        read(&self.0.active).clone()
    }

    /// Ends the faults that are meant; says how many.
    fn clear(&self, meant: impl Fn(&Active) -> bool) -> usize {
        let mut active = write(&self.0.active);
        let before = active.len();
        active.retain(|fault| {
            let ends = meant(fault);
            if ends {
                fault.clear();
            }
            !ends
        });
        before - active.len()
    }

    /// Whether a fault is of that kind, whether it fires or not.
    fn any(&self, is_meant: impl Fn(&Fault) -> bool) -> bool {
        read(&self.0.active)
            .iter()
            .any(|active| is_meant(&active.fault))
    }

    /// Here is an occasion for the faults that are meant: those that fire at it.
    fn fired(&self, is_meant: impl Fn(&Fault) -> bool) -> Vec<Arc<Active>> {
        let active = read(&self.0.active);
        let meant = active.iter().filter(|active| is_meant(&active.fault));
        meant.filter(|active| active.fires()).cloned().collect()
    }

    /// Whether a new connection is refused.
    pub(crate) fn refuse(&self) -> bool {
        !self.fired(|fault| fault.what == What::Refuse {}).is_empty()
    }
}

/// Where the server that it belongs to ends, what a fault holds up goes on: a stop is as quick as
/// without faults.
#[derive(Debug)]
pub(crate) struct LetGo(pub(crate) Faults);

impl Drop for LetGo {
    fn drop(&mut self) {
        self.0.list().iter().for_each(|active| active.clear());
    }
}

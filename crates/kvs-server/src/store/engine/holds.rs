//! Holds: while a backup copies, no room is given back, so what it copies stays where it is.

use std::sync::{Arc, Condvar, Mutex};

use crate::lock::lock;

/// Who holds, and whether the reclaimer is at work.
#[derive(Debug, Default)]
pub(in crate::store) struct Holds {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    holds: u32,
    /// Counts how often all holds were broken: an older one is none any more.
    broken: u64,
    reclaiming: bool,
    closed: bool,
}

/// Until it is dropped, or broken, nothing is punched or unlinked.
#[derive(Debug)]
pub(in crate::store) struct Hold {
    holds: Arc<Holds>,
    broken: u64,
}

/// The reclaimer is at work until this is dropped.
pub(super) struct Reclaiming<'a>(&'a Holds);

impl Holds {
    /// Waits for what the reclaimer is doing, and holds it from then on.
    pub(in crate::store) fn hold(self: &Arc<Self>) -> Hold {
        let mut state = lock(&self.state);
        state.holds += 1;
        let broken = state.broken;
        while state.reclaiming {
            state = wait(&self.changed, state);
        }
        drop(state);
        Hold {
            holds: Arc::clone(self),
            broken,
        }
    }

    /// For the reclaimer: waits until nobody holds it; `None` when the store closes, as the next
    /// start goes on with what is left.
    pub(super) fn reclaim(&self) -> Option<Reclaiming<'_>> {
        let mut state = lock(&self.state);
        while state.holds > 0 && !state.closed {
            state = wait(&self.changed, state);
        }
        if state.closed {
            return None;
        }
        state.reclaiming = true;
        Some(Reclaiming(self))
    }

    /// Ends all holds: the room is needed.
    pub(super) fn break_all(&self) {
        let mut state = lock(&self.state);
        if state.holds > 0 {
            state.holds = 0;
            state.broken += 1;
            self.changed.notify_all();
        }
    }

    /// The same for ever: the store closes.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.break_all();
    }
}

impl Hold {
    /// Whether nothing was given back since it began.
    pub(in crate::store) fn is_unbroken(&self) -> bool {
        lock(&self.holds.state).broken == self.broken
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = lock(&self.holds.state);
        if state.broken == self.broken {
            state.holds -= 1;
            self.holds.changed.notify_all();
        }
    }
}

impl Drop for Reclaiming<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).reclaiming = false;
        self.0.changed.notify_all();
    }
}

fn wait<'a>(
    changed: &Condvar,
    state: std::sync::MutexGuard<'a, State>,
) -> std::sync::MutexGuard<'a, State> {
    let waited = changed.wait(state);
    waited.unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reclaimer_waits_for_every_hold_and_goes_on_when_they_are_broken() {
        let holds = Arc::new(Holds::default());
        let (first, second) = (holds.hold(), holds.hold());
        let reclaimer = {
            let holds = Arc::clone(&holds);
            std::thread::spawn(move || drop(holds.reclaim()))
        };
        drop(first);
        assert!(!lock(&holds.state).reclaiming && second.is_unbroken());
        holds.break_all();
        reclaimer.join().expect("it goes on");
        assert!(!second.is_unbroken());
        drop(second);
        // One that begins later is as good as any, and a store that closes waits for none.
        let third = holds.hold();
        assert!(third.is_unbroken());
        holds.close();
        assert!(holds.reclaim().is_none());
        assert!(!third.is_unbroken());
    }
}

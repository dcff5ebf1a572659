//! A wall clock that is stepped on purpose.

use std::sync::Arc;

use super::Faults;
use super::active::Active;
use super::what::What;
use crate::clock::Clock;

/// Another clock, as far off as the faults say.
#[derive(Debug)]
pub(crate) struct FaultClock {
    clock: Arc<dyn Clock>,
    faults: Faults,
}

impl FaultClock {
    pub(crate) fn new(clock: Arc<dyn Clock>, faults: Faults) -> Self {
        Self { clock, faults }
    }
}

impl Clock for FaultClock {
    fn now_ms(&self) -> u64 {
        let steps = self.faults.list();
        let by_ms = steps.iter().map(|active| match active.fault.what {
            What::ClockStep { by_ms } => by_ms,
            _ => 0,
        });
        // Sixty-four times a hundred years are far from the end of the numbers.
        self.clock.now_ms().saturating_add_signed(by_ms.sum())
    }

    fn monotonic_ms(&self) -> u64 {
        self.clock.monotonic_ms()
    }

    fn synchronized(&self) -> bool {
        let faults = self.faults.list();
        let stepped = |active: &Arc<Active>| matches!(active.fault.what, What::ClockStep { .. });
        // As the kernel says of a clock that somebody sets.
        self.clock.synchronized() && !faults.iter().any(stepped)
    }
}

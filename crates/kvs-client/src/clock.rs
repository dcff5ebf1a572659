//! The clocks of this machine; everything else is told the time.

use std::time::SystemTime;

use tokio::time::Instant;

/// The monotonic clock, for time-outs, back-off and caches. Tests can pause it.
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// Wall time, for the expiry of credentials.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

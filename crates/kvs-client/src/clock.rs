//! The clocks of this machine; everything else is told the time.

use std::time::SystemTime;

use kvs_protocol::Timestamp;
use tokio::time::Instant;

/// The monotonic clock, for time-outs, back-off and caches. Tests can pause it.
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// Wall time, for signatures and the expiry of credentials.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Wall time in milliseconds, as the service counts it.
pub(crate) fn wall_ms() -> Timestamp {
    timestamp(wall())
}

/// A wall time as the service counts it; 1970 if it is earlier.
pub(crate) fn timestamp(wall: SystemTime) -> Timestamp {
    let since_1970 = wall.duration_since(SystemTime::UNIX_EPOCH);
    let ms = since_1970.unwrap_or_default().as_millis();
    Timestamp::from_ms(ms.try_into().unwrap_or(u64::MAX))
}

//! Requests as they are sent: signatures that hold, and that hold no longer.

mod captured;
mod recorded;
mod tampered;

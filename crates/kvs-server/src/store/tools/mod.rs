//! What works on a whole data folder: looks at it, copies it, makes parts of it again.

pub(super) mod backup;
pub(super) mod check;
mod copy;
mod dump;
mod progress;
mod rebuild;

pub(crate) use backup::SOCKET_FILE as BACKUP_SOCKET_FILE;
pub use backup::{BackedUp, backup, backup_on};
pub use check::{Checked, Invariant, Violation, check};
pub use progress::Progress;
pub use rebuild::{Rebuilt, rebuild_index, rebuild_index_on};

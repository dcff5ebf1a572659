//! The index knows its master key again, so that a wrong one is never taken for damaged files.

use super::error::StoreError;
use super::keys;
use super::state::Shared;

/// Refuses a master key that is not this folder's. One of an earlier version does not know it yet.
pub(super) fn check(shared: &Shared) -> Result<(), StoreError> {
    match shared.snapshot()?.master_key_mark()? {
        Some(mark) if mark != shared.folder.master.mark() => Err(wrong()),
        _ => Ok(()),
    }
}

/// Remembers the master key of a folder of an earlier version, where it opens a stream's key or
/// there is none. Where it opens none of some, it is not known to be the right one.
pub(super) fn remember(shared: &Shared) -> Result<(), StoreError> {
    if shared.snapshot()?.master_key_mark()?.is_some() {
        return Ok(());
    }
    let (streams, broken) = (shared.streams().len(), shared.key_errors().len());
    if streams > 0 && broken == streams {
        // Keys that are all missing say nothing of the one that wrapped them.
        let none = keys::names(shared.disk.as_ref())?.is_empty();
        return if none { Ok(()) } else { Err(wrong()) };
    }
    let mark = shared.folder.master.mark();
    shared.with_index(|index| index.change(true, |changes| changes.set_master_key_mark(mark)))
}

fn wrong() -> StoreError {
    let what = "the master key is not the one that this data folder's keys were made with";
    StoreError::Key(format!("{what}: give the right one with --master-key"))
}

//! The index knows its master key again, so that a wrong one is never taken for damaged files.

use super::keys;
use crate::store::error::StoreError;
use crate::store::state::Shared;

/// Refuses a master key that is not this folder's. One of an earlier version does not know it yet.
pub(in crate::store) fn check(shared: &Shared) -> Result<(), StoreError> {
    match shared.snapshot()?.master_key_mark()? {
        Some(mark) if mark != shared.folder.master.mark() => Err(wrong()),
        _ => Ok(()),
    }
}

/// Remembers the master key of a folder of an earlier version, where it opens a stream's key or
/// there is none. Where it opens none of some, it is not known to be the right one.
pub(in crate::store) fn remember(shared: &Shared) -> Result<(), StoreError> {
    if shared.snapshot()?.master_key_mark()?.is_some() || !check_opens(shared)? {
        return Ok(());
    }
    let mark = shared.folder.master.mark();
    shared.with_index(|index| index.change(true, |changes| changes.set_master_key_mark(mark)))
}

/// Whether the master key opens a stream's key, or there is no stream; an error where it opens none
/// of the keys that are there.
pub(in crate::store) fn check_opens(shared: &Shared) -> Result<bool, StoreError> {
    let (streams, broken) = (shared.streams().len(), shared.key_errors().len());
    if streams > 0 && broken == streams {
        // Keys that are all missing say nothing of the one that wrapped them.
        let none = keys::names(shared.disk.as_ref())?.is_empty();
        return if none { Ok(false) } else { Err(wrong()) };
    }
    Ok(true)
}

fn wrong() -> StoreError {
    let what = "the master key is not the one that this data folder's keys were made with (after a \
                rotation that is the new one)";
    StoreError::Key(format!("{what}: give the right one with --master-key"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SimulatedClock;
    use crate::store::disk::{Disk, MemoryDisk};
    use crate::store::random::SeededRandom;
    use crate::store::stream::NewStream;
    use crate::store::{Store, StoreConfig};

    const KEY: &str = "keys/00000001";

    fn open(disk: &Arc<MemoryDisk>) -> Result<Store, StoreError> {
        let clock = Arc::new(SimulatedClock::new(0));
        let random = Arc::new(SeededRandom::new(1));
        Store::open_on(&StoreConfig::in_memory(), disk.clone(), clock, random)
    }

    fn forget(store: &Store) {
        let shared = &store.0.shared;
        shared
            .with_index(|index| {
                index.change(true, |changes| {
                    changes.forget_master_key()?;
                    Ok(())
                })
            })
            .expect("the index works");
    }

    #[test]
    fn a_folder_of_an_earlier_version_learns_its_master_key_from_one_that_opens() {
        let disk = Arc::new(MemoryDisk::new());
        let store = open(&disk).expect("it is new");
        let new = NewStream::named(
            "cam".parse().expect("it is a name"),
            "first".parse().expect("it is a version"),
            1,
        );
        store.create_stream(new).expect("it is new");
        let mark = |store: &Store| {
            let snapshot = store.0.shared.snapshot().expect("the index works");
            snapshot.master_key_mark().expect("the index works")
        };
        let known = mark(&store);
        forget(&store);
        drop(store);
        let store = open(&disk).expect("its key opens");
        assert!(known.is_some() && mark(&store) == known);

        // No key opens: it may be the master key that is wrong.
        forget(&store);
        drop(store);
        let key = disk.open(KEY).expect("it is there");
        key.write_at(40, &[0; 8]).expect("there is room");
        let refused = open(&disk).expect_err("no key opens").to_string();
        assert!(refused.contains("--master-key"), "{refused}");
        disk.unlink(KEY)
            .expect("a refused start takes nothing away");
        let store = open(&disk).expect("nothing speaks against it");
        assert_eq!((mark(&store), store.key_errors().len()), (None, 1));
    }
}

//! Rotating the master key: whenever the power is cut, one of the two keys opens the folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvs_server::store::disk::Disk;
use kvs_server::store::disk::simulated::{Fault, SimulatedDisk};
use kvs_server::store::random::SeededRandom;
use kvs_server::store::{Rotated, Store, StoreConfig, StoreError, rotate_key_on};

use crate::fixtures::{Persisted, append, clock, create};

const DATA: &str = "data";

fn open(disk: &SimulatedDisk, master_key: Option<&Path>) -> Result<Store, StoreError> {
    let config = StoreConfig {
        master_key: master_key.map(Path::to_owned),
        ..StoreConfig::in_memory()
    };
    let random = Arc::new(SeededRandom::new(1 + disk.calls()));
    Store::open_on(&config, Arc::new(disk.clone()), clock(), random)
}

fn rotate(
    disk: &SimulatedDisk,
    old: Option<&Path>,
    new: Option<&Path>,
) -> Result<Rotated, StoreError> {
    let random = Arc::new(SeededRandom::new(1 + disk.calls()));
    let disk = Arc::new(disk.clone());
    rotate_key_on(disk, (Path::new(DATA), old), new, clock(), random)
}

/// Two files with master keys.
fn key_files() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, hex: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, hex.repeat(32)).expect("writable");
        path
    };
    let (old, new) = (file("old", "0a"), file("new", "0b"));
    (folder, old, new)
}

fn used(seed: u64, master_key: Option<&Path>) -> (SimulatedDisk, Vec<Persisted>) {
    let disk = SimulatedDisk::new(seed);
    let store = open(&disk, master_key).expect("it is new");
    let streams = ["cam", "door", "gate"].map(|name| create(&store, name));
    let persisted = streams.map(|stream| append(&store, stream, 5000).expect("there is room"));
    drop(store);
    (disk, persisted.into())
}

/// The bytes of every key's file.
fn secrets(disk: &SimulatedDisk) -> Vec<Vec<u8>> {
    let files = disk.contents().into_iter();
    let keys = files.filter(|(name, _)| name.starts_with("keys/") || name == "master.key");
    keys.map(|(_, bytes)| bytes).collect()
}

fn occurs(disk: &SimulatedDisk, secret: &[u8]) -> bool {
    // Any part of it would be too much; a wrapped key is no use without its end.
    let part = &secret[secret.len() - 32..];
    let platters = disk.platters();
    platters
        .iter()
        .any(|file| file.windows(part.len()).any(|window| window == part))
}

#[test]
fn one_of_the_two_keys_opens_the_folder_whenever_the_power_is_cut() {
    let every = std::env::var_os("KVS_LONG_TESTS").map_or(3, |_| 1);
    let (_folder, old, new) = key_files();
    let (old, new) = (Some(old.as_path()), Some(new.as_path()));
    for (from, to) in [(None, None), (None, new), (old, new)] {
        let mut openings = [0; 2];
        for after in (1..).step_by(every) {
            let (disk, persisted) = used(after, from);
            disk.fault_after(after, Fault::PowerCut);
            let done = rotate(&disk, from, to).is_ok_and(|rotated| rotated.unfinished.is_none());
            let disk = disk.power_cut();
            // Where both lie in the data folder there is one way to ask.
            let (by_old, by_new) = match open(&disk, to) {
                Ok(store) => (None, Some(store)),
                Err(_) => (open(&disk, from).ok(), None),
            };
            assert!(
                by_new.is_some() || !done,
                "after {after}: the new one is in force"
            );
            openings[usize::from(by_new.is_some())] += 1;
            let store = by_new.or(by_old).expect("one of the two opens it");
            assert_eq!(store.check(true).expect("it can be checked"), []);
            persisted.iter().for_each(|one| one.is_in(&store));
            let left = disk.list("keys").expect("the disk works");
            assert_eq!(left, ["00000001", "00000002", "00000003"]);
            if done {
                break;
            }
        }
        assert!(
            from == to || openings.iter().all(|count| *count > 0),
            "{openings:?}"
        );
    }
}

#[test]
fn nothing_of_the_old_keys_is_left() {
    let (_folder, old, new) = key_files();
    let (old, new) = (Some(old.as_path()), Some(new.as_path()));
    for (from, to) in [(None, None), (None, new), (old, new)] {
        let (disk, persisted) = used(1, from);
        let before = secrets(&disk);
        assert!(
            before.iter().all(|secret| occurs(&disk, secret)),
            "they are looked for well"
        );
        let rotated = rotate(&disk, from, to).expect("nobody uses it");
        assert_eq!((rotated.streams, rotated.unfinished.is_none()), (3, true));
        let now = disk.power_cut();
        for secret in &before {
            assert!(!occurs(&now, secret), "{from:?} to {to:?}");
        }
        if from != to {
            let refused = open(&now, from).expect_err("it is the old one").to_string();
            assert!(refused.contains("--master-key"), "{refused}");
        }
        let store = open(&now, to).expect("it is the new one");
        persisted.iter().for_each(|one| one.is_in(&store));
    }
}

#[test]
fn a_rotation_that_would_lose_a_key_is_refused() {
    let (folder, old, new) = key_files();
    let (old, new) = (Some(old.as_path()), Some(new.as_path()));
    let (disk, _) = used(1, old);
    let refused = |from, to| {
        let refused = rotate(&disk, from, to).expect_err("it is refused");
        refused.to_string()
    };
    assert!(refused(old, None).contains("--new-master-key"));
    assert!(refused(old, old).contains("has already"));
    let other = folder.path().join("other");
    std::fs::write(&other, "0c".repeat(32)).expect("writable");
    assert!(refused(new, Some(other.as_path())).contains("is not the one"));
    disk.unlink("keys/00000002").expect("it is there");
    assert!(refused(old, new).contains("keys/00000002 is missing"));
    open(&disk, old).expect("nothing was changed");
}

//! A folder that keeps only what was synced, and fails on demand.
//!
//! Until its file is synced, any length of what was written may reach the disk, or zeros in its
//! place. Until the folder is synced, each new, changed or removed name may reach it or not, in any
//! combination. [`SimulatedFolder::power_cut`] draws from a seed what did.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::files::{Folder, Output};

/// Numbers from a seed (SplitMix64).
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// What happens at the call of a certain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The power goes: this call and all later ones fail.
    PowerCut,
    /// This call alone fails.
    Error,
}

/// Which syncs do nothing, to see that a test notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Skips {
    #[default]
    Nothing,
    Files,
    Folder,
}

/// The folder; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct SimulatedFolder(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How many calls until the fault.
    fault: Option<(u64, Fault)>,
    dead: bool,
    skips: Skips,
    files: Vec<Content>,
    /// Names as the running system sees them.
    names: BTreeMap<String, usize>,
    /// Names as they are on the disk.
    durable_names: BTreeMap<String, usize>,
    /// Changes of names that no sync has made durable.
    pending: Vec<Change>,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced_bytes: usize,
}

/// Names that come or go together.
type Change = Vec<(String, Option<usize>)>;

fn apply(change: &Change, names: &mut BTreeMap<String, usize>) {
    for (name, file) in change {
        match file {
            Some(file) => names.insert(name.clone(), *file),
            None => names.remove(name),
        };
    }
}

impl State {
    fn call(&mut self) -> io::Result<()> {
        let due = match &mut self.fault {
            Some((0, fault)) => Some(*fault),
            Some((calls, _)) => {
                *calls -= 1;
                None
            }
            None => None,
        };
        if due.is_some() {
            self.fault = None;
        }
        self.dead |= due == Some(Fault::PowerCut);
        match self.dead || due.is_some() {
            true => Err(io::Error::other("simulated fault")),
            false => Ok(()),
        }
    }

    fn change(&mut self, change: Change) {
        apply(&change, &mut self.names);
        self.pending.push(change);
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        Ok(*self.names.get(name).ok_or(io::ErrorKind::NotFound)?)
    }
}

impl SimulatedFolder {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn skip(&self, skips: Skips) {
        self.state().skips = skips;
    }

    /// Lets something happen after `calls` further calls.
    pub(super) fn fault_after(&self, calls: u64, fault: Fault) {
        self.state().fault = Some((calls, fault));
    }

    /// The names as the running system sees them.
    pub(super) fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// The power goes and comes back: some of what was not synced is lost.
    pub(super) fn power_cut(&self, random: &mut Random) {
        let mut guard = self.state();
        let state = &mut *guard;
        for change in state.pending.drain(..) {
            if random.one_in(2) {
                apply(&change, &mut state.durable_names);
            }
        }
        for file in &mut state.files {
            let unsynced = file.bytes.len() - file.synced_bytes;
            let kept = file.synced_bytes + random.below(unsynced as u64 + 1) as usize;
            match random.one_in(2) {
                // Its length reached the disk, but not all of its bytes.
                true => file.bytes[kept..].fill(0),
                false => file.bytes.truncate(kept),
            }
            file.synced_bytes = file.bytes.len();
        }
        state.names = state.durable_names.clone();
        (state.dead, state.fault) = (false, None);
    }
}

impl Folder for SimulatedFolder {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut state = self.state();
        state.call()?;
        let bytes = |file: usize| state.files[file].bytes.len() as u64;
        let files = state.names.iter();
        Ok(files
            .map(|(name, file)| (name.clone(), bytes(*file)))
            .collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Output>> {
        let mut state = self.state();
        state.call()?;
        let file = state.files.len();
        state.files.push(Content::default());
        state.change(vec![(name.to_owned(), Some(file))]);
        let folder = self.clone();
        Ok(Box::new(SimulatedFile { folder, file }))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        state.call()?;
        let file = state.file(name)?;
        Ok(state.files[file].bytes.clone())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let file = state.file(from)?;
        state.change(vec![(from.to_owned(), None), (to.to_owned(), Some(file))]);
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        state.file(name)?;
        state.change(vec![(name.to_owned(), None)]);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        if state.skips != Skips::Folder {
            state.durable_names = state.names.clone();
            state.pending.clear();
        }
        Ok(())
    }
}

struct SimulatedFile {
    folder: SimulatedFolder,
    file: usize,
}

impl Output for SimulatedFile {
    fn write(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        let mut state = self.folder.state();
        let called = state.call();
        let content = &mut state.files[self.file].bytes;
        // A call that fails has written something all the same.
        let written = if called.is_ok() {
            pieces.len()
        } else {
            pieces.len() / 2
        };
        for piece in &pieces[..written] {
            content.extend_from_slice(piece);
        }
        called
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.folder.state();
        state.call()?;
        if state.skips != Skips::Files {
            let content = &mut state.files[self.file];
            content.synced_bytes = content.bytes.len();
        }
        Ok(())
    }
}

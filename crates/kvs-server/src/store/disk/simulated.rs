//! A disk for tests that keeps only what was synced, and fails on demand.
//!
//! Between two `sync_data` of a file each 512-byte sector that was written may reach the disk or
//! not, in any order; so may a change of its length, and, until `sync_dir`, each new, changed or
//! removed name. [`SimulatedDisk::power_cut`] draws from a seed what did. A failed `sync_data`
//! forgets what was pending as real kernels do: a later success does not bring it back.

mod file_state;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use self::file_state::{Change, FileState};
use super::sparse::SparseBytes;
use super::{Disk, DiskFile, DiskLock};
use crate::lock::lock;
use crate::store::random::SeededRandom;

type FileId = usize;

/// What happens at the call of a certain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power is cut just before: this call and all later ones fail.
    PowerCut,
    /// This call alone fails, whatever it is.
    Error,
    /// The next `sync_data` at or after this call fails.
    SyncError,
}

/// Which syncs do nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// One of a file or folder: after so many more of it.
    One(String, usize),
    /// All of a file or folder.
    All(String),
}

/// The disk; clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: SeededRandom,
    calls: u64,
    fault: Option<(u64, Fault)>,
    dead: bool,
    /// What was synced, in order; folders end with a slash.
    syncs: Vec<String>,
    /// The power goes just before the sync that would be this one of those.
    cut_at_sync: Option<usize>,
    skipped: Option<Skip>,
    /// What it holds in all.
    capacity_bytes: u64,
    locked: bool,
    files: Vec<FileState>,
    /// Names as the running system sees them.
    names: BTreeMap<String, FileId>,
    /// Names as they are on the disk.
    durable_names: BTreeMap<String, FileId>,
    /// Changes of names that no `sync_dir` has made durable.
    pending_names: Vec<NameChange>,
}

#[derive(Clone, Debug)]
struct NameChange {
    /// The names that come or go together.
    names: Vec<(String, Option<FileId>)>,
}

fn rename_all(names: &mut BTreeMap<String, FileId>, change: &NameChange) {
    for (name, id) in &change.names {
        match id {
            Some(id) => names.insert(name.clone(), *id),
            None => names.remove(name),
        };
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl State {
    fn empty() -> Self {
        Self {
            random: SeededRandom::new(0),
            calls: 0,
            fault: None,
            dead: false,
            syncs: Vec::new(),
            cut_at_sync: None,
            skipped: None,
            capacity_bytes: u64::MAX,
            locked: false,
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
        }
    }

    /// Counts a call; the error that it is to meet.
    fn call(&mut self, sync: bool) -> io::Result<()> {
        self.calls += 1;
        let fault = self
            .fault
            .filter(|(at, _)| *at <= self.calls)
            .map(|(_, fault)| fault);
        let fails = match fault {
            Some(Fault::PowerCut) => {
                self.dead = true;
                true
            }
            Some(Fault::Error) => true,
            Some(Fault::SyncError) => sync,
            None => false,
        };
        if fails && !self.dead {
            self.fault = None;
        }
        if fails || self.dead {
            return Err(io::Error::other("simulated fault"));
        }
        Ok(())
    }

    /// Counts a call that syncs, a file or a folder.
    fn sync_call(&mut self, file: bool) -> io::Result<()> {
        self.dead |= self.cut_at_sync == Some(self.syncs.len());
        self.call(file)
    }

    /// Notes a sync; whether it is one that does nothing.
    fn skips_sync(&mut self, path: String) -> bool {
        let skips = match &mut self.skipped {
            Some(Skip::One(of, after)) if *of == path => {
                let skips = *after == 0;
                *after = after.wrapping_sub(1);
                skips
            }
            Some(Skip::All(of)) => *of == path,
            _ => false,
        };
        self.syncs.push(path);
        skips
    }

    fn used_bytes(&self) -> u64 {
        let files = self.names.values().map(|id| &self.files[*id]);
        let bytes = |file: &FileState| file.visible.page_bytes().max(file.allocated_bytes);
        files.map(bytes).sum()
    }

    fn take_room(&self, bytes: u64) -> io::Result<()> {
        let full = bytes > 0 && bytes > self.capacity_bytes.saturating_sub(self.used_bytes());
        match full {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn rename(&mut self, change: NameChange) {
        rename_all(&mut self.names, &change);
        self.pending_names.push(change);
    }

    fn id(&self, path: &str) -> io::Result<FileId> {
        Ok(*self.names.get(path).ok_or(io::ErrorKind::NotFound)?)
    }
}

impl SimulatedDisk {
    /// An empty disk whose losses this seed decides.
    pub fn new(seed: u64) -> Self {
        Self::with(State {
            random: SeededRandom::new(seed),
            ..State::empty()
        })
    }

    fn with(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// How many calls there have been.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Lets something happen `after` so many further calls.
    pub fn fault_after(&self, after: u64, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.calls + after, fault));
    }

    /// Lets the power go just before a sync, `after` so many further ones.
    pub fn cut_power_at_sync(&self, after: usize) {
        let mut state = self.state();
        state.cut_at_sync = Some(state.syncs.len() + after);
    }

    /// What has been synced, in order: the paths that the files were made under, and folders with a
    /// slash at their end.
    pub fn syncs(&self) -> Vec<String> {
        self.state().syncs.clone()
    }

    /// Lets syncs do nothing and say that they did: a store whose every sync is needed cannot
    /// survive this.
    pub fn skip_syncs(&self, skip: Skip) {
        self.state().skipped = Some(skip);
    }

    /// Leaves this much room; somebody else has taken the rest, or given it back.
    pub fn set_free_bytes(&self, bytes: u64) {
        let mut state = self.state();
        state.capacity_bytes = state.used_bytes().saturating_add(bytes);
    }

    /// Ends the process: every further call on this disk fails, and the disk that is returned has
    /// all that was written, synced or not.
    pub fn kill(&self) -> Self {
        let mut state = self.state();
        state.dead = true;
        let random = SeededRandom::new(state.random.next_u64());
        Self::with(State {
            random,
            capacity_bytes: state.capacity_bytes,
            files: state.files.clone(),
            durable_names: state.durable_names.clone(),
            names: state.names.clone(),
            pending_names: state.pending_names.clone(),
            ..State::empty()
        })
    }

    /// Cuts the power: as [`kill`](Self::kill), and of what was not synced only what had reached
    /// the platters is there.
    pub fn power_cut(&self) -> Self {
        let disk = self.kill();
        let mut guard = disk.state();
        let state = &mut *guard;
        for change in std::mem::take(&mut state.pending_names) {
            if state.random.below(2) == 0 {
                rename_all(&mut state.durable_names, &change);
            }
        }
        state.names = state.durable_names.clone();
        for file in &mut state.files {
            file.lose(&state.random);
            file.visible = file.durable.clone();
        }
        drop(guard);
        disk
    }

    /// Cuts a file, as a disk that lost its end would.
    pub fn cut_file(&self, path: &str, len: u64) {
        let mut state = self.state();
        let id = state.id(path).expect("the test names a file that exists");
        state.files[id].change(Change::SetLen(len));
        state.files[id].sync();
    }

    /// The bytes that the platters hold of every file that ever was, unlinked or not.
    pub fn platters(&self) -> Vec<Vec<u8>> {
        let state = self.state();
        let files = state.files.iter();
        files.map(|file| whole(&file.durable)).collect()
    }

    /// Every file with its bytes, for tests that look for what must not be there.
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.state();
        let names = state.names.iter();
        names
            .map(|(name, id)| (name.clone(), whole(&state.files[*id].visible)))
            .collect()
    }
}

fn whole(bytes: &SparseBytes) -> Vec<u8> {
    let mut whole = vec![0; bytes.len() as usize];
    bytes.read(0, &mut whole).expect("it is that long");
    whole
}

impl Disk for SimulatedDisk {
    fn create_dir(&self, _path: &str) -> io::Result<()> {
        self.state().call(false)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.call(false)?;
        let names = state.names.keys().filter(|name| folder_of(name) == path);
        let plain = |name: &String| name.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(names.map(plain).collect())
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.call(false)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.files.len();
        state.files.push(FileState {
            path: path.to_owned(),
            ..FileState::default()
        });
        state.rename(NameChange {
            names: vec![(path.to_owned(), Some(id))],
        });
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            id,
        }))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.call(false)?;
        let id = state.id(path)?;
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            id,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call(false)?;
        let id = state.id(from)?;
        let names = vec![(from.to_owned(), None), (to.to_owned(), Some(id))];
        state.rename(NameChange { names });
        Ok(())
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call(false)?;
        state.id(path)?;
        state.rename(NameChange {
            names: vec![(path.to_owned(), None)],
        });
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        state.sync_call(false)?;
        let path = path.trim_end_matches('/');
        if state.skips_sync(format!("{path}/")) {
            return Ok(());
        }
        let pending = std::mem::take(&mut state.pending_names);
        for change in pending {
            if folder_of(&change.names[0].0) == path {
                rename_all(&mut state.durable_names, &change);
            } else {
                state.pending_names.push(change);
            }
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let mut state = self.state();
        state.call(false)?;
        Ok(state.capacity_bytes.saturating_sub(state.used_bytes()))
    }

    fn lock(&self, _path: &str) -> io::Result<Option<Box<dyn DiskLock>>> {
        let mut state = self.state();
        state.call(false)?;
        let free = !std::mem::replace(&mut state.locked, true);
        Ok(free.then(|| Box::new(SimulatedLock(self.clone())) as Box<dyn DiskLock>))
    }
}

#[derive(Debug)]
struct SimulatedLock(SimulatedDisk);

impl DiskLock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.0.state().locked = false;
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    id: FileId,
}

impl std::fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimulatedFile({})", self.id)
    }
}

impl SimulatedFile {
    fn call<T>(&self, act: impl FnOnce(&mut FileState) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        state.call(false)?;
        Ok(act(&mut state.files[self.id]))
    }
}

impl DiskFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        self.call(|file| file.visible.len())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.call(|file| file.visible.read(offset, out))?
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.call(false)?;
        let missing = state.files[self.id]
            .visible
            .missing_bytes(offset, bytes.len() as u64);
        state.take_room(missing)?;
        let bytes = bytes.to_vec();
        state.files[self.id].change(Change::Write { offset, bytes });
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.call(false)?;
        state.take_room(len)?;
        let file = &mut state.files[self.id];
        file.allocated_bytes = len;
        file.change(Change::SetLen(len));
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.call(|file| file.change(Change::SetLen(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let state = &mut *state;
        let called = state.sync_call(true);
        let path = state.files[self.id].path.clone();
        let skipped = called.is_ok() && state.skips_sync(path);
        let file = &mut state.files[self.id];
        match called {
            Ok(()) if skipped => {}
            Ok(()) => file.sync(),
            Err(error) => {
                if !state.dead {
                    file.lose(&state.random);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        self.call(|file| file.change(Change::Punch { offset, len }))?;
        Ok(true)
    }
}

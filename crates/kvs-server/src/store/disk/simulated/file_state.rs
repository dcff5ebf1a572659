//! What a simulated file holds: as the running system sees it, and on the platters.

use super::super::sparse::SparseBytes;
use crate::store::random::SeededRandom;

/// What a disk writes at once or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct FileState {
    /// What it was called when it was made.
    pub(super) path: String,
    pub(super) visible: SparseBytes,
    pub(super) durable: SparseBytes,
    pub(super) pending: Vec<Change>,
    /// What was taken for it, written or not.
    pub(super) allocated_bytes: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Punch { offset: u64, len: u64 },
    SetLen(u64),
}

impl FileState {
    pub(super) fn change(&mut self, change: Change) {
        apply(&mut self.visible, &change);
        self.pending.push(change);
    }

    /// All that is pending reaches the disk; what an earlier failure lost stays lost.
    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, &change);
        }
    }

    /// Some of what is pending reaches the disk; the rest never will.
    pub(super) fn lose(&mut self, random: &SeededRandom) {
        // All, nothing and any mixture are each worth a third of the tries.
        let (keep_in, out_of) = [(1, 1), (0, 1), (1, 2)][random.below(3) as usize];
        for change in std::mem::take(&mut self.pending) {
            let keep = || random.below(out_of) < keep_in;
            let Change::Write { offset, bytes } = &change else {
                if keep() {
                    apply(&mut self.durable, &change);
                }
                continue;
            };
            let mut at = *offset;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let room = SECTOR_BYTES - (at as usize % SECTOR_BYTES);
                let (sector, tail) = rest.split_at(room.min(rest.len()));
                if keep() {
                    self.durable.write(at, sector);
                }
                at += sector.len() as u64;
                rest = tail;
            }
        }
    }
}

fn apply(bytes: &mut SparseBytes, change: &Change) {
    match change {
        Change::Write { offset, bytes: new } => bytes.write(*offset, new),
        Change::Punch { offset, len } => bytes.punch(*offset, *len),
        Change::SetLen(len) => bytes.set_len(*len),
    }
}

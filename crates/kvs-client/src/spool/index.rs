//! Which fragments the folder holds, and which session each of them belongs to.

use std::collections::{BTreeMap, BTreeSet};

use kvs_media::ProducerTime;

use super::name::FileName;

/// How many numbers a session has for itself: more fragments than it ever makes.
const SESSION_NUMBERS: u64 = 1 << 32;

/// What a session has when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// The number of its first own fragment; the others follow.
    pub(crate) first: u64,
    /// The fragments of earlier sessions, which are now its own, by number.
    pub(crate) found: Vec<Found>,
}

/// A fragment that an earlier session left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) number: u64,
    /// What its file takes.
    pub(crate) bytes: u64,
    /// How many frames it has, without repeats of data tracks.
    pub(crate) frames: u64,
    /// Of its cluster.
    pub(crate) start: ProducerTime,
    /// The greatest time of its frames.
    pub(crate) end: ProducerTime,
    /// Nobody has asked for it yet.
    pub(crate) held: bool,
}

/// A file that is whole and durable.
#[derive(Debug)]
struct Stored {
    name: FileName,
    bytes: u64,
    /// The session, living or not, that wrote it or found it last; `None` is one of an earlier
    /// process.
    session: Option<u64>,
}

/// All fragments, and all sessions that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Index {
    stored: BTreeMap<u64, Stored>,
    living: BTreeSet<u64>,
    /// The greatest number that was ever given away.
    last: u64,
}

impl Index {
    /// The index of a folder with these files and their sizes. Of two files with the same number
    /// one is not ours: it is left alone.
    pub(super) fn new(files: impl IntoIterator<Item = (FileName, u64)>) -> Self {
        let mut index = Self::default();
        for (name, bytes) in files {
            index.add(name, bytes, None);
        }
        index
    }

    pub(super) fn begin(&mut self) -> Beginning {
        let first = (self.last + 1).next_multiple_of(SESSION_NUMBERS);
        let mut found = Vec::new();
        for (&number, stored) in &mut self.stored {
            let owner = stored.session.filter(|owner| self.living.contains(owner));
            if owner.is_none() {
                stored.session = Some(first);
                found.push(Found {
                    number,
                    bytes: stored.bytes,
                    frames: stored.name.frames,
                    start: stored.name.start,
                    end: stored.name.end,
                    held: stored.name.held,
                });
            }
        }
        self.last = first;
        self.living.insert(first);
        Beginning { first, found }
    }

    pub(super) fn end(&mut self, first: u64) {
        self.living.remove(&first);
    }

    /// A session has written a fragment: the one whose range of numbers this is.
    pub(super) fn insert(&mut self, name: FileName, bytes: u64) {
        let session = name.number - name.number % SESSION_NUMBERS;
        self.add(name, bytes, Some(session));
    }

    fn add(&mut self, name: FileName, bytes: u64, session: Option<u64>) {
        self.last = self.last.max(name.number);
        self.stored.entry(name.number).or_insert(Stored {
            name,
            bytes,
            session,
        });
    }

    pub(super) fn name(&self, number: u64) -> Option<FileName> {
        self.stored.get(&number).map(|stored| stored.name)
    }

    /// The fragment has another name now.
    pub(super) fn rename(&mut self, name: FileName) {
        if let Some(stored) = self.stored.get_mut(&name.number) {
            stored.name = name;
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.stored.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> FileName {
        FileName {
            number,
            start: ProducerTime::from_ns(1),
            end: ProducerTime::from_ns(2),
            frames: 3,
            held: false,
            sealed: false,
        }
    }

    fn numbers(beginning: &Beginning) -> Vec<u64> {
        { beginning.found.iter() }
            .map(|found| found.number)
            .collect()
    }

    #[test]
    fn later_sessions_number_behind_earlier_ones() {
        let first = |index: &mut Index| index.begin().first / SESSION_NUMBERS;
        let mut index = Index::default();
        assert_eq!((first(&mut index), first(&mut index)), (1, 2));
        let mut index = Index::new([(name(7 * SESSION_NUMBERS + 4), 1)]);
        assert_eq!(first(&mut index), 8);
        index.insert(name(8 * SESSION_NUMBERS), 1);
        assert_eq!(first(&mut index), 9);
    }

    #[test]
    fn a_fragment_has_one_owner_while_its_session_lives() {
        let mut index = Index::new([(name(9), 90), (name(5), 50)]);
        let one = index.begin();
        assert_eq!(numbers(&one), [5, 9]);
        assert_eq!(one.found[1].bytes, 90);
        index.insert(name(one.first), 10);
        let two = index.begin();
        assert_eq!(numbers(&two), [0; 0]);
        index.insert(name(two.first), 10);
        index.remove(5);
        index.end(one.first);
        // The upload's last write may end after its session.
        index.insert(name(one.first + 1), 10);
        let three = index.begin();
        assert_eq!(numbers(&three), [9, one.first, one.first + 1]);
        index.end(two.first);
        assert_eq!(numbers(&index.begin()), [two.first]);
    }
}

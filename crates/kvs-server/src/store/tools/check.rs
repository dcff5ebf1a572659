//! Checks the invariants that `docs/store.md` numbers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use kvs_protocol::FragmentNumber;

use crate::clock::SystemClock;
use crate::store::Expiry;
use crate::store::Store;
use crate::store::StoreConfig;
use crate::store::engine::recovery;
use crate::store::error::StoreError;
use crate::store::folder;
use crate::store::folder::keys;
use crate::store::folder::stream_files;
use crate::store::index::damage;
use crate::store::index::{Row, Snapshot, Unproven, Used as Counted};
use crate::store::reader;
use crate::store::record::BLOCK_BYTES;
use crate::store::segments::{self, Place, Scan};
use crate::store::state::Shared;
use crate::store::stream::StreamId;

/// What must always be true. The numbers are those of `docs/store.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// Every row points at a complete record that authenticates.
    Whole = 1,
    /// What was persisted has its row, or recovery is bound to find it.
    Found = 2,
    /// What no row points at is garbage, and is accounted as such.
    Garbage = 3,
    /// A fragment number that anyone has seen is never given out again.
    Numbers = 4,
    /// Both orders hold the same fragments.
    Orders = 5,
    /// Every stream has its key, every key its stream.
    Keys = 6,
    /// Every row belongs to a stream, every stream has its file, and the next one gets a new id.
    Streams = 7,
}

/// An invariant that does not hold; shown as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// Where, and how.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let invariant = self.invariant;
        write!(
            f,
            "invariant {} ({invariant:?}): {}",
            invariant as u8, self.what
        )
    }
}

/// What a check has looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// The streams there are.
    pub streams: usize,
    /// Their fragments.
    pub fragments: usize,
    /// What is wrong; with none, all invariants hold as far as was looked.
    pub violations: Vec<Violation>,
}

struct Check<'a> {
    shared: &'a Shared,
    snapshot: Snapshot,
    full: bool,
    fragments: usize,
    violations: Vec<Violation>,
}

/// Opens the store in a data folder, as a server would, and checks it. Blocks for long.
pub fn check(
    data: PathBuf,
    master_key: Option<PathBuf>,
    full: bool,
) -> Result<Checked, StoreError> {
    folder::existing(&data)?;
    let config = StoreConfig {
        master_key,
        expiry: Expiry::Never,
        verify_index: true,
        ..StoreConfig::on_disk(data)
    };
    // A damaged index may make redb panic also when it is closed.
    damage::caught(|| {
        let store = Store::open(&config, Arc::new(SystemClock::new()))?;
        invariants(&store.0.shared, full)
    })
}

pub(in crate::store) fn invariants(shared: &Shared, full: bool) -> Result<Checked, StoreError> {
    let snapshot = shared.snapshot()?;
    let mut check = Check {
        shared,
        snapshot,
        full,
        fragments: 0,
        violations: Vec::new(),
    };
    check.rows()?;
    check.orders()?;
    check.unindexed()?;
    check.keys()?;
    Ok(Checked {
        streams: shared.streams().len(),
        fragments: check.fragments,
        violations: check.violations,
    })
}

fn name(row: &Row) -> String {
    let number = FragmentNumber::from_parts(row.facts.number);
    format!(
        "fragment {} of stream {}",
        number.as_str(),
        row.facts.stream.0
    )
}

/// Which blocks of each segment a row has been seen to use: a bit each.
#[derive(Default)]
struct Used(BTreeMap<u32, Vec<u64>>);

impl Used {
    /// Marks the blocks; whether one of them was marked before.
    fn mark(&mut self, place: Place, blocks: u32) -> bool {
        let words = self.0.entry(place.segment).or_default();
        let end = place.block.saturating_add(blocks) as usize;
        if words.len() * 64 < end {
            words.resize(end.div_ceil(64), 0);
        }
        (place.block as usize..end).fold(false, |used, block| {
            let bit = 1 << (block % 64);
            let before = words[block / 64] & bit != 0;
            words[block / 64] |= bit;
            used || before
        })
    }

    fn blocks(&self) -> BTreeMap<u32, u32> {
        let count = |words: &Vec<u64>| words.iter().map(|word| word.count_ones()).sum();
        self.0
            .iter()
            .map(|(segment, words)| (*segment, count(words)))
            .collect()
    }
}

impl Check<'_> {
    fn violated(&mut self, invariant: Invariant, what: impl Into<String>) {
        self.violations.push(Violation {
            invariant,
            what: what.into(),
        });
    }

    /// Each row by itself, and the places and numbers of all.
    fn rows(&mut self) -> Result<(), StoreError> {
        let doomed: HashSet<StreamId> = self.snapshot.doomed()?.into_iter().collect();
        let mut used = Used::default();
        let mut newest: HashMap<StreamId, Row> = HashMap::new();
        let mut counted: BTreeMap<StreamId, Counted> = BTreeMap::new();
        let mut found = Vec::new();
        for unproven in self.snapshot.unproven()? {
            let Place { segment, block } = unproven.place;
            if used.mark(unproven.place, unproven.blocks) {
                let what = format!("segment {segment} block {block}: shares its place");
                found.push((Invariant::Garbage, what));
            }
        }
        for row in self.snapshot.rows()? {
            let row = row?;
            let count = counted.entry(row.facts.stream).or_default();
            count.fragments += 1;
            count.blocks += u64::from(row.blocks());
            if used.mark(row.place, row.blocks()) {
                found.push((
                    Invariant::Garbage,
                    format!("{}: shares its place", name(&row)),
                ));
            }
            if doomed.contains(&row.facts.stream) {
                continue;
            }
            self.fragments += 1;
            let known = self.shared.stream(row.facts.stream).is_ok();
            if !known {
                found.push((
                    Invariant::Streams,
                    format!("{}: no such stream", name(&row)),
                ));
            } else if let Some(what) = self.record(&row)
                && self.is_there_still(&row)?
            {
                found.push((Invariant::Whole, what));
            }
            if let Some(before) = newest.insert(row.facts.stream, row)
                && before.facts.number.sequence >= row.facts.number.sequence
            {
                let what = format!("{}: its time is later, its number not", name(&row));
                found.push((Invariant::Numbers, what));
            }
            if known
                && row.facts.number.sequence > self.snapshot.reserved(row.facts.stream)?.sequence
            {
                found.push((
                    Invariant::Numbers,
                    format!("{}: was not reserved", name(&row)),
                ));
            }
        }
        found
            .into_iter()
            .for_each(|(invariant, what)| self.violated(invariant, what));
        self.accounts(&used.blocks())?;
        if self.snapshot.usage()?.is_none_or(|usage| usage != counted) {
            self.violated(
                Invariant::Garbage,
                "the streams' usage is not that of their rows",
            );
        }
        self.freed(&mut used)
    }

    /// What is to be given back is not in use.
    fn freed(&mut self, used: &mut Used) -> Result<(), StoreError> {
        for (place, blocks) in self.snapshot.free()? {
            if used.mark(place, blocks) {
                let Place { segment, block } = place;
                let what = format!("segment {segment} block {block}: to be freed, and in use");
                self.violated(Invariant::Garbage, what);
            }
        }
        Ok(())
    }

    /// Whether the row has not expired meanwhile, in a store that is in use.
    fn is_there_still(&self, row: &Row) -> Result<bool, StoreError> {
        let (stream, number) = (row.facts.stream, row.facts.number);
        Ok(self.shared.snapshot()?.row(stream, number)?.is_some())
    }

    /// What is wrong with the record that a row points at.
    fn record(&self, row: &Row) -> Option<String> {
        let disk = self.shared.disk.as_ref();
        let (file, header) = match reader::find_record(disk, row) {
            Ok(found) => found,
            Err(error @ StoreError::Damaged { .. }) => return Some(error.to_string()),
            Err(error) => return Some(format!("{}: {error}", name(row))),
        };
        let end = row.place.offset() + u64::from(row.blocks()) * BLOCK_BYTES;
        if file.len().is_ok_and(|len| len < end) {
            return Some(format!("{}: its segment is too short", name(row)));
        }
        if !self.full {
            return None;
        }
        let stream = self.shared.stream(row.facts.stream).ok()?;
        // Without its key nobody can say more; it is the key that is named.
        let key = stream.key().ok()?;
        match recovery::authenticates(file.as_ref(), row.place, &header, key) {
            Ok(true) => None,
            Ok(false) => Some(format!("{}: it does not authenticate", name(row))),
            Err(error) => Some(format!("{}: {error}", name(row))),
        }
    }

    fn accounts(&mut self, used: &BTreeMap<u32, u32>) -> Result<(), StoreError> {
        let accounted: BTreeMap<u32, u32> = self.snapshot.segments()?.into_iter().collect();
        let segments: HashSet<&u32> = used.keys().chain(accounted.keys()).collect();
        for segment in segments {
            let used = used.get(segment).copied().unwrap_or(0);
            let accounted = accounted.get(segment).copied().unwrap_or(0);
            if used != accounted {
                let what = format!(
                    "segment {segment}: {used} blocks are in use, and {accounted} accounted"
                );
                self.violated(Invariant::Garbage, what);
            }
        }
        Ok(())
    }

    fn orders(&mut self) -> Result<(), StoreError> {
        let mut found = Vec::new();
        let mut entries = 0_u64;
        for entry in self.snapshot.producer_entries()? {
            let (stream, info) = entry?;
            entries += 1;
            let number = info.number;
            let row = self
                .snapshot
                .at(stream, number.server_ms, number.sequence)?;
            if row.is_none_or(|row| row.facts.producer_ms != info.producer_ms) {
                found.push(format!(
                    "stream {}: the producer's order has sequence {} at {} ms, the server's not",
                    stream.0, number.sequence, info.producer_ms
                ));
            }
        }
        let rows = self.snapshot.rows()?.count() as u64;
        if rows != entries {
            found.push(format!(
                "the server's order has {rows} rows, the producer's {entries}"
            ));
        }
        found
            .into_iter()
            .for_each(|what| self.violated(Invariant::Orders, what));
        Ok(())
    }

    /// Whole records behind the last checkpoint have their rows by now.
    fn unindexed(&mut self) -> Result<(), StoreError> {
        let checkpoint = self.snapshot.checkpoint()?;
        let unproven = self.snapshot.unproven()?;
        let disk = self.shared.disk.as_ref();
        let mut found = Vec::new();
        for segment in segments::list(disk)?
            .into_iter()
            .filter(|at| *at >= checkpoint.segment)
        {
            let doing = format!("scan {}", segments::path(segment));
            let file = disk
                .open(&segments::path(segment))
                .map_err(StoreError::io(&doing))?;
            let first = if segment == checkpoint.segment {
                checkpoint.block
            } else {
                0
            };
            let scan = Scan::new(file.as_ref(), first).map_err(StoreError::io(&doing))?;
            for record in scan {
                let (block, header) = record.map_err(StoreError::io(&doing))?;
                let row = Row::new(&header, Place { segment, block });
                let Ok(stream) = self.shared.stream(row.facts.stream) else {
                    continue;
                };
                let waits = || {
                    let waits = |unproven: &Unproven| unproven.place == row.place;
                    unproven.iter().any(waits)
                };
                let whole = match stream.key() {
                    Ok(key) => recovery::authenticates(file.as_ref(), row.place, &header, key)
                        .map_err(StoreError::io(&doing))?,
                    Err(_) => !waits(),
                };
                if whole
                    && self
                        .snapshot
                        .row(row.facts.stream, row.facts.number)?
                        .is_none()
                {
                    found.push(format!("{}: whole, and without a row", name(&row)));
                }
            }
        }
        found
            .into_iter()
            .for_each(|what| self.violated(Invariant::Found, what));
        Ok(())
    }

    fn keys(&mut self) -> Result<(), StoreError> {
        let disk = self.shared.disk.as_ref();
        for stream in self.shared.streams() {
            if let Err(error) = keys::load(disk, &self.shared.folder.master, stream.id) {
                self.violated(Invariant::Keys, format!("stream {}: {error}", stream.id.0));
            }
        }
        for what in stream_files::check(disk, &self.shared.streams())? {
            self.violated(Invariant::Streams, what);
        }
        let known = { self.shared.streams().into_iter() }.map(|stream| stream.id);
        let highest = known.chain(self.snapshot.doomed()?).max();
        let next = self.snapshot.next_stream()?;
        if highest.is_some_and(|highest| next <= u64::from(highest.0)) {
            let what = format!("the next stream would get an id that is taken, {next}");
            self.violated(Invariant::Streams, what);
        }
        for file in keys::names(disk)? {
            if keys::stream_of(&file).is_none_or(|id| self.shared.stream(id).is_err()) {
                self.violated(
                    Invariant::Keys,
                    format!("{}/{file}: of no stream", keys::KEYS),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

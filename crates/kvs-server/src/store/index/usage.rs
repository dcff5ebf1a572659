//! What each stream has: counted with every change of a row, so that nobody has to count rows.

use std::collections::BTreeMap;

use redb::{ReadableTable, TableDefinition, TableError};

use super::{Changes, Index, Key, Row, Snapshot};
use crate::store::error::StoreError;
use crate::store::stream::StreamId;

/// A stream; the value is its fragments, and the blocks of their records.
const USAGE: TableDefinition<'_, u32, (u64, u64)> = TableDefinition::new("usage");

/// Rows of one stream, and their blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Used {
    pub(in crate::store) fragments: u64,
    pub(in crate::store) blocks: u64,
}

/// How much more each stream has by a transaction, or less.
#[derive(Debug, Default)]
pub(super) struct Difference(BTreeMap<u32, (i64, i64)>);

impl Difference {
    pub(super) fn add(&mut self, row: &Row) {
        self.count(row, 1);
    }

    pub(super) fn remove(&mut self, row: &Row) {
        self.count(row, -1);
    }

    fn count(&mut self, row: &Row, sign: i64) {
        let (fragments, blocks) = self.0.entry(row.facts.stream.0).or_default();
        *fragments += sign;
        *blocks += sign * i64::from(row.blocks());
    }
}

impl Changes<'_> {
    /// The last thing a transaction does: what was counted meanwhile goes into the table.
    pub(super) fn count_usage(&mut self) -> Result<(), StoreError> {
        let difference = std::mem::take(&mut self.usage).0;
        if difference.is_empty() {
            return Ok(());
        }
        let mut table = self.transaction.open_table(USAGE)?;
        for (stream, (fragments, blocks)) in difference {
            let used = table.get(stream)?.map(|used| used.value());
            let (had, had_blocks) = used.unwrap_or_default();
            let used = (
                had.saturating_add_signed(fragments),
                had_blocks.saturating_add_signed(blocks),
            );
            match used {
                (0, 0) => table.remove(stream)?,
                used => table.insert(stream, used)?,
            };
        }
        Ok(())
    }

    pub(super) fn make_usage(&self) -> Result<(), StoreError> {
        self.transaction.open_table(USAGE)?;
        Ok(())
    }

    /// As an earlier version leaves it.
    #[cfg(test)]
    pub(in crate::store) fn forget_usage(&mut self) -> Result<(), StoreError> {
        self.transaction.delete_table(USAGE)?;
        Ok(())
    }
}

impl Snapshot {
    /// What each stream has; streams without rows are left out. `None` in a folder of an earlier
    /// version.
    pub(in crate::store) fn usage(&self) -> Result<Option<BTreeMap<StreamId, Used>>, StoreError> {
        let table = match self.transaction.open_table(USAGE) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            opened => opened?,
        };
        let entries = table.iter()?.map(|entry| {
            let (stream, used) = entry?;
            let (fragments, blocks) = used.value();
            Ok((StreamId(stream.value()), Used { fragments, blocks }))
        });
        entries.collect::<Result<_, StoreError>>().map(Some)
    }
}

impl Index {
    /// Counts all rows where nobody has yet: once in the life of a folder.
    pub(in crate::store) fn begin_usage(&self) -> Result<(), StoreError> {
        if self.snapshot()?.usage()?.is_some() {
            return Ok(());
        }
        self.change(true, |changes| {
            changes.make_usage()?;
            changes.count_all()
        })
    }
}

impl Changes<'_> {
    fn count_all(&mut self) -> Result<(), StoreError> {
        for entry in self.by_server.range::<Key>(..)? {
            let (key, value) = entry?;
            self.usage.add(&Row::from_entry(key.value(), value.value()));
        }
        Ok(())
    }
}

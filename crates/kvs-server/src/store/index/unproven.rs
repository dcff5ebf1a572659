//! Records that recovery found while their stream's key was away: neither rows nor garbage.

use redb::{ReadableTable, TableDefinition, TableError};

use super::{Changes, Snapshot};
use crate::store::error::StoreError;
use crate::store::segments::Place;
use crate::store::stream::StreamId;

/// A stream, a segment, a block in it; the value is the blocks of the record.
const UNPROVEN: TableDefinition<'_, (u32, u32, u32), u32> = TableDefinition::new("unproven");

/// A record that may be whole, which its key will tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Unproven {
    pub(in crate::store) stream: StreamId,
    pub(in crate::store) place: Place,
    pub(in crate::store) blocks: u32,
}

impl Unproven {
    fn key(&self) -> (u32, u32, u32) {
        (self.stream.0, self.place.segment, self.place.block)
    }

    fn from_entry((stream, segment, block): (u32, u32, u32), blocks: u32) -> Self {
        Self {
            stream: StreamId(stream),
            place: Place { segment, block },
            blocks,
        }
    }
}

impl Snapshot {
    /// All of them, by stream and then by place.
    pub(in crate::store) fn unproven(&self) -> Result<Vec<Unproven>, StoreError> {
        let table = match self.transaction.open_table(UNPROVEN) {
            // It is made when it is first needed.
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            opened => opened?,
        };
        let entries = table.iter()?.map(|entry| {
            let (key, blocks) = entry?;
            Ok(Unproven::from_entry(key.value(), blocks.value()))
        });
        entries.collect()
    }
}

impl Changes<'_> {
    /// Keeps a record, and its room, until its key is back.
    pub(in crate::store) fn add_unproven(&mut self, found: &Unproven) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(UNPROVEN)?;
        let known = table.insert(found.key(), found.blocks)?.is_some();
        match known {
            true => Ok(()),
            false => self.add_live(found.place.segment, i64::from(found.blocks)),
        }
    }

    /// The record has become a row, or is to be given back.
    pub(in crate::store) fn remove_unproven(&mut self, found: &Unproven) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(UNPROVEN)?;
        let known = table.remove(found.key())?.is_some();
        match known {
            true => self.add_live(found.place.segment, -i64::from(found.blocks)),
            false => Ok(()),
        }
    }

    /// The first `limit` of one stream.
    pub(in crate::store) fn unproven_of(
        &self,
        stream: StreamId,
        limit: usize,
    ) -> Result<Vec<Unproven>, StoreError> {
        let table = self.transaction.open_table(UNPROVEN)?;
        let keys = (stream.0, 0, 0)..=(stream.0, u32::MAX, u32::MAX);
        let entries = table.range(keys)?.take(limit).map(|entry| {
            let (key, blocks) = entry?;
            Ok(Unproven::from_entry(key.value(), blocks.value()))
        });
        entries.collect()
    }
}

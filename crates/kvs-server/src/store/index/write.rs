//! Changes to the index.

use std::collections::BTreeMap;

use redb::{ReadableTable, Table, WriteTransaction};

use super::row::Value;
use super::usage::Difference;
use super::{BY_PRODUCER, BY_SERVER, Key, Row};
use super::{
    CHECKPOINT_BLOCK, CHECKPOINT_SEGMENT, DOOMED, FREE, MASTER_KEY_MARK, NEXT_STREAM, RESERVED,
    SEGMENTS, SINGLE, STREAMS, TRUSTED_MS,
};
use crate::store::error::StoreError;
use crate::store::index::damage::damaged;
use crate::store::segments::Place;
use crate::store::stream::{Stream, StreamId};

/// What a stream may have given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Reserved {
    /// No number above this one has been given out.
    pub(in crate::store) sequence: u64,
    /// A server time that had been given out when the numbers were reserved.
    pub(in crate::store) server_ms: u64,
}

/// One transaction.
pub(in crate::store) struct Changes<'t> {
    pub(super) transaction: &'t WriteTransaction,
    pub(super) by_server: Table<'t, Key, Value>,
    by_producer: Table<'t, Key, u64>,
    segments: Table<'t, u32, u32>,
    pub(super) usage: Difference,
    /// The segments whose blocks in use have changed, with what they are now.
    pub(in crate::store) in_use: BTreeMap<u32, u32>,
}

impl<'t> Changes<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            transaction,
            by_server: transaction.open_table(BY_SERVER)?,
            by_producer: transaction.open_table(BY_PRODUCER)?,
            segments: transaction.open_table(SEGMENTS)?,
            usage: Difference::default(),
            in_use: BTreeMap::new(),
        })
    }

    /// Readers may rely on every table being there.
    pub(super) fn make_tables(&mut self) -> Result<(), StoreError> {
        self.transaction.open_table(STREAMS)?;
        self.transaction.open_table(DOOMED)?;
        self.transaction.open_table(RESERVED)?;
        self.transaction.open_table(FREE)?;
        self.transaction.open_table(SINGLE)?;
        self.make_usage()
    }

    /// Adds a fragment. One of the same number, written by a group that then failed, gives way.
    pub(in crate::store) fn insert(&mut self, row: &Row) -> Result<(), StoreError> {
        let old = self.by_server.insert(row.server_key(), row.value())?;
        let old = old.map(|value| Row::from_entry(row.server_key(), value.value()));
        if let Some(old) = old {
            self.by_producer.remove(old.producer_key())?;
            self.usage.remove(&old);
            self.add_live(old.place.segment, -i64::from(old.blocks()))?;
        }
        self.by_producer
            .insert(row.producer_key(), row.facts.number.server_ms)?;
        self.usage.add(row);
        self.add_live(row.place.segment, i64::from(row.blocks()))
    }

    /// Takes a fragment out. Its room is the caller's to free.
    pub(in crate::store) fn remove(&mut self, row: &Row) -> Result<(), StoreError> {
        self.by_server.remove(row.server_key())?;
        self.by_producer.remove(row.producer_key())?;
        self.usage.remove(row);
        self.add_live(row.place.segment, -i64::from(row.blocks()))
    }

    /// Takes a row out of one of the two orders, which is never right.
    #[cfg(test)]
    pub(in crate::store) fn break_order(&mut self, row: &Row) -> Result<(), StoreError> {
        self.by_producer.remove(row.producer_key())?;
        Ok(())
    }

    pub(super) fn add_live(&mut self, segment: u32, blocks: i64) -> Result<(), StoreError> {
        let live = self.segments.get(segment)?.map_or(0, |live| live.value());
        let live = u32::try_from((i64::from(live) + blocks).max(0)).unwrap_or(u32::MAX);
        self.segments.insert(segment, live)?;
        self.in_use.insert(segment, live);
        Ok(())
    }

    /// The first `limit` fragments of a stream.
    pub(in crate::store) fn first(
        &self,
        stream: StreamId,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let keys = (stream.0, 0, 0)..=(stream.0, u64::MAX, u64::MAX);
        let rows = self.by_server.range(keys)?.take(limit).map(|entry| {
            let (key, value) = entry?;
            Ok(Row::from_entry(key.value(), value.value()))
        });
        rows.collect()
    }

    /// Whether this very row is there, place and all.
    pub(in crate::store) fn contains(&self, row: &Row) -> Result<bool, StoreError> {
        let value = self.by_server.get(row.server_key())?;
        Ok(value.is_some_and(|value| value.value() == row.value()))
    }

    /// An id that no stream has had.
    pub(in crate::store) fn new_stream_id(&mut self) -> Result<StreamId, StoreError> {
        let mut table = self.transaction.open_table(SINGLE)?;
        let id = table.get(NEXT_STREAM)?.map_or(1, |id| id.value());
        table.insert(NEXT_STREAM, id + 1)?;
        let id = u32::try_from(id).map_err(|_| StoreError::Index("no stream ids left".into()))?;
        let exists = self.transaction.open_table(STREAMS)?.get(id)?.is_some();
        if exists || self.transaction.open_table(DOOMED)?.get(id)?.is_some() {
            // Its key would take the place of the other's, and nothing of that be read again.
            return Err(damaged());
        }
        Ok(StreamId(id))
    }

    /// No stream below this id is made any more.
    pub(in crate::store) fn set_next_stream(&mut self, id: u64) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(SINGLE)?;
        table.insert(NEXT_STREAM, id)?;
        Ok(())
    }

    pub(in crate::store) fn put_stream(&mut self, stream: &Stream) -> Result<(), StoreError> {
        let json = serde_json::to_vec(stream).map_err(|e| StoreError::Index(e.to_string()))?;
        self.transaction
            .open_table(STREAMS)?
            .insert(stream.id.0, json.as_slice())?;
        Ok(())
    }

    /// Takes a stream out. Its rows follow, a batch at a time.
    pub(in crate::store) fn doom_stream(&mut self, stream: StreamId) -> Result<(), StoreError> {
        self.transaction.open_table(STREAMS)?.remove(stream.0)?;
        self.transaction.open_table(RESERVED)?.remove(stream.0)?;
        self.transaction.open_table(DOOMED)?.insert(stream.0, ())?;
        Ok(())
    }

    /// The last row of a deleted stream is out.
    pub(in crate::store) fn forget_doomed(&mut self, stream: StreamId) -> Result<(), StoreError> {
        self.transaction.open_table(DOOMED)?.remove(stream.0)?;
        Ok(())
    }

    pub(in crate::store) fn reserve(
        &mut self,
        stream: StreamId,
        reserved: Reserved,
    ) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(RESERVED)?;
        table.insert(stream.0, (reserved.sequence, reserved.server_ms))?;
        Ok(())
    }

    /// No row points there any more; the room is to be given back.
    pub(in crate::store) fn add_free(&mut self, places: &[(Place, u32)]) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(FREE)?;
        for (place, blocks) in places {
            table.insert((place.segment, place.block), blocks)?;
        }
        Ok(())
    }

    /// The room of these places has been given back.
    pub(in crate::store) fn remove_free(&mut self, places: &[Place]) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(FREE)?;
        for place in places {
            table.remove((place.segment, place.block))?;
        }
        Ok(())
    }

    /// The same of all places in a segment that is gone, `rows_max` at most; how many those were.
    pub(in crate::store) fn remove_free_in(
        &mut self,
        segment: u32,
        rows_max: usize,
    ) -> Result<usize, StoreError> {
        let table = self.transaction.open_table(FREE)?;
        let places = table.range((segment, 0)..=(segment, u32::MAX))?;
        let places = places.take(rows_max).map(|entry| {
            let (segment, block) = entry?.0.value();
            Ok(Place { segment, block })
        });
        let places: Vec<Place> = places.collect::<Result<_, StoreError>>()?;
        drop(table);
        self.remove_free(&places)?;
        Ok(places.len())
    }

    /// A segment is gone, and nothing is to be freed in it.
    pub(in crate::store) fn remove_segment(&mut self, segment: u32) -> Result<(), StoreError> {
        self.segments.remove(segment)?;
        Ok(())
    }

    /// By this the master key is known again.
    pub(in crate::store) fn set_master_key_mark(&mut self, mark: u64) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(SINGLE)?;
        table.insert(MASTER_KEY_MARK, mark)?;
        Ok(())
    }

    /// As an earlier version leaves it.
    #[cfg(test)]
    pub(in crate::store) fn forget_master_key(&mut self) -> Result<(), StoreError> {
        self.transaction
            .open_table(SINGLE)?
            .remove(MASTER_KEY_MARK)?;
        Ok(())
    }

    /// The last wall time that was trusted, if any counts.
    pub(in crate::store) fn set_trusted_ms(
        &mut self,
        trusted_ms: Option<u64>,
    ) -> Result<(), StoreError> {
        if let Some(trusted_ms) = trusted_ms {
            let mut table = self.transaction.open_table(SINGLE)?;
            table.insert(TRUSTED_MS, trusted_ms)?;
        }
        Ok(())
    }

    /// Up to here every whole record has its row.
    pub(in crate::store) fn set_checkpoint(&mut self, end: Place) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(SINGLE)?;
        table.insert(CHECKPOINT_SEGMENT, u64::from(end.segment))?;
        table.insert(CHECKPOINT_BLOCK, u64::from(end.block))?;
        Ok(())
    }
}

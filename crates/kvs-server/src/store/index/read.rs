//! Questions to the index.

use std::ops::RangeInclusive;

use kvs_protocol::FragmentParts;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable};

use super::{BY_PRODUCER, BY_SERVER, Key, Row};
use super::{
    CHECKPOINT_BLOCK, CHECKPOINT_SEGMENT, DOOMED, FREE, MASTER_KEY_MARK, NEXT_STREAM, RESERVED,
    SEGMENTS, SINGLE, STREAMS, TRUSTED_MS,
};
use crate::store::error::StoreError;
use crate::store::fragment::{FragmentInfo, TimeOrigin};
use crate::store::index::row::Value;
use crate::store::index::write::Reserved;
use crate::store::segments::Place;
use crate::store::stream::{Stream, StreamId};

/// By the producer's time, fragments past their retention lie among the others, and hours of them
/// may come first. So many are passed over in a few ms; then somebody else has a turn.
pub(in crate::store) const PASSED_ROWS_MAX: usize = 10_000;

/// The index as it was at one moment.
pub(in crate::store) struct Snapshot {
    pub(super) transaction: ReadTransaction,
    by_server: ReadOnlyTable<Key, Value>,
    by_producer: ReadOnlyTable<Key, u64>,
}

/// All keys of a stream between two times; the earlier is pushed behind `after`, if it is there.
fn keys(stream: StreamId, from: (u64, u64), to_ms: u64) -> RangeInclusive<Key> {
    (stream.0, from.0, from.1)..=(stream.0, to_ms, u64::MAX)
}

/// An entry of the producer's order: what it says of a fragment is where it stands.
fn place((_, producer_ms, sequence): Key, server_ms: u64) -> FragmentInfo {
    FragmentInfo {
        number: FragmentParts {
            sequence,
            server_ms,
            random: 0,
        },
        producer_ms,
        length_ms: 0,
        bytes: 0,
    }
}

impl Snapshot {
    pub(super) fn new(transaction: ReadTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            by_server: transaction.open_table(BY_SERVER)?,
            by_producer: transaction.open_table(BY_PRODUCER)?,
            transaction,
        })
    }

    /// The fragment of this number.
    pub(in crate::store) fn row(
        &self,
        stream: StreamId,
        number: FragmentParts,
    ) -> Result<Option<Row>, StoreError> {
        let row = self.at(stream, number.server_ms, number.sequence)?;
        Ok(row.filter(|row| row.facts.number == number))
    }

    /// The fragment whose number has these parts, whatever its random bits.
    pub(in crate::store) fn at(
        &self,
        stream: StreamId,
        server_ms: u64,
        sequence: u64,
    ) -> Result<Option<Row>, StoreError> {
        let key = (stream.0, server_ms, sequence);
        Ok(self
            .by_server
            .get(key)?
            .map(|value| Row::from_entry(key, value.value())))
    }

    fn row_of(&self, (stream, _, sequence): Key, server_ms: u64) -> Result<Row, StoreError> {
        let row = self.at(StreamId(stream), server_ms, sequence)?;
        row.ok_or_else(|| StoreError::Index("the two orders differ".into()))
    }

    /// Fragments that start between `from` (a time, and a sequence number in it) and `to_ms` and
    /// have arrived at `floor_ms` or later, in order; `take` says of each whether to go on.
    ///
    /// Passes over [`PASSED_ROWS_MAX`] that have arrived earlier at most, and then answers where
    /// it has come to.
    pub(in crate::store) fn range(
        &self,
        stream: StreamId,
        origin: TimeOrigin,
        from: (u64, u64),
        (to_ms, floor_ms): (u64, u64),
        mut take: impl FnMut(Row) -> bool,
    ) -> Result<Option<FragmentInfo>, StoreError> {
        let from = match origin {
            TimeOrigin::Server => from.max((floor_ms, 0)),
            TimeOrigin::Producer => from,
        };
        if from.0 > to_ms {
            return Ok(None);
        }
        let keys = keys(stream, from, to_ms);
        match origin {
            TimeOrigin::Server => {
                for entry in self.by_server.range(keys)? {
                    let (key, value) = entry?;
                    if !take(Row::from_entry(key.value(), value.value())) {
                        break;
                    }
                }
            }
            TimeOrigin::Producer => {
                let mut passed = 0;
                for entry in self.by_producer.range(keys)? {
                    let (key, server_ms) = entry?;
                    if server_ms.value() < floor_ms {
                        passed += 1;
                        if passed == PASSED_ROWS_MAX {
                            return Ok(Some(place(key.value(), server_ms.value())));
                        }
                        continue;
                    }
                    if !take(self.row_of(key.value(), server_ms.value())?) {
                        break;
                    }
                }
            }
        }
        Ok(None)
    }

    /// The last fragment that starts at `to_ms` or before.
    pub(in crate::store) fn last(
        &self,
        stream: StreamId,
        origin: TimeOrigin,
        to_ms: u64,
    ) -> Result<Option<Row>, StoreError> {
        let keys = keys(stream, (0, 0), to_ms);
        let row = match origin {
            TimeOrigin::Server => self
                .by_server
                .range(keys)?
                .next_back()
                .transpose()?
                .map(|(key, value)| Ok(Row::from_entry(key.value(), value.value()))),
            TimeOrigin::Producer => self
                .by_producer
                .range(keys)?
                .next_back()
                .transpose()?
                .map(|(key, server_ms)| self.row_of(key.value(), server_ms.value())),
        };
        row.transpose()
    }

    /// Every row, in the order of streams and numbers.
    pub(in crate::store) fn rows(
        &self,
    ) -> Result<impl Iterator<Item = Result<Row, StoreError>>, StoreError> {
        Ok(self.by_server.range::<Key>(..)?.map(|entry| {
            let (key, value) = entry?;
            Ok(Row::from_entry(key.value(), value.value()))
        }))
    }

    /// Every entry of the producer's order: stream, producer's time, number without random bits.
    pub(in crate::store) fn producer_entries(
        &self,
    ) -> Result<impl Iterator<Item = Result<(StreamId, FragmentInfo), StoreError>>, StoreError>
    {
        Ok(self.by_producer.range::<Key>(..)?.map(|entry| {
            let (key, server_ms) = entry?;
            let (stream, ..) = key.value();
            Ok((StreamId(stream), place(key.value(), server_ms.value())))
        }))
    }

    /// The streams, in the order of their ids.
    pub(in crate::store) fn streams(&self) -> Result<Vec<Stream>, StoreError> {
        let table = self.transaction.open_table(STREAMS)?;
        let mut streams = Vec::new();
        for entry in table.iter()? {
            let (_, json) = entry?;
            let stream = serde_json::from_slice(json.value());
            streams.push(stream.map_err(|error| StoreError::Index(error.to_string()))?);
        }
        Ok(streams)
    }

    /// Streams that are deleted and still have rows.
    pub(in crate::store) fn doomed(&self) -> Result<Vec<StreamId>, StoreError> {
        let table = self.transaction.open_table(DOOMED)?;
        table
            .iter()?
            .map(|entry| Ok(StreamId(entry?.0.value())))
            .collect()
    }

    /// What a stream may have given out.
    pub(in crate::store) fn reserved(&self, stream: StreamId) -> Result<Reserved, StoreError> {
        let reserved = self.transaction.open_table(RESERVED)?.get(stream.0)?;
        let (sequence, server_ms) = reserved.map(|value| value.value()).unwrap_or_default();
        Ok(Reserved {
            sequence,
            server_ms,
        })
    }

    /// The segments, with the blocks in them that rows point at.
    pub(in crate::store) fn segments(&self) -> Result<Vec<(u32, u32)>, StoreError> {
        let table = self.transaction.open_table(SEGMENTS)?;
        let entries = table.iter()?.map(|entry| {
            let (segment, blocks) = entry?;
            Ok((segment.value(), blocks.value()))
        });
        entries.collect()
    }

    /// The places whose room is still to be given back, with their blocks.
    pub(in crate::store) fn free(&self) -> Result<Vec<(Place, u32)>, StoreError> {
        let table = self.transaction.open_table(FREE)?;
        let entries = table.iter()?.map(|entry| {
            let (place, blocks) = entry?;
            let (segment, block) = place.value();
            Ok((Place { segment, block }, blocks.value()))
        });
        entries.collect()
    }

    /// The id of the stream that is made next.
    pub(in crate::store) fn next_stream(&self) -> Result<u64, StoreError> {
        let table = self.transaction.open_table(SINGLE)?;
        Ok(table.get(NEXT_STREAM)?.map_or(1, |id| id.value()))
    }

    /// By what the master key is known again; a folder of an earlier version has nothing yet.
    pub(in crate::store) fn master_key_mark(&self) -> Result<Option<u64>, StoreError> {
        let table = self.transaction.open_table(SINGLE)?;
        Ok(table.get(MASTER_KEY_MARK)?.map(|mark| mark.value()))
    }

    /// The last wall time that was trusted; 0 where none was.
    pub(in crate::store) fn trusted_ms(&self) -> Result<u64, StoreError> {
        let table = self.transaction.open_table(SINGLE)?;
        Ok(table.get(TRUSTED_MS)?.map_or(0, |trusted| trusted.value()))
    }

    /// Up to where every whole record has its row, or waits for its key.
    pub(in crate::store) fn checkpoint(&self) -> Result<Place, StoreError> {
        let table = self.transaction.open_table(SINGLE)?;
        let value = |name| -> Result<u32, StoreError> {
            let value = table.get(name)?.map_or(0, |value| value.value());
            u32::try_from(value).map_err(|_| StoreError::Index(format!("{name} is too large")))
        };
        Ok(Place {
            segment: value(CHECKPOINT_SEGMENT)?,
            block: value(CHECKPOINT_BLOCK)?,
        })
    }
}

//! A fragment's row.

use kvs_protocol::FragmentParts;

use super::Key;
use crate::store::fragment::FragmentInfo;
use crate::store::record::{RecordFacts, RecordHeader};
use crate::store::segments::Place;
use crate::store::stream::StreamId;

/// Random bits, producer's time, length, bytes of header, cluster and tags, segment, block.
pub(super) type Value = (u32, u64, u32, u32, u32, u32, u32, u32);

/// A row as the index holds it.
pub(in crate::store) type Entry = (Key, Value);

/// What the index knows of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Row {
    pub(in crate::store) facts: RecordFacts,
    pub(in crate::store) place: Place,
}

impl Row {
    pub(in crate::store) fn new(header: &RecordHeader, place: Place) -> Self {
        Self {
            facts: header.facts,
            place,
        }
    }

    pub(in crate::store) fn blocks(&self) -> u32 {
        self.facts.blocks()
    }

    pub(in crate::store) fn info(&self) -> FragmentInfo {
        FragmentInfo {
            number: self.facts.number,
            producer_ms: self.facts.producer_ms,
            length_ms: u64::from(self.facts.length_ms),
            bytes: u64::from(self.facts.cluster_bytes) + u64::from(self.facts.tags_bytes),
        }
    }

    pub(super) fn server_key(&self) -> Key {
        (
            self.facts.stream.0,
            self.facts.number.server_ms,
            self.facts.number.sequence,
        )
    }

    pub(super) fn producer_key(&self) -> Key {
        (
            self.facts.stream.0,
            self.facts.producer_ms,
            self.facts.number.sequence,
        )
    }

    pub(super) fn value(&self) -> Value {
        (
            self.facts.number.random,
            self.facts.producer_ms,
            self.facts.length_ms,
            self.facts.header_bytes,
            self.facts.cluster_bytes,
            self.facts.tags_bytes,
            self.place.segment,
            self.place.block,
        )
    }

    /// The row as the index holds it.
    pub(in crate::store) fn entry(&self) -> Entry {
        (self.server_key(), self.value())
    }

    pub(in crate::store) fn from_entry((stream, server_ms, sequence): Key, value: Value) -> Self {
        let (
            random,
            producer_ms,
            length_ms,
            header_bytes,
            cluster_bytes,
            tags_bytes,
            segment,
            block,
        ) = value;
        let facts = RecordFacts {
            stream: StreamId(stream),
            number: FragmentParts {
                sequence,
                server_ms,
                random,
            },
            producer_ms,
            length_ms,
            header_bytes,
            cluster_bytes,
            tags_bytes,
        };
        let place = Place { segment, block };
        Self { facts, place }
    }
}

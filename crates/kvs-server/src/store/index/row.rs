//! A fragment's row.

use kvs_protocol::FragmentParts;

use super::Key;
use crate::store::fragment::FragmentInfo;
use crate::store::record::{self, RecordHeader};
use crate::store::segments::Place;
use crate::store::stream::StreamId;

/// Random bits, producer's time, length, bytes of header, cluster and tags, segment, block.
pub(super) type Value = (u32, u64, u32, u32, u32, u32, u32, u32);

/// What the index knows of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Row {
    pub(in crate::store) stream: StreamId,
    pub(in crate::store) number: FragmentParts,
    pub(in crate::store) producer_ms: u64,
    pub(in crate::store) length_ms: u32,
    pub(in crate::store) header_bytes: u32,
    pub(in crate::store) cluster_bytes: u32,
    pub(in crate::store) tags_bytes: u32,
    pub(in crate::store) place: Place,
}

impl Row {
    pub(in crate::store) fn new(header: &RecordHeader, place: Place) -> Self {
        Self {
            stream: header.stream,
            number: header.number,
            producer_ms: header.producer_ms,
            length_ms: header.length_ms,
            header_bytes: header.header_bytes,
            cluster_bytes: header.cluster_bytes,
            tags_bytes: header.tags_bytes,
            place,
        }
    }

    /// Whether the record with this header is the one that the row means.
    pub(in crate::store) fn says(&self, header: &RecordHeader) -> bool {
        *self == Self::new(header, self.place)
    }

    pub(in crate::store) fn blocks(&self) -> u32 {
        let body = u64::from(self.cluster_bytes) + u64::from(self.tags_bytes);
        record::blocks(u64::from(self.header_bytes) + body)
    }

    pub(in crate::store) fn info(&self) -> FragmentInfo {
        FragmentInfo {
            number: self.number,
            producer_ms: self.producer_ms,
            length_ms: u64::from(self.length_ms),
            bytes: u64::from(self.cluster_bytes) + u64::from(self.tags_bytes),
        }
    }

    pub(super) fn server_key(&self) -> Key {
        (self.stream.0, self.number.server_ms, self.number.sequence)
    }

    pub(super) fn producer_key(&self) -> Key {
        (self.stream.0, self.producer_ms, self.number.sequence)
    }

    pub(super) fn value(&self) -> Value {
        (
            self.number.random,
            self.producer_ms,
            self.length_ms,
            self.header_bytes,
            self.cluster_bytes,
            self.tags_bytes,
            self.place.segment,
            self.place.block,
        )
    }

    pub(super) fn from_entry((stream, server_ms, sequence): Key, value: Value) -> Self {
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
        Self {
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
            place: Place { segment, block },
        }
    }
}

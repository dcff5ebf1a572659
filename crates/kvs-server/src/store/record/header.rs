//! The clear header of a record, which is also what every chunk authenticates.

use kvs_protocol::FragmentParts;

use crate::store::stream::StreamId;

const MAGIC: [u8; 8] = *b"KVSFRAG\x01";
/// 64 bytes of members, 16 of salt, room for later ones, and the checksum.
pub(in crate::store) const HEADER_BYTES: usize = 96;
const CRC_AT: usize = HEADER_BYTES - 4;
const SALT_AT: usize = 64;
/// The salt that makes the key of this record its own.
pub(in crate::store) const SALT_BYTES: usize = 16;

/// What a record's header and its row both say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct RecordFacts {
    pub(in crate::store) stream: StreamId,
    pub(in crate::store) number: FragmentParts,
    pub(in crate::store) producer_ms: u64,
    pub(in crate::store) length_ms: u32,
    pub(in crate::store) header_bytes: u32,
    pub(in crate::store) cluster_bytes: u32,
    pub(in crate::store) tags_bytes: u32,
}

/// What can be said of a record without its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct RecordHeader {
    pub(in crate::store) facts: RecordFacts,
    pub(in crate::store) epoch: u32,
    pub(in crate::store) salt: [u8; SALT_BYTES],
}

impl RecordFacts {
    /// The plain bytes behind the header.
    pub(in crate::store) fn plain_bytes(&self) -> u64 {
        u64::from(self.header_bytes) + u64::from(self.cluster_bytes) + u64::from(self.tags_bytes)
    }

    /// The blocks of the whole record.
    pub(in crate::store) fn blocks(&self) -> u32 {
        super::blocks(self.plain_bytes())
    }
}

impl RecordHeader {
    pub(in crate::store) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let facts = self.facts;
        let mut bytes = [0; HEADER_BYTES];
        let mut at = 0;
        let mut put = |member: &[u8]| {
            bytes[at..at + member.len()].copy_from_slice(member);
            at += member.len();
        };
        put(&MAGIC);
        put(&facts.stream.0.to_le_bytes());
        put(&self.epoch.to_le_bytes());
        put(&facts.number.sequence.to_le_bytes());
        put(&facts.number.server_ms.to_le_bytes());
        put(&facts.number.random.to_le_bytes());
        put(&facts.length_ms.to_le_bytes());
        put(&facts.producer_ms.to_le_bytes());
        put(&facts.header_bytes.to_le_bytes());
        put(&facts.cluster_bytes.to_le_bytes());
        put(&facts.tags_bytes.to_le_bytes());
        put(&[0; 4]);
        put(&self.salt);
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header at the start of `bytes`; `None` where none is, or a torn one.
    pub(in crate::store) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES)?.try_into().ok()?;
        if bytes[..8] != MAGIC || bytes[CRC_AT..] != crc32fast::hash(&bytes[..CRC_AT]).to_le_bytes()
        {
            return None;
        }
        let u32_at = |at: usize| Some(u32::from_le_bytes(bytes[at..at + 4].try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        let facts = RecordFacts {
            stream: StreamId(u32_at(8)?),
            number: FragmentParts {
                sequence: u64_at(16)?,
                server_ms: u64_at(24)?,
                random: u32_at(32)?,
            },
            length_ms: u32_at(36)?,
            producer_ms: u64_at(40)?,
            header_bytes: u32_at(48)?,
            cluster_bytes: u32_at(52)?,
            tags_bytes: u32_at(56)?,
        };
        let header = Self {
            facts,
            epoch: u32_at(12)?,
            salt: bytes[SALT_AT..SALT_AT + SALT_BYTES].try_into().ok()?,
        };
        // Bytes without a meaning are zeros, so that they can be given one.
        (header.to_bytes() == *bytes).then_some(header)
    }
}

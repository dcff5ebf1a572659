//! A fragment as it lies in a segment: a clear header, then sealed chunks.

pub(super) mod header;
pub(super) mod seal;

pub(super) use header::{HEADER_BYTES, RecordFacts, RecordHeader};
pub(super) use seal::{Sealed, open_chunk, seal};

/// Records start on multiples of this, so that their room can be given back by itself.
pub(super) const BLOCK_BYTES: u64 = 4096;

/// The plain bytes of a chunk, and what a reader holds of a record.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// The authentication tag behind each chunk.
pub(super) const TAG_BYTES: usize = 16;

/// A chunk on disk.
pub(super) const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

/// How many chunks hold so many plain bytes; an empty body has one, which proves that it is empty.
pub(super) fn chunks(plain_bytes: u64) -> u64 {
    plain_bytes.div_ceil(CHUNK_BYTES as u64).max(1)
}

/// How many blocks a record with so many plain bytes takes.
pub(super) fn blocks(plain_bytes: u64) -> u32 {
    let bytes = HEADER_BYTES as u64 + plain_bytes + chunks(plain_bytes) * TAG_BYTES as u64;
    u32::try_from(bytes.div_ceil(BLOCK_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

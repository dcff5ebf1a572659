//! The sealed chunks of a record.
//!
//! Each record has a key of its own, derived from the stream's key and the record's salt, so the
//! nonce is no more than the chunk's place: its number, and whether it is the last. Chunks can
//! then be neither swapped nor cut off, nor moved to another record, whose header differs.

use bytes::Bytes;
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

use super::{BLOCK_BYTES, CHUNK_BYTES, HEADER_BYTES, RecordHeader, TAG_BYTES, blocks, chunks};

/// A record, ready to be written.
pub(in crate::store) struct Sealed {
    pub(in crate::store) header: RecordHeader,
    /// Header, chunks, and zeros up to a whole block.
    pub(in crate::store) bytes: Vec<u8>,
}

fn nonce(chunk: u64, chunks: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&chunk.to_be_bytes());
    bytes[NONCE_LEN - 1] = u8::from(chunk + 1 == chunks);
    Nonce::assume_unique_for_key(bytes)
}

/// Seals `pieces`, which have the lengths that `header` says.
pub(in crate::store) fn seal<'a>(
    header: RecordHeader,
    key: &LessSafeKey,
    pieces: impl IntoIterator<Item = &'a Bytes>,
) -> Sealed {
    let plain_bytes = header.facts.plain_bytes();
    let clear = header.to_bytes();
    let whole = blocks(plain_bytes) as usize * BLOCK_BYTES as usize;
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend_from_slice(&clear);
    let chunks = chunks(plain_bytes);
    let mut pieces = pieces.into_iter();
    let mut piece: &[u8] = &[];
    for chunk in 0..chunks {
        let start = bytes.len();
        while bytes.len() - start < CHUNK_BYTES {
            if piece.is_empty() {
                match pieces.next() {
                    Some(next) => piece = next,
                    None => break,
                }
            }
            let (head, rest) = piece.split_at(piece.len().min(CHUNK_BYTES + start - bytes.len()));
            bytes.extend_from_slice(head);
            piece = rest;
        }
        let tag = key
            .seal_in_place_separate_tag(
                nonce(chunk, chunks),
                Aad::from(&clear),
                &mut bytes[start..],
            )
            .expect("a chunk is far below what the cipher takes");
        bytes.extend_from_slice(tag.as_ref());
    }
    debug_assert_eq!(
        bytes.len() as u64,
        HEADER_BYTES as u64 + plain_bytes + chunks * TAG_BYTES as u64
    );
    bytes.resize(whole, 0);
    Sealed { header, bytes }
}

/// Opens chunk `chunk` in place; its plain bytes, or `None` where it does not authenticate.
pub(in crate::store) fn open_chunk<'a>(
    header: &RecordHeader,
    key: &LessSafeKey,
    chunk: u64,
    sealed: &'a mut [u8],
) -> Option<&'a mut [u8]> {
    let nonce = nonce(chunk, chunks(header.facts.plain_bytes()));
    key.open_in_place(nonce, Aad::from(header.to_bytes()), sealed)
        .ok()
}

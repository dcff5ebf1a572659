//! The bytes of a PutMedia body as they came, with the time at which each piece did.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Pieces shorter than this are copied together: a body that comes byte by byte costs no more
/// memory than its bytes, nor does a short piece keep the whole of the buffer it was read into.
const PIECE_BYTES_MIN: usize = 1 << 10;
/// How far short pieces are put together.
const JOINED_BYTES_MAX: usize = 4 << 10;
/// And for how long, since the time of the first is that of all.
const JOINED_MS_MAX: u64 = 100;

/// What has been received and not yet been cut: the demuxer says where, this has the bytes.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pieces: VecDeque<(Bytes, u64)>,
    /// Where the first piece begins, counted from the first byte of the body.
    start: u64,
    /// Where the last piece ends.
    end: u64,
}

impl Raw {
    pub(super) fn push(&mut self, piece: Bytes, arrived_ms: u64) {
        self.end += piece.len() as u64;
        if piece.is_empty() {
            return;
        }
        if piece.len() >= PIECE_BYTES_MIN {
            return self.pieces.push_back((piece, arrived_ms));
        }
        if let Some((last, first_ms)) = self.pieces.back_mut()
            && last.len() + piece.len() <= JOINED_BYTES_MAX
            && arrived_ms.saturating_sub(*first_ms) <= JOINED_MS_MAX
        {
            *last = join(std::mem::take(last), &piece);
        } else {
            let copied = Bytes::copy_from_slice(&piece);
            self.pieces.push_back((copied, arrived_ms));
        }
    }

    /// Where the body ends so far.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// How many bytes are held.
    pub(super) fn len(&self) -> u64 {
        self.end - self.start
    }

    /// When the first byte held arrived.
    pub(super) fn arrived_ms(&self) -> Option<u64> {
        self.pieces.front().map(|(_, arrived_ms)| *arrived_ms)
    }

    /// Cuts off everything before `offset` and gives it piece by piece, not copied.
    pub(super) fn take_to(&mut self, offset: u64, mut each: impl FnMut(Bytes)) {
        while self.start < offset {
            let Some((first, _)) = self.pieces.front_mut() else {
                break;
            };
            let wanted = offset - self.start;
            let piece = if first.len() as u64 > wanted {
                first.split_to(wanted as usize)
            } else {
                std::mem::take(first)
            };
            if first.is_empty() {
                self.pieces.pop_front();
            }
            self.start += piece.len() as u64;
            each(piece);
        }
    }

    /// Forgets everything before `offset`.
    pub(super) fn skip_to(&mut self, offset: u64) {
        self.take_to(offset, drop);
    }

    /// Everything before `offset` in one piece; copies only if there are several.
    pub(super) fn bytes_to(&mut self, offset: u64) -> Bytes {
        let mut first = Bytes::new();
        let mut joined = BytesMut::new();
        self.take_to(offset, |piece| {
            if first.is_empty() && joined.is_empty() {
                first = piece;
            } else {
                joined.extend_from_slice(&std::mem::take(&mut first));
                joined.extend_from_slice(&piece);
            }
        });
        if joined.is_empty() {
            first
        } else {
            joined.freeze()
        }
    }
}

/// One behind the other; copies the first only where it has no room.
fn join(first: Bytes, second: &[u8]) -> Bytes {
    let mut joined = first
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&*shared));
    joined.extend_from_slice(second);
    joined.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_byte_by_byte_is_kept_in_few_pieces() {
        let mut raw = Raw::default();
        for at in 0..100_000_u64 {
            raw.push(Bytes::from(vec![at as u8]), 7);
        }
        assert!(raw.pieces.len() < 30, "{} pieces", raw.pieces.len());
        let whole = raw.bytes_to(100_000);
        assert!(whole.iter().enumerate().all(|(at, byte)| at as u8 == *byte));
    }

    #[test]
    fn cuts_across_pieces_and_knows_when_each_came() {
        let mut raw = Raw::default();
        raw.push(Bytes::from_static(b"abc"), 1);
        raw.push(Bytes::from_static(b"def"), 1001);
        raw.push(Bytes::from_static(b"ghi"), 2001);
        assert_eq!((raw.arrived_ms(), raw.len()), (Some(1), 9));
        assert_eq!(raw.bytes_to(2), "ab");
        assert_eq!(raw.bytes_to(7), "cdefg");
        assert_eq!((raw.arrived_ms(), raw.len(), raw.end()), (Some(2001), 2, 9));
        raw.skip_to(100);
        assert_eq!((raw.arrived_ms(), raw.len()), (None, 0));
    }
}

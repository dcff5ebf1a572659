//! The bytes that were pushed but not yet consumed, as a queue of pieces.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::FrameData;

/// Pieces shorter than this are copied together, so that input that comes byte by byte costs no
/// more memory than its bytes. A real network read is longer and is never copied.
const PIECE_BYTES_MIN: usize = 1 << 10;
/// How far short pieces are put together.
const JOINED_BYTES_MAX: usize = 4 << 10;

#[derive(Debug, Default)]
pub(super) struct Input {
    pieces: VecDeque<Bytes>,
    /// Bytes in all pieces.
    len: usize,
    /// Bytes consumed so far, which is where the first piece begins.
    position: u64,
}

impl Input {
    pub(super) fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.len += piece.len();
        if piece.len() < PIECE_BYTES_MIN
            && let Some(last) = self.pieces.back_mut()
            && last.len() + piece.len() <= JOINED_BYTES_MAX
        {
            *last = join(std::mem::take(last), &piece);
        } else {
            self.pieces.push_back(piece);
        }
    }

    /// How many bytes are at hand.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many bytes have been consumed.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next bytes: all of the first piece or, if that is short, a copy of up to `N` bytes.
    pub(super) fn peek<'a, const N: usize>(&'a self, copy: &'a mut [u8; N]) -> &'a [u8] {
        match self.pieces.front() {
            Some(first) if first.len() >= N || first.len() == self.len => first,
            _ => {
                let mut filled = 0;
                for piece in &self.pieces {
                    let count = piece.len().min(N - filled);
                    copy[filled..filled + count].copy_from_slice(&piece[..count]);
                    filled += count;
                    if filled == N {
                        break;
                    }
                }
                &copy[..filled]
            }
        }
    }

    /// Consumes one byte.
    pub(super) fn take_byte(&mut self) -> Option<u8> {
        let byte = *self.pieces.front()?.first()?;
        self.skip(1);
        Some(byte)
    }

    /// Consumes `count` bytes without copying them; `None`, and nothing, if they are not there.
    pub(super) fn take(&mut self, count: usize) -> Option<FrameData> {
        if count > self.len {
            return None;
        }
        let mut taken = FrameData::new();
        while taken.len() < count {
            let rest = count - taken.len();
            taken.push(self.take_from_first(rest)?);
        }
        Some(taken)
    }

    /// Consumes up to `count` bytes; says how many.
    pub(super) fn skip(&mut self, count: u64) -> u64 {
        let mut skipped = 0;
        while skipped < count {
            let rest = usize::try_from(count - skipped).unwrap_or(usize::MAX);
            let Some(piece) = self.take_from_first(rest) else {
                break;
            };
            skipped += piece.len() as u64;
        }
        skipped
    }

    /// Consumes up to `count` bytes of the first piece; no piece is empty.
    fn take_from_first(&mut self, count: usize) -> Option<Bytes> {
        let first = self.pieces.front_mut()?;
        let taken = if first.len() > count {
            first.split_to(count)
        } else {
            self.pieces.pop_front()?
        };
        self.len -= taken.len();
        self.position += taken.len() as u64;
        Some(taken)
    }
}

/// Both in one buffer, in place if nobody else holds `first`.
fn join(first: Bytes, second: &[u8]) -> Bytes {
    let mut joined = first.try_into_mut().unwrap_or_else(|first| {
        let mut copy = BytesMut::with_capacity(JOINED_BYTES_MAX);
        copy.extend_from_slice(&first);
        copy
    });
    joined.extend_from_slice(second);
    joined.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(pieces: &[&[u8]]) -> Input {
        Input {
            pieces: pieces
                .iter()
                .map(|piece| Bytes::copy_from_slice(piece))
                .collect(),
            len: pieces.iter().map(|piece| piece.len()).sum(),
            position: 0,
        }
    }

    #[test]
    fn peeks_over_the_border_of_pieces() {
        let input = input(&[b"a", b"bc", b"def"]);
        assert_eq!(input.peek(&mut [0; 4]), b"abcd");
        assert_eq!(input.peek(&mut [0; 9]), b"abcdef");
        assert_eq!(input.position(), 0);
    }

    #[test]
    fn takes_slices_of_what_was_pushed() {
        let mut input = input(&[b"abc", b"def"]);
        let taken = input.take(4).expect("six are there");
        assert_eq!(taken.pieces(), [&b"abc"[..], b"d"]);
        assert_eq!(input.take(3), None);
        assert_eq!((input.position(), input.len()), (4, 2));
        assert_eq!(input.skip(9), 2);
        assert_eq!((input.position(), input.take_byte()), (6, None));
    }

    #[test]
    fn short_pieces_are_put_together() {
        let mut input = Input::default();
        for byte in 0..20_000_u32 {
            input.push(Bytes::copy_from_slice(&[byte as u8]));
        }
        assert_eq!(input.pieces.len(), 20_000_usize.div_ceil(JOINED_BYTES_MAX));
        let taken = input.take(20_000).expect("all").to_bytes();
        assert!(taken.iter().enumerate().all(|(at, &byte)| byte == at as u8));
    }

    #[test]
    fn a_piece_from_the_network_is_not_copied() {
        let mut input = Input::default();
        input.push(Bytes::from_static(b"x"));
        let read = Bytes::from(vec![0; PIECE_BYTES_MIN]);
        input.push(read.clone());
        input.skip(1);
        let taken = input.take(read.len()).expect("all").to_bytes();
        assert_eq!(taken.as_ptr(), read.as_ptr());
    }
}

//! Bytes for the wire in the pieces in which they lie in memory.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Pieces in order, written with one vectored call and never copied together.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    queue: VecDeque<Bytes>,
    len: usize,
}

impl Extend<Bytes> for Pieces {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, pieces: I) {
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            self.len += piece.len();
            self.queue.push_back(piece);
        }
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        self.len -= count;
        while let Some(piece) = self.queue.front_mut() {
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.queue.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let slots = into.iter_mut().zip(&self.queue);
        slots
            .map(|(slot, piece)| *slot = IoSlice::new(piece))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_one_piece() {
        let mut pieces = Pieces::default();
        pieces.extend(["ab", "", "cde", "f"].map(Bytes::from));
        assert_eq!(pieces.remaining(), 6);
        let mut slots = [IoSlice::new(&[]); 2];
        assert_eq!(pieces.chunks_vectored(&mut slots), 2);
        pieces.advance(3);
        assert_eq!(pieces.chunk(), b"de");
        pieces.advance(3);
        assert!(!pieces.has_remaining());
    }
}

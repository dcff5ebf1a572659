//! The bytes of a file in memory, of which holes take no room.

use std::collections::BTreeMap;
use std::io;

/// The unit of a hole.
const PAGE_BYTES: usize = 4096;

/// Bytes in pages; a page that is not there is zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct SparseBytes {
    len: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE_BYTES]>>,
}

/// The part of a page that a range covers.
struct Span {
    page: u64,
    start: usize,
    end: usize,
}

fn spans(offset: u64, len: u64) -> impl Iterator<Item = Span> {
    let page_bytes = PAGE_BYTES as u64;
    let end = offset + len;
    (offset / page_bytes..end.div_ceil(page_bytes)).map(move |page| Span {
        page,
        start: offset.saturating_sub(page * page_bytes) as usize,
        end: (end - page * page_bytes).min(page_bytes) as usize,
    })
}

impl SparseBytes {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What it takes on a disk.
    pub(super) fn page_bytes(&self) -> u64 {
        (self.pages.len() * PAGE_BYTES) as u64
    }

    /// What a write there would take more.
    pub(super) fn missing_bytes(&self, offset: u64, len: u64) -> u64 {
        let missing = spans(offset, len).filter(|span| !self.pages.contains_key(&span.page));
        (missing.count() * PAGE_BYTES) as u64
    }

    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let len = out.len() as u64;
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut out = out;
        for span in spans(offset, len) {
            let (piece, rest) = out.split_at_mut(span.end - span.start);
            match self.pages.get(&span.page) {
                Some(page) => piece.copy_from_slice(&page[span.start..span.end]),
                None => piece.fill(0),
            }
            out = rest;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut bytes = bytes;
        for span in spans(offset, bytes.len() as u64) {
            let (piece, rest) = bytes.split_at(span.end - span.start);
            let page = self.pages.entry(span.page);
            let page = page.or_insert_with(|| Box::new([0; PAGE_BYTES]));
            page[span.start..span.end].copy_from_slice(piece);
            self.len = self
                .len
                .max(span.page * PAGE_BYTES as u64 + span.end as u64);
            bytes = rest;
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.punch(len, self.len - len);
        }
        self.len = len;
    }

    /// Zeros, without memory where they cover whole pages.
    pub(super) fn punch(&mut self, offset: u64, len: u64) {
        let end = offset.saturating_add(len).min(self.len);
        if offset >= end {
            return;
        }
        for span in spans(offset, end - offset) {
            let whole = span.end - span.start == PAGE_BYTES;
            let last = span.page * PAGE_BYTES as u64 + span.end as u64 == self.len;
            if whole || (span.start == 0 && last) {
                self.pages.remove(&span.page);
            } else if let Some(page) = self.pages.get_mut(&span.page) {
                page[span.start..span.end].fill(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_read_as_zeros_and_take_no_room() {
        let mut bytes = SparseBytes::default();
        bytes.write(4090, &[7; 5000]);
        assert_eq!(bytes.len(), 9090);
        bytes.punch(4096, 4096);
        let mut out = vec![1; 9090];
        bytes.read(0, &mut out).expect("it is that long");
        assert_eq!(out[4090..4096], [7; 6]);
        assert_eq!(out[4096..8192], [0; 4096]);
        assert_eq!(out[8192..], [7; 898]);
        assert_eq!(bytes.pages.len(), 2);
    }

    #[test]
    fn what_was_cut_does_not_come_back() {
        let mut bytes = SparseBytes::default();
        bytes.write(0, &[7; 100]);
        bytes.set_len(10);
        bytes.set_len(100);
        let mut out = [1; 100];
        bytes.read(0, &mut out).expect("it is that long");
        assert_eq!(out[..10], [7; 10]);
        assert_eq!(out[10..], [0; 90]);
        assert!(bytes.read(1, &mut out).is_err());
    }
}

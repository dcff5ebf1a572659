//! Copies of a track's frames, many to one allocation.
//!
//! A frame may wait for minutes until it is confirmed. A buffer held for so long may pin a block
//! many times its size (a demuxer's whole input), or run a hardware encoder's pool dry.

use bytes::{Bytes, BytesMut};

/// Few allocations for small frames (audio); little waste where only the last frame is left.
const CHUNK_BYTES: usize = 64 << 10;
/// From here on a frame has an allocation of its own: a chunk would be mostly it anyway.
const SHARED_BYTES_MAX: usize = CHUNK_BYTES / 2;

/// The chunk that the next frames of a track go to.
#[derive(Debug, Default)]
pub(super) struct Chunks(BytesMut);

impl Chunks {
    /// A copy of `data`, which lives as long as any frame of its chunk.
    pub(super) fn copy(&mut self, data: &[u8]) -> Bytes {
        if data.len() > SHARED_BYTES_MAX {
            return Bytes::copy_from_slice(data);
        }
        if self.0.capacity() < data.len() {
            self.0 = BytesMut::with_capacity(CHUNK_BYTES);
        }
        self.0.extend_from_slice(data);
        self.0.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_frames_lie_beside_each_other_and_large_ones_alone() {
        let mut chunks = Chunks::default();
        let first = chunks.copy(&[1; 100]);
        let second = chunks.copy(&[2; 100]);
        assert_eq!(first.as_ptr().wrapping_add(100), second.as_ptr());
        let large = chunks.copy(&vec![3; SHARED_BYTES_MAX + 1]);
        let third = chunks.copy(&[4; 100]);
        assert_eq!(second.as_ptr().wrapping_add(100), third.as_ptr());
        assert!(first.iter().all(|&byte| byte == 1) && large.iter().all(|&byte| byte == 3));
    }

    #[test]
    fn a_full_chunk_is_followed_by_another() {
        let mut chunks = Chunks::default();
        let frames: Vec<_> = (0..10u8)
            .map(|n| chunks.copy(&vec![n; SHARED_BYTES_MAX]))
            .collect();
        for (n, frame) in frames.iter().enumerate() {
            assert!(frame.len() == SHARED_BYTES_MAX && frame.iter().all(|&b| usize::from(b) == n));
        }
    }
}

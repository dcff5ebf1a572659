//! A frame: the currency between a pad, the rolling buffer, Matroska and a reader.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::{ProducerTime, TrackNumber};

/// One coded picture, audio packet or data item of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The track it belongs to.
    pub track: TrackNumber,
    /// When it is to be presented (PTS), in producer time.
    pub time: ProducerTime,
    /// When it is to be decoded, where the source told. Matroska does not carry it.
    pub decode_time: Option<ProducerTime>,
    /// How long it is shown, in nanoseconds, where known.
    pub duration_ns: Option<u64>,
    /// Whether decoding can start here.
    pub key: bool,
    /// The coded bytes, in the form that the track's codec id names (H.264: length-prefixed NALs).
    pub data: FrameData,
}

/// The bytes of a frame, in one piece or in the pieces in which they came from the network.
///
/// Most frames are one piece. A frame that straddles two reads keeps both, so that nothing is
/// copied on the way from a socket to a disk or to another socket.
#[derive(Clone, Debug, Default)]
pub struct FrameData {
    pieces: SmallVec<[Bytes; 1]>,
    len: usize,
}

impl FrameData {
    /// An empty frame, to be filled with [`push`](Self::push).
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes at the end. Empty pieces are left out.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push(piece);
        }
    }

    /// How many bytes all pieces have together.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order; none is empty.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// All bytes as one piece; copies only if there are several.
    pub fn to_bytes(&self) -> Bytes {
        match self.pieces.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => {
                let mut whole = BytesMut::with_capacity(self.len);
                many.iter().for_each(|piece| whole.extend_from_slice(piece));
                whole.freeze()
            }
        }
    }
}

impl From<Bytes> for FrameData {
    fn from(bytes: Bytes) -> Self {
        let mut data = Self::new();
        data.push(bytes);
        data
    }
}

/// Equal bytes are equal frames, however they are cut into pieces.
impl PartialEq for FrameData {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |data: &Self| data.pieces.clone().into_iter().flatten();
        self.len == other.len && bytes(self).eq(bytes(other))
    }
}

impl Eq for FrameData {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_ignores_how_the_bytes_are_cut() {
        let mut cut = FrameData::new();
        cut.push(Bytes::from_static(b"ab"));
        cut.push(Bytes::new());
        cut.push(Bytes::from_static(b"c"));
        assert_eq!(cut.pieces().len(), 2);
        assert_eq!(cut, FrameData::from(Bytes::from_static(b"abc")));
        assert_ne!(cut, FrameData::from(Bytes::from_static(b"abd")));
        assert_eq!(cut.to_bytes(), Bytes::from_static(b"abc"));
    }

    #[test]
    fn one_piece_is_not_copied() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        assert_eq!(
            FrameData::from(bytes.clone()).to_bytes().as_ptr(),
            bytes.as_ptr()
        );
    }
}

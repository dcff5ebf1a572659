//! What stands before the first cluster, kept to stand before every fragment that goes out.

use bytes::{BufMut, Bytes, BytesMut};

/// The Segment's id, then a size of 8 bytes that says "unknown".
const SEGMENT_OF_UNKNOWN_SIZE: [u8; 12] = [
    0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
];

/// The header of a session, as its producer sent it but for what would be untrue of one fragment.
#[derive(Debug, Default)]
pub(super) struct Header {
    /// Where the id and the size of a Segment of known size begin and end.
    segment: Option<(u64, u64)>,
    /// Tags elements: they belong to the first fragment alone.
    tags: Vec<Stretch>,
    /// What stands before every fragment but the first.
    document: Bytes,
}

#[derive(Debug)]
struct Stretch {
    from: u64,
    to: u64,
    /// What stands for it in the first fragment.
    first: Option<Bytes>,
}

impl Header {
    /// A Segment began whose size is known, which cannot hold for one fragment of it.
    pub(super) fn known_segment(&mut self, offset: u64, body: u64) {
        self.segment = Some((offset, body));
    }

    /// A Tags element before the first cluster; `first` is what remains of it, `None` all.
    pub(super) fn tags(&mut self, from: u64, to: u64, first: Option<Bytes>) {
        self.tags.push(Stretch { from, to, first });
    }

    /// All bytes before the first cluster: gives the header of the first fragment and keeps that
    /// of the others.
    pub(super) fn close(&mut self, whole: &Bytes) -> Bytes {
        self.document = self.write(whole, false);
        self.write(whole, true)
    }

    /// The header of every fragment but the first.
    pub(super) fn document(&self) -> Bytes {
        self.document.clone()
    }

    fn write(&self, whole: &Bytes, first: bool) -> Bytes {
        if self.segment.is_none() && self.tags.is_empty() {
            return whole.clone();
        }
        let mut out = BytesMut::with_capacity(whole.len() + SEGMENT_OF_UNKNOWN_SIZE.len());
        let mut at = 0;
        if let Some((from, to)) = self.segment {
            out.put(part(whole, at, from));
            out.put_slice(&SEGMENT_OF_UNKNOWN_SIZE);
            at = to;
        }
        for tags in &self.tags {
            out.put(part(whole, at, tags.from));
            match &tags.first {
                None if first => out.put(part(whole, tags.from, tags.to)),
                Some(rest) if first => out.put_slice(rest),
                _ => {}
            }
            at = tags.to;
        }
        out.put(part(whole, at, whole.len() as u64));
        out.freeze()
    }
}

/// The bytes from `from` to `to`; both are offsets that the demuxer found inside `whole`.
fn part(whole: &Bytes, from: u64, to: u64) -> Bytes {
    let end = whole.len();
    let to = (to as usize).min(end);
    whole.slice((from as usize).min(to)..to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stay_with_the_first_fragment_and_a_known_size_goes() {
        let mut header = Header::default();
        header.known_segment(4, 8);
        header.tags(10, 12, None);
        header.tags(12, 14, Some(Bytes::from_static(b"x")));
        let first = header.close(&Bytes::from_static(b"EBMLsegminTTttrest"));
        let unknown = SEGMENT_OF_UNKNOWN_SIZE.as_slice();
        assert_eq!(first, [b"EBML", unknown, b"inTTxrest"].concat());
        assert_eq!(header.document(), [b"EBML", unknown, b"inrest"].concat());
    }

    #[test]
    fn nothing_is_copied_where_nothing_changes() {
        let whole = Bytes::from(vec![1, 2, 3]);
        let mut header = Header::default();
        assert_eq!(header.close(&whole).as_ptr(), whole.as_ptr());
        assert_eq!(header.document().as_ptr(), whole.as_ptr());
    }
}

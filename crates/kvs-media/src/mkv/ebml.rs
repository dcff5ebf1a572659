//! EBML, the notation under Matroska: element ids, variable-size integers, values.

use std::fmt;

/// The longest id, 4 bytes: EBMLMaxIDLength of every Matroska document.
pub(super) const ID_BYTES_MAX: usize = 4;
/// The longest size field, 8 bytes: EBMLMaxSizeLength of every Matroska document.
pub(super) const SIZE_BYTES_MAX: usize = 8;
/// The longest element header.
pub(super) const HEADER_BYTES_MAX: usize = ID_BYTES_MAX + SIZE_BYTES_MAX;

/// An element's id with its length marker, as RFC 9559 prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) u32);

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0)
    }
}

/// The ids that this crate reads or writes, in the order of RFC 9559.
pub(super) mod id {
    use super::Id;

    pub(in super::super) const EBML: Id = Id(0x1A45_DFA3);
    pub(in super::super) const EBML_VERSION: Id = Id(0x4286);
    pub(in super::super) const EBML_READ_VERSION: Id = Id(0x42F7);
    pub(in super::super) const EBML_MAX_ID_LENGTH: Id = Id(0x42F2);
    pub(in super::super) const EBML_MAX_SIZE_LENGTH: Id = Id(0x42F3);
    pub(in super::super) const DOC_TYPE: Id = Id(0x4282);
    pub(in super::super) const DOC_TYPE_VERSION: Id = Id(0x4287);
    pub(in super::super) const DOC_TYPE_READ_VERSION: Id = Id(0x4285);
    pub(in super::super) const VOID: Id = Id(0xEC);
    pub(in super::super) const SEGMENT: Id = Id(0x1853_8067);
    pub(in super::super) const SEEK_HEAD: Id = Id(0x114D_9B74);
    pub(in super::super) const CUES: Id = Id(0x1C53_BB6B);
    pub(in super::super) const CHAPTERS: Id = Id(0x1043_A770);
    pub(in super::super) const ATTACHMENTS: Id = Id(0x1941_A469);
    pub(in super::super) const INFO: Id = Id(0x1549_A966);
    pub(in super::super) const TIMECODE_SCALE: Id = Id(0x2A_D7B1);
    pub(in super::super) const SEGMENT_UID: Id = Id(0x73A4);
    pub(in super::super) const TITLE: Id = Id(0x7BA9);
    pub(in super::super) const MUXING_APP: Id = Id(0x4D80);
    pub(in super::super) const WRITING_APP: Id = Id(0x5741);
    pub(in super::super) const TRACKS: Id = Id(0x1654_AE6B);
    pub(in super::super) const TRACK_ENTRY: Id = Id(0xAE);
    pub(in super::super) const TRACK_NUMBER: Id = Id(0xD7);
    pub(in super::super) const TRACK_UID: Id = Id(0x73C5);
    pub(in super::super) const TRACK_TYPE: Id = Id(0x83);
    pub(in super::super) const DEFAULT_DURATION: Id = Id(0x23_E383);
    pub(in super::super) const NAME: Id = Id(0x536E);
    pub(in super::super) const CODEC_ID: Id = Id(0x86);
    pub(in super::super) const CODEC_PRIVATE: Id = Id(0x63A2);
    pub(in super::super) const CONTENT_ENCODINGS: Id = Id(0x6D80);
    pub(in super::super) const VIDEO: Id = Id(0xE0);
    pub(in super::super) const PIXEL_WIDTH: Id = Id(0xB0);
    pub(in super::super) const PIXEL_HEIGHT: Id = Id(0xBA);
    pub(in super::super) const AUDIO: Id = Id(0xE1);
    pub(in super::super) const SAMPLING_FREQUENCY: Id = Id(0xB5);
    pub(in super::super) const CHANNELS: Id = Id(0x9F);
    pub(in super::super) const BIT_DEPTH: Id = Id(0x6264);
    pub(in super::super) const CLUSTER: Id = Id(0x1F43_B675);
    pub(in super::super) const TIMECODE: Id = Id(0xE7);
    pub(in super::super) const SIMPLE_BLOCK: Id = Id(0xA3);
    pub(in super::super) const BLOCK_GROUP: Id = Id(0xA0);
    pub(in super::super) const BLOCK: Id = Id(0xA1);
    pub(in super::super) const BLOCK_DURATION: Id = Id(0x9B);
    pub(in super::super) const REFERENCE_BLOCK: Id = Id(0xFB);
    pub(in super::super) const TAGS: Id = Id(0x1254_C367);
    pub(in super::super) const TAG: Id = Id(0x7373);
    pub(in super::super) const TARGETS: Id = Id(0x63C0);
    pub(in super::super) const TAG_TRACK_UID: Id = Id(0x63C5);
    pub(in super::super) const SIMPLE_TAG: Id = Id(0x67C8);
    pub(in super::super) const TAG_NAME: Id = Id(0x45A3);
    pub(in super::super) const TAG_STRING: Id = Id(0x4487);
}

/// What is wrong with a piece of EBML. The caller knows where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// The first byte of an id allows no id of 1 to 4 bytes.
    Id,
    /// The first byte of a size is 0: more than 8 bytes.
    Size,
    /// An element reaches over the end of its parent.
    Overrun,
    /// A value's size does not fit its type.
    Value(Id),
    /// A string is not UTF-8.
    Text(Id),
}

/// An element's id and how many bytes its body has; `None` is "unknown".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: Id,
    pub(super) size: Option<u64>,
    /// Bytes of id and size field together, 2 to 12.
    pub(super) len: usize,
}

impl Header {
    /// Reads a header from the start of `bytes`; `None` if it goes on behind their end.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let id_len = first.leading_zeros() as usize + 1;
        if id_len > ID_BYTES_MAX {
            return Err(Malformed::Id);
        }
        let Some(id_bytes) = bytes.get(..id_len) else {
            return Ok(None);
        };
        let id = id_bytes
            .iter()
            .fold(0, |id, &byte| (id << 8) | u32::from(byte));
        Ok(read_vint(&bytes[id_len..])?.map(|(size, size_len)| Self {
            id: Id(id),
            size: (size != unknown(size_len)).then_some(size),
            len: id_len + size_len,
        }))
    }
}

/// The value with all bits set, which as a size means "unknown".
const fn unknown(len: usize) -> u64 {
    (1 << (7 * len)) - 1
}

/// Reads a variable-size integer without its marker: value and length; `None` if it is cut off.
pub(super) fn read_vint(bytes: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let len = first.leading_zeros() as usize + 1;
    if len > SIZE_BYTES_MAX {
        return Err(Malformed::Size);
    }
    let Some(bytes) = bytes.get(..len) else {
        return Ok(None);
    };
    let value = bytes
        .iter()
        .fold(0, |value, &byte| (value << 8) | u64::from(byte));
    Ok(Some((value & unknown(len), len)))
}

/// The children of a master element whose whole body is at hand.
///
/// Ends after the first error.
#[derive(Clone, Debug)]
pub(super) struct Children<'a> {
    rest: &'a [u8],
}

impl<'a> Children<'a> {
    pub(super) fn of(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    fn read(&mut self) -> Result<(Id, &'a [u8]), Malformed> {
        let header = Header::read(self.rest)?.ok_or(Malformed::Overrun)?;
        let body = &self.rest[header.len..];
        let size = header.size.ok_or(Malformed::Overrun)?;
        let size = usize::try_from(size).map_err(|_| Malformed::Overrun)?;
        let (body, rest) = body.split_at_checked(size).ok_or(Malformed::Overrun)?;
        self.rest = rest;
        Ok((header.id, body))
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Result<(Id, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let child = self.read();
        if child.is_err() {
            self.rest = &[];
        }
        Some(child)
    }
}

/// An unsigned integer of 0 to 8 bytes.
pub(super) fn uint(id: Id, body: &[u8]) -> Result<u64, Malformed> {
    if body.len() > 8 {
        return Err(Malformed::Value(id));
    }
    Ok(body
        .iter()
        .fold(0, |value, &byte| (value << 8) | u64::from(byte)))
}

/// A float of 0, 4 or 8 bytes.
pub(super) fn float(id: Id, body: &[u8]) -> Result<f64, Malformed> {
    match body.len() {
        0 => Ok(0.0),
        4 => Ok(f32::from_bits(uint(id, body)? as u32).into()),
        8 => Ok(f64::from_bits(uint(id, body)?)),
        _ => Err(Malformed::Value(id)),
    }
}

/// A UTF-8 string; a zero byte ends it (RFC 8794 section 13 allows such padding).
pub(super) fn text(id: Id, body: &[u8]) -> Result<String, Malformed> {
    let text = body.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Text(id))?;
    Ok(text.to_owned())
}

/// Writes elements into a buffer; sizes take 8 bytes only where they are not yet known.
pub(super) mod write {
    use super::{Id, unknown};

    /// The bytes of an id, without leading zeros.
    pub(in super::super) fn id(out: &mut Vec<u8>, id: Id) {
        let bytes = id.0.to_be_bytes();
        out.extend_from_slice(&bytes[id.0.leading_zeros() as usize / 8..]);
    }

    /// A size in as few bytes as hold it.
    fn size(out: &mut Vec<u8>, size: usize) {
        let size = size as u64;
        let len = (1..8).find(|&len| size < unknown(len)).unwrap_or(8);
        let marked = size | (1 << (7 * len));
        out.extend_from_slice(&marked.to_be_bytes()[8 - len..]);
    }

    /// An element whose body is at hand.
    pub(in super::super) fn binary(out: &mut Vec<u8>, element: Id, body: &[u8]) {
        id(out, element);
        size(out, body.len());
        out.extend_from_slice(body);
    }

    /// A string element.
    pub(in super::super) fn text(out: &mut Vec<u8>, element: Id, text: &str) {
        binary(out, element, text.as_bytes());
    }

    /// An unsigned integer in as few bytes as hold it, at least one.
    pub(in super::super) fn uint(out: &mut Vec<u8>, element: Id, value: u64) {
        let skip = (value.leading_zeros() as usize / 8).min(7);
        binary(out, element, &value.to_be_bytes()[skip..]);
    }

    /// A float of 8 bytes.
    pub(in super::super) fn float(out: &mut Vec<u8>, element: Id, value: f64) {
        binary(out, element, &value.to_be_bytes());
    }

    /// A master element around whatever `children` writes.
    pub(in super::super) fn master(
        out: &mut Vec<u8>,
        element: Id,
        children: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut body = Vec::new();
        children(&mut body);
        binary(out, element, &body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_header_of_every_length() {
        let header = |bytes: &[u8]| Header::read(bytes).expect("a header");
        let long = [0x1F, 0x43, 0xB6, 0x75, 0x01, 0, 0, 0, 0, 0, 0, 5];
        let cluster = header(&long).expect("all 12 bytes are there");
        assert_eq!(
            (cluster.id, cluster.size, cluster.len),
            (id::CLUSTER, Some(5), 12)
        );
        assert_eq!(header(&[0xA3, 0x85]).map(|h| h.size), Some(Some(5)));
        for cut in 0..long.len() {
            assert_eq!(header(&long[..cut]), None);
        }
    }

    #[test]
    fn all_ones_is_unknown_at_every_length() {
        for len in 1..=SIZE_BYTES_MAX {
            let mut bytes = vec![0xEC];
            bytes.extend_from_slice(&((1u64 << (7 * len + 1)) - 1).to_be_bytes()[8 - len..]);
            let header = Header::read(&bytes).expect("valid").expect("whole");
            assert_eq!((header.size, header.len), (None, 1 + len));
        }
    }

    #[test]
    fn refuses_what_is_longer_than_the_maxima() {
        assert_eq!(Header::read(&[0x0F, 1, 2, 3, 4]), Err(Malformed::Id));
        assert_eq!(Header::read(&[0xA3, 0x00]), Err(Malformed::Size));
    }

    #[test]
    fn what_is_written_reads_back() {
        for value in [
            0,
            1,
            126,
            127,
            128,
            0x3FFF,
            0x4000,
            u64::from(u32::MAX),
            u64::MAX,
        ] {
            let mut out = Vec::new();
            write::uint(&mut out, id::TIMECODE, value);
            let (id, body) = Children::of(&out).next().expect("one").expect("valid");
            assert_eq!((id, uint(id, body)), (id::TIMECODE, Ok(value)));
        }
        for len in [0, 126, 127, 16_382, 16_383] {
            let mut out = Vec::new();
            write::binary(&mut out, id::CODEC_PRIVATE, &vec![7; len]);
            let (_, body) = Children::of(&out).next().expect("one").expect("valid");
            assert_eq!(body.len(), len);
        }
    }

    #[test]
    fn a_child_larger_than_its_parent_ends_the_walk() {
        let mut children = Children::of(&[0xD7, 0x82, 0x01]);
        assert_eq!(children.next(), Some(Err(Malformed::Overrun)));
        assert_eq!(children.next(), None);
    }

    #[test]
    fn values_of_odd_sizes_are_refused() {
        assert_eq!(
            uint(id::TIMECODE, &[0; 9]),
            Err(Malformed::Value(id::TIMECODE))
        );
        assert!(float(id::SAMPLING_FREQUENCY, &[0; 5]).is_err());
        assert!(text(id::TAG_NAME, &[0xFF]).is_err());
        assert_eq!(text(id::TAG_NAME, b"ab\0\0"), Ok("ab".to_owned()));
    }
}

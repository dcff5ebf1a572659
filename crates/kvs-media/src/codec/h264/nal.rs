//! NAL units: their kinds, and the two ways in which they follow each other.

use bytes::{BufMut, Bytes, BytesMut};

use super::bits::Bits;

/// What a NAL unit holds: nal_unit_type of H.264 table 7-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalKind {
    /// A slice that is not of an IDR picture, or partition A of one (1, 2).
    Slice,
    /// A slice of an IDR picture: decoding can start here (5).
    IdrSlice,
    /// Supplemental enhancement information (6).
    Sei,
    /// Sequence parameter set (7).
    Sps,
    /// Picture parameter set (8).
    Pps,
    /// Access unit delimiter (9).
    AccessUnitDelimiter,
    /// Filler data (12).
    Filler,
    /// Anything else.
    Other(u8),
}

impl NalKind {
    /// The kind of a NAL unit, by its first byte; an empty one is of kind 0.
    pub fn of(nal: &[u8]) -> Self {
        match nal.first().map_or(0, |byte| byte & 0x1F) {
            1 | 2 => Self::Slice,
            5 => Self::IdrSlice,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::AccessUnitDelimiter,
            12 => Self::Filler,
            other => Self::Other(other),
        }
    }

    /// Whether it is (a part of) a picture.
    pub fn is_slice(self) -> bool {
        matches!(self, Self::Slice | Self::IdrSlice)
    }
}

/// Whether decoding can start at an access unit of these NAL units: it has an IDR slice, or a
/// recovery point at which every picture is exact at once (an open GOP).
pub fn is_key<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> bool {
    nals.into_iter().any(starts_decoding)
}

/// Whether this NAL unit alone makes its access unit a key frame.
pub(super) fn starts_decoding(nal: &[u8]) -> bool {
    match NalKind::of(nal) {
        NalKind::IdrSlice => true,
        NalKind::Sei => has_exact_recovery_point(nal),
        _ => false,
    }
}

/// Looks for the SEI message "recovery point" (payloadType 6) with recovery_frame_cnt 0.
fn has_exact_recovery_point(sei: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    /// The last byte of an RBSP without further messages: the stop bit.
    const STOP: u8 = 0x80;
    let mut rest = sei.get(1..).unwrap_or_default();
    while rest.first().is_some_and(|&byte| byte != STOP) {
        let Some((kind, behind)) = sei_number(rest) else {
            return false;
        };
        let Some((size, payload)) = sei_number(behind) else {
            return false;
        };
        if kind == RECOVERY_POINT {
            return Bits::of_payload(payload).exp_golomb() == Some(0);
        }
        rest = payload.get(size..).unwrap_or_default();
    }
    false
}

/// A payloadType or payloadSize: a sum of bytes; 255 means that the sum goes on.
fn sei_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let full = bytes.iter().take_while(|&&byte| byte == u8::MAX).count();
    let last = usize::from(*bytes.get(full)?);
    Some((full * 255 + last, &bytes[full + 1..]))
}

/// Where the next start code, 00 00 01, begins in `bytes`, at or behind `from`.
pub(super) fn find_start_code(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(&[a, b, c]) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        match (a, b, c) {
            (0, 0, 1) => return Some(at),
            (_, _, 2..) => at += 3,
            (_, 1.., _) => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// The NAL units of a byte stream (H.264 annex B) that is whole. Bytes before the first start code
/// are no NAL unit; empty units are left out.
pub fn annex_b(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut next = find_start_code(stream, 0);
    std::iter::from_fn(move || {
        let start = next? + 3;
        next = find_start_code(stream, start);
        Some(trim_zeros(&stream[start..next.unwrap_or(stream.len())]))
    })
    .filter(|nal| !nal.is_empty())
}

/// A NAL unit never ends with a zero byte: such bytes belong to the start code behind it.
pub(super) fn trim_zeros(nal: &[u8]) -> &[u8] {
    let zeros = nal.iter().rev().take_while(|&&byte| byte == 0).count();
    &nal[..nal.len() - zeros]
}

/// A NAL unit's length reaches over the end of its access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a NAL unit reaches over the end of its access unit")]
pub struct BadLength;

/// The NAL units of an access unit in which each has its length, in `length_size` bytes, before it.
///
/// `length_size` is 1 to 4, as avcC says.
pub fn length_prefixed(access_unit: &[u8], length_size: u8) -> LengthPrefixed<'_> {
    LengthPrefixed {
        rest: access_unit,
        length_size: length_size.clamp(1, 4).into(),
    }
}

/// See [`length_prefixed`]. Ends after the first error.
#[derive(Clone, Debug)]
pub struct LengthPrefixed<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl<'a> Iterator for LengthPrefixed<'a> {
    type Item = Result<&'a [u8], BadLength>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let nal = self
            .rest
            .split_at_checked(self.length_size)
            .and_then(|(length, rest)| {
                let length = length
                    .iter()
                    .fold(0, |sum, &byte| (sum << 8) | usize::from(byte));
                rest.split_at_checked(length)
            });
        self.rest = nal.map_or(&[], |(_, rest)| rest);
        Some(nal.map(|(nal, _)| nal).ok_or(BadLength))
    }
}

/// NAL units as a byte stream, each behind a start code of 4 bytes.
pub fn to_annex_b<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut stream = BytesMut::new();
    for nal in nals {
        stream.put_u32(1);
        stream.put_slice(nal);
    }
    stream.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_nal_units_behind_short_and_long_start_codes() {
        let stream = [
            9, 0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 0, 0, 3, 0, 0, 0, 0, 1, 0, 0, 1, 0x65, 7,
        ];
        let nals: Vec<_> = annex_b(&stream).collect();
        assert_eq!(nals, [&[0x67, 1][..], &[0x68, 0, 0, 3], &[0x65, 7]]);
        assert_eq!(annex_b(&[0, 0]).count(), 0);
    }

    #[test]
    fn the_search_misses_no_start_code() {
        for prefix in 0..8 {
            for filler in [0, 1, 2, 0xFF] {
                let mut stream = vec![0xFF];
                stream.extend(vec![filler; prefix]);
                stream.extend([0xFF, 0, 0, 1]);
                assert_eq!(
                    find_start_code(&stream, 0),
                    Some(stream.len() - 3),
                    "{stream:?}"
                );
            }
        }
        assert_eq!(find_start_code(&[0, 1, 0, 0, 1], 0), Some(2));
    }

    #[test]
    fn lengths_and_start_codes_convert_into_each_other() {
        for length_size in 1..=4 {
            let nals = [&[0x67, 1, 2][..], &[0x65, 9]];
            let mut unit = Vec::new();
            for nal in nals {
                unit.extend_from_slice(&(nal.len() as u32).to_be_bytes()[4 - length_size..]);
                unit.extend_from_slice(nal);
            }
            let read: Result<Vec<_>, _> = length_prefixed(&unit, length_size as u8).collect();
            let read = read.expect("valid");
            assert_eq!(read, nals);
            let stream = to_annex_b(read);
            assert_eq!(annex_b(&stream).collect::<Vec<_>>(), nals);
        }
    }

    #[test]
    fn a_length_over_the_end_is_an_error_and_the_end() {
        let mut nals = length_prefixed(&[0, 0, 0, 1, 0x65, 0, 0, 0, 2, 1], 4);
        assert_eq!(nals.next(), Some(Ok(&[0x65][..])));
        assert_eq!(nals.next(), Some(Err(BadLength)));
        assert_eq!(nals.next(), None);
        assert_eq!(length_prefixed(&[0, 0], 4).next(), Some(Err(BadLength)));
    }

    #[test]
    fn a_key_frame_is_known_by_its_nal_units() {
        let p_slice = &[0x41, 0x9A][..];
        let buffering = &[0x06, 0, 1, 0x80, 0x80][..];
        // user data first, then recovery point with ue(0), 1-bit fields, stop bit
        let recovery = &[0x06, 5, 2, 7, 7, 6, 1, 0xC4, 0x80][..];
        let refresh = &[0x06, 6, 2, 0x0A, 0x40, 0x80][..];
        assert!(is_key([&[0x06, 5][..], &[0x65, 0x88]]));
        assert!(is_key([recovery, p_slice]));
        assert!(!is_key([refresh, p_slice]), "exact only after some frames");
        assert!(!is_key([buffering, p_slice]));
        assert!(!is_key([&[0x06, 0xFF][..], &[0x06], &[]]));
    }
}

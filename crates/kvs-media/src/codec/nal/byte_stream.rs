//! The byte stream: NAL units behind start codes (annex B of H.264 and of H.265).

use bytes::{BufMut, Bytes, BytesMut};

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

/// The NAL units of a byte stream that is whole. Bytes before the first start code
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
}

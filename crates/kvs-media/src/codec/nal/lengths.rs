//! NAL units with a length before each, as files carry them (ISO/IEC 14496-15).

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

#[cfg(test)]
mod tests {
    use super::super::{annex_b, to_annex_b};
    use super::*;

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
}

//! The boxes of an MP4 file: a size, a kind, a body (ISO/IEC 14496-12 section 4.2).

/// The boxes in `bytes`, until one that is not whole.
pub(super) fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let head = Head::parse(bytes)?;
        let size = match head.size {
            0 => bytes.len(),
            size => usize::try_from(size).ok()?,
        };
        let whole = bytes.get(..size)?;
        let (kind, body) = (bytes.get(4..8)?, whole.get(head.bytes..)?);
        bytes = &bytes[size..];
        Some((kind, body))
    })
}

/// What stands before the body of a box.
pub(super) struct Head {
    /// Of the whole box; 0 is all the rest.
    pub(super) size: u64,
    /// Of the head itself.
    pub(super) bytes: usize,
}

impl Head {
    /// The longest head.
    pub(super) const BYTES_MAX: usize = 16;

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        match u32_at(bytes, 0)? {
            1 => Some(Self {
                size: u64_at(bytes, 8)?,
                bytes: Self::BYTES_MAX,
            }),
            size => Some(Self {
                size: size.into(),
                bytes: 8,
            }),
        }
    }
}

/// The body of the box at the end of this path.
pub(super) fn inside<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, wanted| {
        let mut found = boxes(bytes).filter(|(kind, _)| kind == wanted);
        found.next().map(|(_, body)| body)
    })
}

/// The rows of a table that begins with their count, each of `N` bytes.
pub(super) fn rows<const N: usize>(bytes: &[u8], count_at: usize) -> Option<&[[u8; N]]> {
    let count = u32_at(bytes, count_at)? as usize;
    let (rows, _) = bytes.get(count_at + 4..)?.as_chunks();
    rows.get(..count)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_that_is_cut_off_or_lies_about_its_size_is_none() {
        let whole = b"\0\0\0\x0cfreeabcd\0\0\0\0mdatrest";
        let found: Vec<_> = boxes(whole).collect();
        assert_eq!(found, [(&b"free"[..], &b"abcd"[..]), (b"mdat", b"rest")]);
        let long = b"\0\0\0\x01free\0\0\0\0\0\0\0\x12ab";
        assert_eq!(boxes(long).next(), Some((&b"free"[..], &b"ab"[..])));
        for end in 0..12 {
            assert_eq!(boxes(&whole[..end]).next(), None, "{end}");
        }
        for size in [2, 7] {
            let lie = [&[0, 0, 0, size][..], b"freeabcd"].concat();
            assert_eq!(boxes(&lie).next(), None, "{size}");
        }
        let huge = b"\0\0\0\x01free\xff\xff\xff\xff\xff\xff\xff\xffab";
        assert_eq!(boxes(huge).next(), None);
    }
}

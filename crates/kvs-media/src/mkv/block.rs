//! Blocks: a track number, a relative time, flags and one or more frames.

use super::DemuxErrorKind;
use super::ebml::{Id, Malformed, read_vint};
use super::input::Input;
use crate::FrameData;

/// Track number of at most 8 bytes, relative time of 2, flags of 1.
const HEADER_BYTES_MAX: usize = 11;

/// The body of a SimpleBlock or Block.
#[derive(Debug)]
pub(super) struct Block {
    /// The track's number, whether or not the track exists.
    pub(super) track: u64,
    /// Time after the cluster's timecode, in the same units.
    pub(super) relative: i16,
    /// The flags' key bit, which means something in a SimpleBlock only.
    pub(super) key: bool,
    pub(super) frames: Frames,
}

/// The frames of a block: nearly always one.
#[derive(Debug)]
pub(super) enum Frames {
    One(FrameData),
    Laced(Vec<FrameData>),
}

impl Block {
    /// Consumes `size` bytes, all at hand, as the body of element `id`.
    pub(super) fn take(input: &mut Input, size: usize, id: Id) -> Result<Self, DemuxErrorKind> {
        Self::read(input, size).map_err(|malformed| DemuxErrorKind::of(malformed, id))
    }

    fn read(input: &mut Input, size: usize) -> Result<Self, Malformed> {
        let mut copy = [0; HEADER_BYTES_MAX];
        let bytes = input.peek(&mut copy);
        let bytes = &bytes[..bytes.len().min(size)];
        let (track, number_len) = read_vint(bytes)?.ok_or(Malformed::Overrun)?;
        let Some(&[high, low, flags]) = bytes[number_len..].first_chunk() else {
            return Err(Malformed::Overrun);
        };
        let payload = size - number_len - 3;
        input.skip(number_len as u64 + 3);
        Ok(Self {
            track,
            relative: i16::from_be_bytes([high, low]),
            key: flags & 0x80 != 0,
            frames: match (flags >> 1) & 0b11 {
                0b00 => Frames::One(input.take(payload).ok_or(Malformed::Overrun)?),
                0b01 => Frames::Laced(Lace::new(input, payload).xiph()?),
                0b10 => Frames::Laced(Lace::new(input, payload).fixed()?),
                _ => Frames::Laced(Lace::new(input, payload).ebml()?),
            },
        })
    }
}

/// Several frames behind one header (RFC 9559 section 10.3). At most 256, as a byte counts them.
struct Lace<'a> {
    input: &'a mut Input,
    /// Bytes of the block not yet consumed.
    rest: usize,
}

impl<'a> Lace<'a> {
    fn new(input: &'a mut Input, rest: usize) -> Self {
        Self { input, rest }
    }

    /// Sizes as sums of bytes; 255 means that the sum goes on.
    fn xiph(mut self) -> Result<Vec<FrameData>, Malformed> {
        let count = self.count()?;
        let mut sizes = Vec::with_capacity(count);
        for _ in 1..count {
            let mut size = 0;
            loop {
                let byte = self.byte()?;
                size += usize::from(byte);
                if byte < u8::MAX {
                    break;
                }
            }
            sizes.push(size);
        }
        self.split(&sizes)
    }

    /// The first size as a variable-size integer, then the differences, which are signed.
    fn ebml(mut self) -> Result<Vec<FrameData>, Malformed> {
        let count = self.count()?;
        let mut sizes = Vec::with_capacity(count);
        let mut size = 0;
        for at in 1..count {
            let (value, len) = self.vint()?;
            let step = if at == 1 {
                value as i64
            } else {
                value as i64 - ((1 << (7 * len - 1)) - 1)
            };
            size += step;
            sizes.push(usize::try_from(size).map_err(|_| Malformed::Overrun)?);
            if size > self.rest as i64 {
                return Err(Malformed::Overrun);
            }
        }
        self.split(&sizes)
    }

    /// All frames are of one size.
    fn fixed(mut self) -> Result<Vec<FrameData>, Malformed> {
        let count = self.count()?;
        if !self.rest.is_multiple_of(count) {
            return Err(Malformed::Overrun);
        }
        let sizes = vec![self.rest / count; count - 1];
        self.split(&sizes)
    }

    fn count(&mut self) -> Result<usize, Malformed> {
        Ok(usize::from(self.byte()?) + 1)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.rest = self.rest.checked_sub(1).ok_or(Malformed::Overrun)?;
        self.input.take_byte().ok_or(Malformed::Overrun)
    }

    /// A variable-size integer below 2^56 and its length.
    fn vint(&mut self) -> Result<(u64, usize), Malformed> {
        let mut copy = [0; 8];
        let bytes = self.input.peek(&mut copy);
        let bytes = &bytes[..bytes.len().min(self.rest)];
        let (value, len) = read_vint(bytes)?.ok_or(Malformed::Overrun)?;
        self.input.skip(len as u64);
        self.rest -= len;
        Ok((value, len))
    }

    /// The frames; the last one has what is left.
    fn split(mut self, sizes: &[usize]) -> Result<Vec<FrameData>, Malformed> {
        let mut frames = Vec::with_capacity(sizes.len() + 1);
        for &size in sizes {
            self.rest = self.rest.checked_sub(size).ok_or(Malformed::Overrun)?;
            frames.push(self.input.take(size).ok_or(Malformed::Overrun)?);
        }
        frames.push(self.input.take(self.rest).ok_or(Malformed::Overrun)?);
        Ok(frames)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ebml::id;
    use super::*;
    use bytes::Bytes;

    /// The frames of a block of track 1 with these flags and this body.
    fn frames(flags: u8, body: &[u8]) -> Result<Vec<Bytes>, DemuxErrorKind> {
        let mut bytes = vec![0x81, 0xFF, 0xFE, flags];
        bytes.extend_from_slice(body);
        let mut input = Input::default();
        let size = bytes.len();
        bytes.extend_from_slice(b"behind");
        input.push(bytes.into());
        let block = Block::take(&mut input, size, id::SIMPLE_BLOCK)?;
        assert_eq!((block.track, block.relative), (1, -2));
        assert_eq!(input.len(), 6, "nothing behind the block is touched");
        Ok(match block.frames {
            Frames::One(frame) => vec![frame.to_bytes()],
            Frames::Laced(frames) => frames.iter().map(FrameData::to_bytes).collect(),
        })
    }

    #[test]
    fn one_frame() {
        assert_eq!(frames(0x80, b"abc").expect("valid"), [&b"abc"[..]]);
        assert!(frames(0, b"").expect("an empty frame is a frame")[0].is_empty());
    }

    #[test]
    fn xiph_lacing() {
        let mut body = vec![2, 255, 1, 3];
        body.extend_from_slice(&[7; 256]);
        body.extend_from_slice(b"abcde");
        let frames = frames(0x02, &body).expect("valid");
        assert_eq!(frames, [&[7; 256][..], b"abc", b"de"]);
    }

    #[test]
    fn ebml_lacing() {
        // sizes 3, 3 - 2 = 1, the rest: the example of RFC 9559 with smaller numbers
        let frames = frames(0x06, b"\x02\x83\xBDabcdef").expect("valid");
        assert_eq!(frames, [&b"abc"[..], b"d", b"ef"]);
    }

    #[test]
    fn fixed_lacing() {
        assert_eq!(
            frames(0x04, b"\x01abcd").expect("valid"),
            [&b"ab"[..], b"cd"]
        );
        assert!(frames(0x04, b"\x01abc").is_err());
    }

    #[test]
    fn lacing_that_leaves_the_block_is_refused() {
        for (flags, body) in [
            (0x02, &b""[..]),
            (0x02, b"\x01"),
            (0x02, b"\x01\x09abc"),
            (0x02, b"\x01\xFF"),
            (0x06, b"\x01\x89abc"),
            (0x06, b"\x02\x81\x80abc"),
            (0x06, b"\x01\x01"),
        ] {
            assert!(frames(flags, body).is_err(), "{flags} {body:?}");
        }
    }

    #[test]
    fn a_block_shorter_than_its_header_is_refused() {
        for size in 0..4 {
            let mut input = Input::default();
            input.push(Bytes::from_static(&[0x81, 0, 0, 0, 0, 0]));
            assert!(Block::take(&mut input, size, id::BLOCK).is_err());
        }
    }
}

//! G.711, A-law and µ-law, as Matroska carries it: `A_MS/ACM` with a WAVEFORMATEX.

use bytes::{BufMut, Bytes, BytesMut};

/// Matroska's codec id for anything that a WAVEFORMATEX describes.
pub const CODEC_ID: &str = "A_MS/ACM";

/// Bytes of a WAVEFORMATEX with its size field.
const FORMAT_BYTES: usize = 18;
/// Of those, the ones that every format has.
const FORMAT_BYTES_MIN: usize = 16;
const BITS_PER_SAMPLE: u16 = 8;

/// Which of the two curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// A-law, wFormatTag 6.
    A,
    /// µ-law, wFormatTag 7.
    Mu,
}

/// What a WAVEFORMATEX says of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct G711 {
    /// The curve.
    pub law: Law,
    /// Samples a second, mostly 8000.
    pub sample_rate: u32,
    /// How many channels, mostly 1.
    pub channels: u16,
}

/// Bytes that are no WAVEFORMATEX of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum G711Error {
    /// It ends too early.
    #[error("the WAVEFORMATEX is cut off")]
    CutOff,
    /// Another codec.
    #[error("WAVEFORMATEX format {0:#06x} is not G.711")]
    OtherFormat(u16),
    /// No channels, 0 Hz, or not 8 bits a sample.
    #[error("the WAVEFORMATEX makes no sense for G.711")]
    Impossible,
}

impl G711 {
    /// Reads a WAVEFORMATEX.
    ///
    /// # Errors
    /// It is cut off, of another codec, or has values that G.711 cannot have.
    pub fn parse(format: &[u8]) -> Result<Self, G711Error> {
        let format: &[u8; FORMAT_BYTES_MIN] = format.first_chunk().ok_or(G711Error::CutOff)?;
        let two = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
        let law = match two(0) {
            6 => Law::A,
            7 => Law::Mu,
            other => return Err(G711Error::OtherFormat(other)),
        };
        let sample_rate = u32::from(two(4)) | u32::from(two(6)) << 16;
        let channels = two(2);
        if sample_rate == 0 || channels == 0 || two(14) != BITS_PER_SAMPLE {
            return Err(G711Error::Impossible);
        }
        Ok(Self {
            law,
            sample_rate,
            channels,
        })
    }

    /// Writes the WAVEFORMATEX, 18 bytes.
    pub fn build(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(FORMAT_BYTES);
        out.put_u16_le(match self.law {
            Law::A => 6,
            Law::Mu => 7,
        });
        out.put_u16_le(self.channels);
        out.put_u32_le(self.sample_rate);
        // a byte a sample
        out.put_u32_le(self.sample_rate.saturating_mul(self.channels.into()));
        out.put_u16_le(self.channels);
        out.put_u16_le(BITS_PER_SAMPLE);
        out.put_u16_le(0); // nothing follows
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_built() {
        for law in [Law::A, Law::Mu] {
            let format = G711 {
                law,
                sample_rate: 8000,
                channels: 2,
            };
            let built = format.build();
            assert_eq!(built.len(), FORMAT_BYTES);
            assert_eq!(G711::parse(&built), Ok(format));
            assert_eq!(G711::parse(&built[..15]), Err(G711Error::CutOff));
        }
    }

    #[test]
    fn has_the_layout_of_the_microsoft_header() {
        let built = G711 {
            law: Law::A,
            sample_rate: 8000,
            channels: 1,
        }
        .build();
        let bytes = [
            6, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0, 0, 0,
        ];
        assert_eq!(built[..], bytes);
    }

    #[test]
    fn refuses_other_formats() {
        let mut pcm = G711 {
            law: Law::A,
            sample_rate: 8000,
            channels: 1,
        }
        .build()
        .to_vec();
        pcm[0] = 1;
        assert_eq!(G711::parse(&pcm), Err(G711Error::OtherFormat(1)));
        pcm[0] = 6;
        pcm[14] = 16;
        assert_eq!(G711::parse(&pcm), Err(G711Error::Impossible));
    }
}

//! avcC, the AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1): Matroska's
//! CodecPrivate and GStreamer's `codec_data`.

use bytes::{BufMut, Bytes, BytesMut};

use super::nal::{PPS, SPS};
use super::sps::Sps;
use crate::codec::nal::{DecoderConfig, ParameterSets};

const VERSION: u8 = 1;
/// Bits that are reserved and set: before lengthSizeMinusOne, the chroma format and the counts.
const RESERVED_6: u8 = 0b1111_1100;
const RESERVED_5: u8 = 0b1111_1000;
const RESERVED_3: u8 = 0b1110_0000;

/// What a decoder has to know before the first access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvcConfig {
    /// AVCProfileIndication, as in [`Sps::profile`].
    pub profile: u8,
    /// profile_compatibility, as in [`Sps::compatibility`].
    pub compatibility: u8,
    /// AVCLevelIndication, as in [`Sps::level`].
    pub level: u8,
    /// How many bytes hold a NAL unit's length: 1, 2 or 4.
    pub length_size: u8,
    /// The sequence parameter sets, at most 31, each a NAL unit.
    pub sps: Vec<Bytes>,
    /// The picture parameter sets, at most 255, each a NAL unit.
    pub pps: Vec<Bytes>,
}

/// Bytes that are no avcC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AvcConfigError {
    /// It ends too early.
    #[error("the avcC is cut off")]
    CutOff,
    /// Not version 1: often a byte stream without avcC.
    #[error("the avcC is of version {0}, not 1")]
    Version(u8),
    /// Lengths of 3 bytes do not exist.
    #[error("the avcC has NAL unit lengths of 3 bytes")]
    LengthSize,
}

impl AvcConfig {
    /// The codec as web pages and playlists name it (RFC 6381): `avc1.64001f`.
    pub fn rfc6381(&self) -> String {
        let Self {
            profile,
            compatibility,
            level,
            ..
        } = self;
        format!("avc1.{profile:02x}{compatibility:02x}{level:02x}")
    }
}

impl DecoderConfig for AvcConfig {
    type Error = AvcConfigError;

    /// What may follow the parameter sets repeats what is in them.
    fn parse(avcc: &[u8]) -> Result<Self, AvcConfigError> {
        let Some((&[version, profile, compatibility, level, lengths, sps_count], rest)) =
            avcc.split_first_chunk()
        else {
            return Err(AvcConfigError::CutOff);
        };
        if version != VERSION {
            return Err(AvcConfigError::Version(version));
        }
        let length_size = (lengths & !RESERVED_6) + 1;
        if length_size == 3 {
            return Err(AvcConfigError::LengthSize);
        }
        let (sps, rest) = read_sets(rest, sps_count & !RESERVED_3)?;
        let (&pps_count, rest) = rest.split_first().ok_or(AvcConfigError::CutOff)?;
        let (pps, _) = read_sets(rest, pps_count)?;
        Ok(Self {
            profile,
            compatibility,
            level,
            length_size,
            sps,
            pps,
        })
    }

    /// Sets beyond the 31 and 255 that it can hold, or of more than 65 535 bytes, are left out.
    fn build(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_slice(&[VERSION, self.profile, self.compatibility, self.level]);
        out.put_u8(RESERVED_6 | (self.length_size.clamp(1, 4) - 1));
        let at = write_sets(&mut out, &self.sps, !RESERVED_3);
        out[at] |= RESERVED_3;
        write_sets(&mut out, &self.pps, u8::MAX);
        let sps = self.sps.first().and_then(|sps| Sps::parse(sps).ok());
        if let Some(sps) = sps.filter(|_| Sps::has_chroma(self.profile)) {
            out.put_u8(RESERVED_6 | sps.chroma_format);
            out.put_u8(RESERVED_5 | (sps.bit_depth_luma - 8));
            out.put_u8(RESERVED_5 | (sps.bit_depth_chroma - 8));
            out.put_u8(0); // no extensions of sequence parameter sets
        }
        out.freeze()
    }

    fn from_sets(sets: &ParameterSets) -> Option<Self> {
        let of = |kind| sets.of_kind(kind).cloned().collect::<Vec<_>>();
        let (sps, pps) = (of(SPS), of(PPS));
        let first = Sps::parse(sps.first()?).ok()?;
        pps.first()?;
        Some(Self {
            profile: first.profile,
            compatibility: first.compatibility,
            level: first.level,
            length_size: 4,
            sps,
            pps,
        })
    }

    fn sets(&self) -> impl Iterator<Item = &Bytes> {
        self.sps.iter().chain(&self.pps)
    }

    fn length_size(&self) -> u8 {
        self.length_size
    }

    fn with_length_size(self, length_size: u8) -> Self {
        Self {
            length_size,
            ..self
        }
    }

    fn size(&self) -> Option<(u32, u32)> {
        let sps = Sps::parse(self.sps.first()?).ok()?;
        Some((sps.width, sps.height))
    }
}

fn read_sets(mut bytes: &[u8], count: u8) -> Result<(Vec<Bytes>, &[u8]), AvcConfigError> {
    let mut sets = Vec::with_capacity(count.into());
    for _ in 0..count {
        let (&length, rest) = bytes.split_first_chunk().ok_or(AvcConfigError::CutOff)?;
        let length = u16::from_be_bytes(length).into();
        let (set, rest) = rest
            .split_at_checked(length)
            .ok_or(AvcConfigError::CutOff)?;
        sets.push(Bytes::copy_from_slice(set));
        bytes = rest;
    }
    Ok((sets, bytes))
}

/// Writes a count and that many sets; says where the count stands.
fn write_sets(out: &mut BytesMut, sets: &[Bytes], max: u8) -> usize {
    let at = out.len();
    out.put_u8(0);
    let fitting = sets
        .iter()
        .filter_map(|set| Some((u16::try_from(set.len()).ok()?, set)));
    for (length, set) in fitting.take(max.into()) {
        out[at] += 1;
        out.put_u16(length);
        out.put_slice(set);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AvcConfig {
        AvcConfig {
            profile: 77,
            compatibility: 0x40,
            level: 30,
            length_size: 4,
            sps: vec![Bytes::from_static(&[0x67, 77, 0x40, 30])],
            pps: vec![
                Bytes::from_static(&[0x68, 1]),
                Bytes::from_static(&[0x68, 2]),
            ],
        }
    }

    #[test]
    fn what_is_built_parses() {
        let built = config().build();
        assert_eq!(AvcConfig::parse(&built), Ok(config()));
        assert_eq!(config().rfc6381(), "avc1.4d401e");
    }

    #[test]
    fn every_cut_is_refused() {
        let built = config().build();
        for len in 0..built.len() {
            assert_eq!(AvcConfig::parse(&built[..len]), Err(AvcConfigError::CutOff));
        }
    }

    #[test]
    fn a_byte_stream_is_no_avcc() {
        let stream = [0, 0, 0, 1, 0x67, 77, 0x40];
        assert_eq!(AvcConfig::parse(&stream), Err(AvcConfigError::Version(0)));
    }

    #[test]
    fn no_more_sets_than_the_counts_can_say() {
        let mut config = config();
        config.sps = vec![config.sps[0].clone(); 40];
        config.pps = vec![Bytes::from(vec![0x68; 1 << 16]); 2];
        let parsed = AvcConfig::parse(&config.build()).expect("valid");
        assert_eq!((parsed.sps.len(), parsed.pps.len()), (31, 0));
    }
}

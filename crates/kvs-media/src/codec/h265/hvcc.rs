//! hvcC, the HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 8.3.3.1): Matroska's
//! CodecPrivate and GStreamer's `codec_data`.

use bytes::{BufMut, Bytes, BytesMut};

use super::nal::{PPS, SPS, VPS};
use super::sps::{ProfileTierLevel, Sps};
use crate::codec::nal::{DecoderConfig, ParameterSets};

const VERSION: u8 = 1;
/// The fields between the level and the arrays of sets.
const FIXED_BYTES: usize = 10;
/// lengthSizeMinusOne, behind numTemporalLayers and temporalIdNested.
const LENGTH_SIZE_BITS: u8 = 0b11;
/// Bits that are reserved and set.
const RESERVED_4: u8 = 0b1111_0000;
const RESERVED_5: u8 = 0b1111_1000;
const RESERVED_6: u8 = 0b1111_1100;
/// Behind array_completeness, which stays 0: a stream may have changed sets in its pictures.
const KIND_BITS: u8 = 0b0011_1111;

/// What a decoder has to know before the first access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HevcConfig {
    /// What a decoder has to be able to do.
    pub profile: ProfileTierLevel,
    /// How many bytes hold a NAL unit's length: 1, 2 or 4.
    pub length_size: u8,
    /// The video parameter sets, each a NAL unit.
    pub vps: Vec<Bytes>,
    /// The sequence parameter sets, each a NAL unit.
    pub sps: Vec<Bytes>,
    /// The picture parameter sets, each a NAL unit.
    pub pps: Vec<Bytes>,
}

/// Bytes that are no hvcC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HevcConfigError {
    /// It ends too early.
    #[error("the hvcC is cut off")]
    CutOff,
    /// Not version 1: often a byte stream without hvcC.
    #[error("the hvcC is of version {0}, not 1")]
    Version(u8),
    /// Lengths of 3 bytes do not exist.
    #[error("the hvcC has NAL unit lengths of 3 bytes")]
    LengthSize,
}

impl DecoderConfig for HevcConfig {
    type Error = HevcConfigError;

    /// What stands between level and sets repeats what is in them, or only helps to choose.
    fn parse(hvcc: &[u8]) -> Result<Self, HevcConfigError> {
        let cut = HevcConfigError::CutOff;
        let (&version, rest) = hvcc.split_first().ok_or(cut)?;
        let (&profile, rest) = rest.split_first_chunk().ok_or(cut)?;
        let (fixed, rest) = rest.split_first_chunk::<FIXED_BYTES>().ok_or(cut)?;
        let [.., lengths, arrays] = *fixed;
        if version != VERSION {
            return Err(HevcConfigError::Version(version));
        }
        let length_size = (lengths & LENGTH_SIZE_BITS) + 1;
        if length_size == 3 {
            return Err(HevcConfigError::LengthSize);
        }
        let mut config = Self {
            profile,
            length_size,
            vps: Vec::new(),
            sps: Vec::new(),
            pps: Vec::new(),
        };
        config.read_arrays(rest, arrays)?;
        Ok(config)
    }

    /// Sets beyond the 65 535 of a kind that it can hold, or of more than 65 535 bytes, are left
    /// out.
    fn build(&self) -> Bytes {
        let sps = self.sps.first().and_then(|sps| Sps::parse(sps).ok());
        let of_sps = |value: fn(&Sps) -> u8| sps.as_ref().map_or(0, value);
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        out.put_slice(&self.profile);
        out.put_slice(&[RESERVED_4, 0]); // min_spatial_segmentation_idc: nothing is promised
        out.put_u8(RESERVED_6); // parallelismType: not known
        out.put_u8(RESERVED_6 | of_sps(|sps| sps.chroma_format));
        out.put_u8(RESERVED_5 | of_sps(|sps| sps.bit_depth_luma - 8));
        out.put_u8(RESERVED_5 | of_sps(|sps| sps.bit_depth_chroma - 8));
        out.put_u16(0); // avgFrameRate: not told
        let layers = of_sps(|sps| sps.temporal_layers) << 3;
        let nesting = of_sps(|sps| sps.temporal_nesting.into()) << 2;
        out.put_u8(layers | nesting | (self.length_size.clamp(1, 4) - 1));
        let arrays = [(VPS, &self.vps), (SPS, &self.sps), (PPS, &self.pps)];
        let arrays = arrays.into_iter().filter(|(_, sets)| !sets.is_empty());
        out.put_u8(arrays.clone().count() as u8);
        arrays.for_each(|(kind, sets)| write_array(&mut out, kind, sets));
        out.freeze()
    }

    fn from_sets(sets: &ParameterSets) -> Option<Self> {
        let of = |kind| sets.of_kind(kind).cloned().collect::<Vec<_>>();
        let (vps, sps, pps) = (of(VPS), of(SPS), of(PPS));
        let first = Sps::parse(sps.first()?).ok()?;
        vps.first().and(pps.first())?;
        Some(Self {
            profile: first.profile,
            length_size: 4,
            vps,
            sps,
            pps,
        })
    }

    fn sets(&self) -> impl Iterator<Item = &Bytes> {
        self.vps.iter().chain(&self.sps).chain(&self.pps)
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

impl HevcConfig {
    /// Reads the arrays of sets; those of other kinds are passed over.
    fn read_arrays(&mut self, mut bytes: &[u8], count: u8) -> Result<(), HevcConfigError> {
        for _ in 0..count {
            let (&[kind, n0, n1], rest) =
                bytes.split_first_chunk().ok_or(HevcConfigError::CutOff)?;
            bytes = rest;
            let kind = kind & KIND_BITS;
            for _ in 0..u16::from_be_bytes([n0, n1]) {
                let (&length, rest) = bytes.split_first_chunk().ok_or(HevcConfigError::CutOff)?;
                let length = u16::from_be_bytes(length).into();
                let (set, rest) = rest
                    .split_at_checked(length)
                    .ok_or(HevcConfigError::CutOff)?;
                bytes = rest;
                match kind {
                    VPS => self.vps.push(Bytes::copy_from_slice(set)),
                    SPS => self.sps.push(Bytes::copy_from_slice(set)),
                    PPS => self.pps.push(Bytes::copy_from_slice(set)),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn write_array(out: &mut BytesMut, kind: u8, sets: &[Bytes]) {
    let fitting = sets
        .iter()
        .filter_map(|set| Some((u16::try_from(set.len()).ok()?, set)));
    let fitting = fitting.take(u16::MAX.into());
    out.put_u8(kind);
    out.put_u16(fitting.clone().count() as u16);
    for (length, set) in fitting {
        out.put_u16(length);
        out.put_slice(set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h265::H265;
    use crate::codec::nal::NalCodec;

    /// Written by h265parse behind x265enc: Main, 320x240.
    const MAIN: &str = "0101600000009000000000003ff000fcfdf8f800000f03 \
        2000010018 40010c01ffff01600000030090000003000003003f959809 \
        2100010031 42010101600000030090000003000003003fa00a080f165959a4932bffc00040005a83030302 \
                   0000030002000003003c10 \
        2200010007 4401c172b46240";

    /// The same: Main 10, 1920x1080.
    const MAIN_10: &str = "01022000000090000000000078f000fcfdfafa00000f03 \
        2000010018 40010c01ffff022000000300900000030000030078959809 \
        2100010033 420101022000000300900000030000030078a003c08010e4d96566924cafff000100016a0202 \
                   0208000003000800000300f040 \
        2200010007 4401c172b46240";

    /// Written by x265: Main 4:4:4, 322x242, with SEI beside the sets.
    const MAIN_444: &str = "0104080000009e08000000003cf000fcfff8f800000f04 \
        2000010017 40010c01ffff0408000003009e0800000300003c959809 \
        210001002b 4201010408000003009e0800000300003c90014901f39e7cb2b349265780b4040000030004 \
                   000003001420 \
        2200010008 4401c172860c4624 \
        2700010004 4e010480";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
        digits
            .chunks(2)
            .map(|pair| byte(pair).expect("two digits"))
            .collect()
    }

    #[test]
    fn what_gstreamer_writes_is_written_again() {
        for hvcc in [MAIN, MAIN_10] {
            let config = HevcConfig::parse(&bytes(hvcc)).expect("valid");
            assert_eq!(config.build(), bytes(hvcc));
        }
    }

    #[test]
    fn the_size_is_that_of_what_is_to_be_shown() {
        let sizes = [MAIN, MAIN_10, MAIN_444].map(|hvcc| {
            let config = HevcConfig::parse(&bytes(hvcc)).expect("valid");
            config.size().expect("it has a set")
        });
        assert_eq!(sizes, [(320, 240), (1920, 1080), (322, 242)]);
    }

    #[test]
    fn sets_alone_make_the_same_configuration() {
        let config = HevcConfig::parse(&bytes(MAIN_444)).expect("valid");
        let mut sets = ParameterSets::default();
        for set in config.sets() {
            sets.learn(H265::set_id(set), set);
        }
        assert_eq!(HevcConfig::from_sets(&sets), Some(config));
    }

    #[test]
    fn every_cut_is_refused() {
        let hvcc = bytes(MAIN);
        for len in 0..hvcc.len() {
            let cut = HevcConfig::parse(&hvcc[..len]);
            assert_eq!(cut, Err(HevcConfigError::CutOff), "{len}");
        }
        let stream = [
            0, 0, 0, 1, 0x40, 1, 0x0C, 1, 0xFF, 0xFF, 1, 0x60, 0, 0, 3, 0, 0, 3, 0, 0,
        ];
        let none = HevcConfig::parse(&[&stream[..], &stream[..]].concat());
        assert_eq!(none, Err(HevcConfigError::Version(0)));
    }
}

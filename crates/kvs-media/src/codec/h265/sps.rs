//! The sequence parameter set: picture size, profile, tier and level.

use super::nal::{HEADER_BYTES, NalKind};
use crate::codec::nal::Bits;

/// The highest sps_seq_parameter_set_id.
const ID_MAX: u32 = 15;
/// No level allows a longer side (level 6.2: sqrt(8 × 35 651 584)).
const SIDE_MAX: u32 = 16_888;

/// What a sequence parameter set says that is of use outside a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// sps_seq_parameter_set_id, 0 to 15.
    pub id: u8,
    /// How many temporal sub-layers there are, 1 to 7.
    pub temporal_layers: u8,
    /// sps_temporal_id_nesting_flag: one may switch up between sub-layers everywhere.
    pub temporal_nesting: bool,
    /// What a decoder has to be able to do.
    pub profile: ProfileTierLevel,
    /// chroma_format_idc: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits a luma sample, 8 to 16.
    pub bit_depth_luma: u8,
    /// Bits a chroma sample, 8 to 16.
    pub bit_depth_chroma: u8,
    /// Width in pixels of what is to be shown.
    pub width: u32,
    /// Height in pixels of what is to be shown.
    pub height: u32,
}

/// The general part of profile_tier_level (H.265 section 7.3.3), as hvcC repeats it: profile, its
/// compatibility flags, constraint flags and, last, general_level_idc.
pub type ProfileTierLevel = [u8; 12];

/// Bytes that are no sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpsError {
    /// Another NAL unit.
    #[error("not a sequence parameter set")]
    NotAnSps,
    /// It ends too early.
    #[error("the sequence parameter set is cut off")]
    CutOff,
    /// A value that H.265 does not allow.
    #[error("the sequence parameter set has an impossible {0}")]
    Impossible(&'static str),
}

impl Sps {
    /// Reads the NAL unit of a sequence parameter set.
    ///
    /// # Errors
    /// Another NAL unit, or one that is cut off or has values that H.265 does not allow.
    pub fn parse(nal: &[u8]) -> Result<Self, SpsError> {
        if NalKind::of(nal) != NalKind::Sps {
            return Err(SpsError::NotAnSps);
        }
        let payload = nal.get(HEADER_BYTES..).unwrap_or_default();
        let raw = Raw::read(&mut Bits::of_payload(payload)).ok_or(SpsError::CutOff)?;
        let depth = |more: u32| match more {
            0..=8 => Ok(8 + more as u8),
            _ => Err(SpsError::Impossible("bit depth")),
        };
        if raw.sub_layers_minus_1 > 6 {
            return Err(SpsError::Impossible("number of sub-layers"));
        }
        if raw.id > ID_MAX {
            return Err(SpsError::Impossible("id"));
        }
        if raw.chroma_format > 3 {
            return Err(SpsError::Impossible("chroma format"));
        }
        let (width, height) = raw.size().ok_or(SpsError::Impossible("size"))?;
        Ok(Self {
            id: raw.id as u8,
            temporal_layers: raw.sub_layers_minus_1 as u8 + 1,
            temporal_nesting: raw.nesting,
            profile: raw.profile,
            chroma_format: raw.chroma_format as u8,
            bit_depth_luma: depth(raw.luma_minus_8)?,
            bit_depth_chroma: depth(raw.chroma_minus_8)?,
            width,
            height,
        })
    }
}

/// The fields as they are coded, up to the bit depths.
struct Raw {
    sub_layers_minus_1: u32,
    nesting: bool,
    profile: ProfileTierLevel,
    id: u32,
    chroma_format: u32,
    /// The three colours are coded like three grey pictures.
    separate: bool,
    coded_width: u32,
    coded_height: u32,
    /// Left, right, top and bottom, in units of chroma samples.
    window: [u32; 4],
    luma_minus_8: u32,
    chroma_minus_8: u32,
}

impl Raw {
    /// `None` if the bits end.
    fn read(bits: &mut Bits) -> Option<Self> {
        bits.skip(4)?; // sps_video_parameter_set_id
        let sub_layers_minus_1 = bits.unsigned(3)?;
        let nesting = bits.flag()?;
        let mut profile = ProfileTierLevel::default();
        for byte in &mut profile {
            *byte = bits.unsigned(8)? as u8;
        }
        skip_sub_layers(bits, sub_layers_minus_1)?;
        let id = bits.exp_golomb()?;
        let chroma_format = bits.exp_golomb()?;
        let separate = chroma_format == 3 && bits.flag()?;
        let (coded_width, coded_height) = (bits.exp_golomb()?, bits.exp_golomb()?);
        let mut window = [0; 4];
        if bits.flag()? {
            for edge in &mut window {
                *edge = bits.exp_golomb()?;
            }
        }
        Some(Self {
            sub_layers_minus_1,
            nesting,
            profile,
            id,
            chroma_format,
            separate,
            coded_width,
            coded_height,
            window,
            luma_minus_8: bits.exp_golomb()?,
            chroma_minus_8: bits.exp_golomb()?,
        })
    }

    fn size(&self) -> Option<(u32, u32)> {
        let (unit_x, unit_y) = match (self.chroma_format, self.separate) {
            (1, _) => (2, 2),
            (2, _) => (2, 1),
            _ => (1, 1),
        };
        let [left, right, top, bottom] = self.window;
        let side = |coded: u32, cut: [u32; 2], unit: u32| {
            let cut = cut[0].checked_add(cut[1])?.checked_mul(unit)?;
            let shown = coded.checked_sub(cut)?;
            (shown > 0 && coded <= SIDE_MAX).then_some(shown)
        };
        let width = side(self.coded_width, [left, right], unit_x)?;
        Some((width, side(self.coded_height, [top, bottom], unit_y)?))
    }
}

/// The rest of profile_tier_level: what each lower sub-layer needs.
fn skip_sub_layers(bits: &mut Bits, count: u32) -> Option<()> {
    const PROFILE_BITS: usize = 88;
    const LEVEL_BITS: usize = 8;
    let mut present = Vec::with_capacity(count as usize);
    for _ in 0..count {
        present.push((bits.flag()?, bits.flag()?));
    }
    if count > 0 {
        // The flags are there for eight sub-layers.
        bits.skip(2 * (8 - count as usize))?;
    }
    present.into_iter().try_for_each(|(profile, level)| {
        let profile = if profile { PROFILE_BITS } else { 0 };
        bits.skip(profile + if level { LEVEL_BITS } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by x265: Main, 320x240.
    const SPS: [u8; 49] = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x3f, 0xa0, 0x0a, 0x08, 0x0f, 0x16, 0x59, 0x59, 0xa4, 0x93, 0x2b, 0xff, 0xc0,
        0x00, 0x40, 0x00, 0x5a, 0x83, 0x03, 0x03, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00,
        0x03, 0x00, 0x3c, 0x10,
    ];

    #[test]
    fn reads_size_depth_and_layers() {
        let sps = Sps::parse(&SPS).expect("valid");
        assert_eq!((sps.id, sps.width, sps.height), (0, 320, 240));
        assert_eq!((sps.chroma_format, sps.bit_depth_luma), (1, 8));
        assert_eq!((sps.temporal_layers, sps.temporal_nesting), (1, true));
        assert_eq!(sps.profile.last(), Some(&63), "level 2.1");
    }

    #[test]
    fn what_is_cut_off_is_refused_and_never_panics() {
        for len in 2..20 {
            assert_eq!(Sps::parse(&SPS[..len]), Err(SpsError::CutOff), "{len}");
        }
        assert_eq!(Sps::parse(&[0x44, 1, 2]), Err(SpsError::NotAnSps));
        let mut large = SPS;
        // A longer Exp-Golomb code where the width stands.
        large[19] = 0x00;
        assert!(Sps::parse(&large).is_err());
    }
}

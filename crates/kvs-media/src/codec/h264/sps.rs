//! The sequence parameter set: picture size, profile and level.

use super::nal::NalKind;
use crate::codec::nal::Bits;

/// What a sequence parameter set says that is of use outside a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// seq_parameter_set_id, 0 to 31.
    pub id: u8,
    /// profile_idc: 66 Baseline, 77 Main, 100 High …
    pub profile: u8,
    /// The constraint_set flags, as avcC repeats them.
    pub compatibility: u8,
    /// level_idc: ten times the level.
    pub level: u8,
    /// chroma_format_idc: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits a luma sample, 8 to 14.
    pub bit_depth_luma: u8,
    /// Bits a chroma sample, 8 to 14.
    pub bit_depth_chroma: u8,
    /// Width in pixels of what is to be shown, cropping taken off.
    pub width: u32,
    /// Height in pixels of what is to be shown, cropping taken off.
    pub height: u32,
}

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
    /// A value that H.264 does not allow.
    #[error("the sequence parameter set has an impossible {0}")]
    Impossible(&'static str),
}

/// The profiles whose sequence parameter set tells of chroma format and bit depth
/// (H.264 section 7.3.2.1.1).
const WITH_CHROMA: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// No level allows a frame of more macroblocks on one side (level 6.2: sqrt(8 × 139264)).
const MACROBLOCKS_MAX: u32 = 1055;

impl Sps {
    /// Whether avcC tells of chroma format and bit depth for this profile.
    pub(super) fn has_chroma(profile: u8) -> bool {
        WITH_CHROMA.contains(&profile)
    }

    /// Reads the NAL unit of a sequence parameter set.
    ///
    /// # Errors
    /// Another NAL unit, or one that is cut off or has values that H.264 does not allow.
    pub fn parse(nal: &[u8]) -> Result<Self, SpsError> {
        if NalKind::of(nal) != NalKind::Sps {
            return Err(SpsError::NotAnSps);
        }
        let mut bits = Bits::of_payload(&nal[1..]);
        let head = |bits: &mut Bits| Some((byte(bits)?, byte(bits)?, byte(bits)?, ue(bits)?));
        let (profile, compatibility, level, id) = head(&mut bits).ok_or(SpsError::CutOff)?;
        let id = bounded(id, 31, "id")?;
        let chroma = if Self::has_chroma(profile) {
            Chroma::read(&mut bits)?
        } else {
            Chroma::DEFAULT
        };
        skip_picture_order(&mut bits)?;
        let (width, height) = size(&mut bits, &chroma).ok_or(SpsError::CutOff)??;
        Ok(Self {
            id,
            profile,
            compatibility,
            level,
            chroma_format: chroma.format,
            bit_depth_luma: chroma.bit_depth_luma,
            bit_depth_chroma: chroma.bit_depth_chroma,
            width,
            height,
        })
    }
}

fn ue(bits: &mut Bits) -> Option<u32> {
    bits.exp_golomb()
}

fn byte(bits: &mut Bits) -> Option<u8> {
    Some(bits.unsigned(8)? as u8)
}

fn bounded(value: u32, max: u8, name: &'static str) -> Result<u8, SpsError> {
    match u8::try_from(value) {
        Ok(value) if value <= max => Ok(value),
        _ => Err(SpsError::Impossible(name)),
    }
}

struct Chroma {
    format: u8,
    /// The three colours are coded like three grey pictures.
    separate: bool,
    bit_depth_luma: u8,
    bit_depth_chroma: u8,
}

impl Chroma {
    const DEFAULT: Self = Self {
        format: 1,
        separate: false,
        bit_depth_luma: 8,
        bit_depth_chroma: 8,
    };

    fn read(bits: &mut Bits) -> Result<Self, SpsError> {
        let cut = SpsError::CutOff;
        let format = bounded(ue(bits).ok_or(cut)?, 3, "chroma format")?;
        let separate = format == 3 && bits.flag().ok_or(cut)?;
        let bit_depth_luma = 8 + bounded(ue(bits).ok_or(cut)?, 6, "bit depth")?;
        let bit_depth_chroma = 8 + bounded(ue(bits).ok_or(cut)?, 6, "bit depth")?;
        bits.flag().ok_or(cut)?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag().ok_or(cut)? {
            let lists = if format == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.flag().ok_or(cut)? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 }).ok_or(cut)?;
                }
            }
        }
        Ok(Self {
            format,
            separate,
            bit_depth_luma,
            bit_depth_chroma,
        })
    }

    /// Pixels a unit of cropping, across and down, in a frame of progressive pictures.
    fn crop_unit(&self) -> (u32, u32) {
        match self.format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        }
    }
}

/// H.264 section 7.3.2.1.1.1: the list ends early where the next scale becomes 0.
fn skip_scaling_list(bits: &mut Bits, size: usize) -> Option<()> {
    let mut last = 8;
    for _ in 0..size {
        let next = (last + bits.signed_exp_golomb()?).rem_euclid(256);
        if next == 0 {
            break;
        }
        last = next;
    }
    Some(())
}

/// log2_max_frame_num up to gaps_in_frame_num_value_allowed_flag.
fn skip_picture_order(bits: &mut Bits) -> Result<(), SpsError> {
    let cut = SpsError::CutOff;
    ue(bits).ok_or(cut)?; // log2_max_frame_num_minus4
    match ue(bits).ok_or(cut)? {
        0 => {
            ue(bits).ok_or(cut)?;
        }
        1 => {
            bits.flag().ok_or(cut)?;
            bits.signed_exp_golomb().ok_or(cut)?;
            bits.signed_exp_golomb().ok_or(cut)?;
            let cycle = bounded(ue(bits).ok_or(cut)?, u8::MAX, "picture order cycle")?;
            for _ in 0..cycle {
                bits.signed_exp_golomb().ok_or(cut)?;
            }
        }
        2 => {}
        _ => return Err(SpsError::Impossible("picture order type")),
    }
    ue(bits).ok_or(cut)?; // max_num_ref_frames
    bits.flag().ok_or(cut)?;
    Ok(())
}

/// Width and height in pixels; `None` if the bits end.
fn size(bits: &mut Bits, chroma: &Chroma) -> Option<Result<(u32, u32), SpsError>> {
    let across = ue(bits)?;
    let down = ue(bits)?;
    let progressive = bits.flag()?;
    if !progressive {
        bits.flag()?; // mb_adaptive_frame_field_flag
    }
    bits.flag()?; // direct_8x8_inference_flag
    let mut crop = [0; 4]; // left, right, top, bottom
    if bits.flag()? {
        for edge in &mut crop {
            *edge = u64::from(ue(bits)?);
        }
    }
    // Coded as "minus 1"; of interlaced pictures, the height of a field.
    let fields = if progressive { 1 } else { 2 };
    if across >= MACROBLOCKS_MAX || down >= MACROBLOCKS_MAX {
        return Some(Err(SpsError::Impossible("size")));
    }
    let (unit_x, unit_y) = match chroma.separate {
        true => (1, 1),
        false => chroma.crop_unit(),
    };
    let [left, right, top, bottom] = crop;
    let side = |macroblocks: u32, cut: u64, unit: u32| {
        let whole = 16 * (macroblocks + 1);
        let cut = u32::try_from(cut.checked_mul(unit.into())?).ok()?;
        whole.checked_sub(cut).filter(|&side| side > 0)
    };
    let width = side(across, left + right, unit_x);
    let height = side((down + 1) * fields - 1, top + bottom, unit_y * fields);
    let size = width.zip(height);
    Some(size.ok_or(SpsError::Impossible("cropping")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by x264: 1920x1080, which is 1088 lines with 8 cropped.
    const FULL_HD: [u8; 27] = [
        0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00,
        0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c, 0x60, 0xc6, 0x58,
    ];
    /// Written by x264: 640x360 Baseline.
    const BASELINE: [u8; 25] = [
        0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00,
        0x01, 0x00, 0x00, 0x03, 0x00, 0x32, 0x0f, 0x16, 0x2e, 0x48,
    ];
    /// Written by x264: 720x576 interlaced.
    const INTERLACED: [u8; 24] = [
        0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xb4, 0x24, 0xd8, 0x08, 0x80, 0x00, 0x00, 0x03,
        0x00, 0x80, 0x00, 0x00, 0x19, 0x0f, 0x8a, 0x14, 0xcb,
    ];
    /// Written by x264: 320x240 High 4:4:4.
    const HIGH_444: [u8; 29] = [
        0x67, 0xf4, 0x00, 0x0d, 0x90, 0xd9, 0x64, 0x05, 0x07, 0xec, 0x05, 0xa8, 0x30, 0x30, 0x32,
        0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x65, 0x1e, 0x28, 0x54, 0x90,
    ];

    #[test]
    fn reads_size_profile_and_level() {
        let sps = Sps::parse(&FULL_HD).expect("valid");
        assert_eq!((sps.width, sps.height), (1920, 1080));
        assert_eq!((sps.profile, sps.compatibility, sps.level), (100, 0, 40));
        assert_eq!((sps.chroma_format, sps.bit_depth_luma), (1, 8));
        let sps = Sps::parse(&HIGH_444).expect("valid");
        assert_eq!((sps.width, sps.height), (320, 240));
        assert_eq!((sps.profile, sps.chroma_format), (244, 3));
    }

    #[test]
    fn baseline_has_no_chroma_fields() {
        let sps = Sps::parse(&BASELINE).expect("valid");
        assert_eq!((sps.profile, sps.width, sps.height), (66, 640, 360));
    }

    #[test]
    fn interlaced_pictures_are_two_fields_high() {
        let sps = Sps::parse(&INTERLACED).expect("valid");
        assert_eq!((sps.width, sps.height), (720, 576));
    }

    #[test]
    fn what_is_cut_off_is_refused_and_never_panics() {
        for len in 0..10 {
            assert!(Sps::parse(&FULL_HD[..len]).is_err());
        }
        assert_eq!(Sps::parse(&[0x68, 1, 2]), Err(SpsError::NotAnSps));
        assert_eq!(Sps::parse(&[0x67, 0x64, 0, 0x28]), Err(SpsError::CutOff));
        assert!(Sps::parse(&[0x67, 66, 0, 30, 0, 0, 0, 0, 0, 0]).is_err());
    }
}

//! H.265 (ITU-T H.265) as Matroska carries it: NAL units with a length before each, parameter sets
//! in hvcC (ISO/IEC 14496-15).

mod hvcc;
mod nal;
mod sps;

pub use hvcc::{HevcConfig, HevcConfigError};
pub use nal::NalKind;
pub use sps::{ProfileTierLevel, Sps, SpsError};

use super::nal::{Bits, NalCodec, Role, SetId};
use nal::HEADER_BYTES;

/// Matroska's codec id.
pub const CODEC_ID: &str = "V_MPEGH/ISO/HEVC";

/// The codec, for an [`Assembler`](super::nal::Assembler).
#[derive(Debug)]
pub enum H265 {}

impl NalCodec for H265 {
    type Config = HevcConfig;

    const CODEC_ID: &str = CODEC_ID;

    fn role(nal: &[u8]) -> Role {
        match NalKind::of(nal) {
            NalKind::Slice | NalKind::RandomAccessSlice => Role::Slice,
            NalKind::Vps | NalKind::Sps | NalKind::Pps => Role::ParameterSet,
            NalKind::AccessUnitDelimiter | NalKind::Filler => Role::Padding,
            NalKind::PrefixSei | NalKind::Other(_) => Role::Other,
        }
    }

    fn begins_unit(nal: &[u8]) -> bool {
        nal::begins_unit(nal)
    }

    fn starts_decoding(nal: &[u8]) -> bool {
        NalKind::of(nal) == NalKind::RandomAccessSlice
    }

    fn set_id(nal: &[u8]) -> Option<SetId> {
        let payload = nal.get(HEADER_BYTES..)?;
        match NalKind::of(nal) {
            NalKind::Vps => {
                // vps_video_parameter_set_id, 4 bits.
                let id = payload.first()? >> 4;
                Some(SetId { kind: nal::VPS, id })
            }
            NalKind::Sps => {
                let Sps { id, .. } = Sps::parse(nal).ok()?;
                Some(SetId { kind: nal::SPS, id })
            }
            NalKind::Pps => {
                let id = Bits::of_payload(payload).exp_golomb()?;
                let id = u8::try_from(id).ok().filter(|&id| id <= nal::PPS_ID_MAX)?;
                Some(SetId { kind: nal::PPS, id })
            }
            _ => None,
        }
    }
}

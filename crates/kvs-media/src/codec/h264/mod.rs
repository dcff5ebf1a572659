//! H.264 (ITU-T H.264) as Matroska carries it: NAL units with a length before each, parameter sets
//! in avcC (ISO/IEC 14496-15).

mod avcc;
mod nal;
mod sps;

pub use avcc::{AvcConfig, AvcConfigError};
pub use nal::NalKind;
pub use sps::{Sps, SpsError};

use super::nal::{Bits, NalCodec, Role, SetId};

/// Matroska's codec id.
pub const CODEC_ID: &str = "V_MPEG4/ISO/AVC";
/// How AWS's documents sometimes write it.
pub const CODEC_ID_OF_AWS: &str = "V_MPEG/ISO/AVC";

/// The codec, for an [`Assembler`](super::nal::Assembler).
#[derive(Debug)]
pub enum H264 {}

impl NalCodec for H264 {
    type Config = AvcConfig;

    const CODEC_ID: &str = CODEC_ID;

    fn role(nal: &[u8]) -> Role {
        match NalKind::of(nal) {
            NalKind::Slice | NalKind::IdrSlice => Role::Slice,
            NalKind::Sps | NalKind::Pps => Role::ParameterSet,
            NalKind::AccessUnitDelimiter | NalKind::Filler => Role::Padding,
            NalKind::Sei | NalKind::Other(_) => Role::Other,
        }
    }

    fn begins_unit(nal: &[u8]) -> bool {
        nal::begins_unit(nal)
    }

    fn starts_decoding(nal: &[u8]) -> bool {
        nal::starts_decoding(nal)
    }

    fn set_id(nal: &[u8]) -> Option<SetId> {
        match NalKind::of(nal) {
            NalKind::Sps => {
                let Sps { id, .. } = Sps::parse(nal).ok()?;
                Some(SetId { kind: nal::SPS, id })
            }
            NalKind::Pps => {
                let id = Bits::of_payload(&nal[1..]).exp_golomb()?;
                let id = u8::try_from(id).ok()?;
                Some(SetId { kind: nal::PPS, id })
            }
            _ => None,
        }
    }
}

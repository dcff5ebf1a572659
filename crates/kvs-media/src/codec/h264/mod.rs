//! H.264 (ITU-T H.264) as Matroska carries it: NAL units with a length before each, parameter sets
//! in avcC (ISO/IEC 14496-15).

mod assembler;
mod avcc;
mod bits;
mod nal;
mod parameter_sets;
mod sps;

pub use assembler::{AccessUnit, Alignment, Assembler, AssemblyError};
pub use avcc::{AvcConfig, AvcConfigError};
pub use nal::{BadLength, LengthPrefixed, NalKind, annex_b, is_key, length_prefixed, to_annex_b};
pub use sps::{Sps, SpsError};

/// Matroska's codec id.
pub const CODEC_ID: &str = "V_MPEG4/ISO/AVC";
/// How AWS's documents sometimes write it.
pub const CODEC_ID_OF_AWS: &str = "V_MPEG/ISO/AVC";

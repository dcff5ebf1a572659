//! NAL units, of which the pictures of H.264 and H.265 are made: how they follow each other, and
//! how they become access units.

mod assembler;
mod bits;
mod byte_stream;
mod lengths;
mod parameter_sets;

use std::error::Error;
use std::fmt::Debug;

use bytes::Bytes;

pub use assembler::{AccessUnit, Alignment, Assembler, AssemblyError};
pub(super) use bits::Bits;
pub use byte_stream::{annex_b, to_annex_b};
pub use lengths::{BadLength, LengthPrefixed, length_prefixed};
pub use parameter_sets::{ParameterSets, SetId};

/// A codec whose pictures are made of NAL units.
pub trait NalCodec {
    /// What a decoder has to know before the first picture.
    type Config: DecoderConfig;

    /// Matroska's codec id.
    const CODEC_ID: &str;

    /// What a NAL unit is to its access unit. An empty one is [`Role::Other`].
    fn role(nal: &[u8]) -> Role;

    /// Whether a NAL unit that comes behind a slice belongs to the next access unit.
    fn begins_unit(nal: &[u8]) -> bool;

    /// Whether this NAL unit alone makes its access unit one at which decoding can start.
    fn starts_decoding(nal: &[u8]) -> bool;

    /// Which parameter set it is; `None` if it is broken.
    fn set_id(nal: &[u8]) -> Option<SetId>;
}

/// A decoder's configuration: Matroska's CodecPrivate and GStreamer's `codec_data`.
pub trait DecoderConfig: Clone + Debug + PartialEq + Sized {
    /// Bytes that are none.
    type Error: Error;

    /// Reads one.
    ///
    /// # Errors
    /// The bytes are no such configuration.
    fn parse(record: &[u8]) -> Result<Self, Self::Error>;

    /// Writes one.
    fn build(&self) -> Bytes;

    /// The configuration that a stream's parameter sets make; `None` until there is one of each
    /// kind that a decoder needs.
    fn from_sets(sets: &ParameterSets) -> Option<Self>;

    /// The parameter sets in it.
    fn sets(&self) -> impl Iterator<Item = &Bytes>;

    /// How many bytes hold a NAL unit's length.
    fn length_size(&self) -> u8;

    /// The same for lengths of so many bytes.
    fn with_length_size(self, length_size: u8) -> Self;

    /// Width and height in pixels, by the first sequence parameter set.
    fn size(&self) -> Option<(u32, u32)>;
}

/// What a NAL unit is to its access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// (A part of) the picture.
    Slice,
    /// It belongs into the configuration.
    ParameterSet,
    /// A delimiter or filler, which no file format keeps.
    Padding,
    /// Goes along with the picture.
    Other,
}

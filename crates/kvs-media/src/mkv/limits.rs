//! How much a demuxer keeps in memory for one element.

/// Bounds on the elements that have to be at hand as a whole. Anything else is never kept, however
/// large: foreign elements are dropped as they arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest EBML header, Info or Tracks element.
    pub header_bytes_max: u64,
    /// The largest Tags element.
    pub tags_bytes_max: u64,
    /// The largest block, hence the largest frame.
    pub frame_bytes_max: u64,
}

impl Limits {
    /// 1 MiB: codec private data is rarely over 1 KiB, and a stream has few tracks.
    pub const HEADER_BYTES_MAX: u64 = 1 << 20;
    /// 256 KiB: ten tags of at most 384 bytes belong to a fragment; files carry longer ones.
    pub const TAGS_BYTES_MAX: u64 = 256 << 10;
    /// 50 MiB: the service takes no larger fragment, so no larger frame.
    pub const FRAME_BYTES_MAX: u64 = 50 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes_max: Self::HEADER_BYTES_MAX,
            tags_bytes_max: Self::TAGS_BYTES_MAX,
            frame_bytes_max: Self::FRAME_BYTES_MAX,
        }
    }
}

//! Reading: a stream as it is recorded, and its archive.
//!
//! ```text
//!  GetMedia ── bytes ──► ChunkParser ── events ──► Replay ── items ──► LiveReader::next
//!  ListFragments ──► Listing ──► GetMediaForFragmentList ──► (the same) ──► ArchiveReader::next
//! ```
//! The parser, the rules of resuming and the listing are values without I/O or a clock.

pub mod archive;
mod chunk;
mod fault;
mod fetch;
mod given;
pub mod item;
mod listing;
pub mod live;
mod media;
mod playback;
mod replay;
#[cfg(test)]
mod scripted;
mod session;
mod stale;

pub use archive::{ArchiveReader, Extent, Range, RangeClock};
pub use item::{FragmentEnd, FragmentInfo, Item};
pub use live::{LiveConfig, LiveReader, Start};

//! Upload: frames in, fragments stored in the service, each loss told.
//!
//! ```text
//!   source's threads                                     the runtime
//!   ────────────────                                     ───────────
//!   Producer::push ─► interleave ─► buffer ─► session ─► MediaBody (muxes) ─► socket
//!                     one order     frames    decides                            │
//!                                      ▲         ▲                               ▼
//!                                      └─ tail ──┴──────────── driver ◄──────── acks
//! ```
//!
//! `docs/upload.md` has the rules.

mod buffer;
mod config;
mod disk;
mod driver;
mod event;
mod handle;
mod interleave;
mod kept;
mod pieces;
mod put_media;
mod sample;
mod session;
mod shared;
mod stats;
mod timecode;

pub use config::{ProducerConfig, ROTATION_MAX, Streaming};
pub use event::{
    AckKind, DropReason, Dropped, FailReason, FragmentAck, FrameSpan, Pressure, ProducerEvent,
    ProducerState, Warning,
};
pub use handle::{Producer, Spooling};
pub use sample::{PushOutcome, Sample, TRACKS_MAX, TooManyTracks, TrackFormat};
pub use session::SpoolLimits;
pub use stats::{DELAYS_MAX, Stats};

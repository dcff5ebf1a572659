//! How far a tool has come.

/// What a tool that takes long tells its caller again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of segments that are done.
    pub done_bytes: u64,
    /// Bytes of segments in all.
    pub total_bytes: u64,
}

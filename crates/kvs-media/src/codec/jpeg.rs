//! JPEG pictures, each a frame that needs no other and no description.

/// Matroska's codec id.
pub const CODEC_ID: &str = "V_MJPEG";

//! What has to be known of a codec to carry it: its description and its random access points.

pub mod aac;
pub mod adts;
pub mod g711;
pub mod h264;
pub mod h265;
pub mod jpeg;
pub mod nal;
pub mod opus;

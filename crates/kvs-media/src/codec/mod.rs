//! What has to be known of a codec to carry it: its description and its random access points.

pub mod aac;
pub mod g711;
pub mod h264;

//! PutMedia: a body becomes fragments, and fragments become acks.

mod budget;
mod cutter;
mod deadlines;
mod header;
mod put_media;
mod raw;
mod refused;
mod rules;
mod session;

pub(crate) use budget::{Budget, OPEN_BYTES_MAX};
pub(crate) use put_media::put_media;
pub(crate) use rules::{FRAGMENT_BYTES_MAX, FRAGMENT_LENGTH_NS_MAX, TRACKS_MAX};

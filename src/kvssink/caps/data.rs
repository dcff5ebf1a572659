//! Data: anything that is not video or audio that we know.

use kvs_client::producer::TrackFormat;

use super::CapsError;
use crate::data_track;
use crate::kvssink::templates;

/// The track of data with those caps.
pub(crate) fn data_track(caps: &gst::CapsRef) -> Result<TrackFormat, CapsError> {
    let name = caps.structure(0).ok_or(CapsError::Empty)?.name();
    if templates::is_media(name) {
        return Err(CapsError::Media(name.to_string()));
    }
    Ok(data_track::track(caps)?)
}

//! kvssink: what it shows, what it takes, what it tells, and how it ends.

use crate::harness;

mod again;
mod credentials;
mod cycles;
mod ends;
mod errors;
mod events;
mod face;
mod faults;
pub(crate) mod fed;
mod flow;
mod media;
mod metadata;
mod properties;
mod ready;
mod running;
mod secrets;
mod secure;
mod spool;
mod trigger;
mod uri;

/// Two seconds of a camera with a key frame each half second.
const CAMERA: &str = "videotestsrc num-buffers=60 \
    ! video/x-raw,format=I420,width=160,height=120,framerate=30/1 \
    ! x264enc key-int-max=15 speed-preset=ultrafast";
const FRAMES: usize = 60;
/// The same without an end, at the camera's pace.
const LIVE_CAMERA: &str = "videotestsrc is-live=true \
    ! video/x-raw,format=I420,width=160,height=120,framerate=30/1 \
    ! x264enc key-int-max=15 speed-preset=ultrafast tune=zerolatency";

fn element() -> gst::Element {
    harness::init();
    gst::ElementFactory::make("kvssink")
        .build()
        .expect("kvssink is registered")
}

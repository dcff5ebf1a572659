//! How long each frame takes from a pad of `kvssink` to a pad of `kvssrc`.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;

/// How much of a frame is hashed to know it again: enough to tell pictures apart.
const FINGERPRINT_BYTES_MAX: usize = 512;

/// The frames on their way, and the delays of those that have come out.
#[derive(Default)]
pub(crate) struct Delays {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    lines: [Line; 2],
    frames_out: u64,
    first_out: Option<Instant>,
}

/// What is counted apart: a picture passes at once, but sound has to wait for the picture beside
/// it, since a fragment may end between them.
#[derive(Clone, Copy)]
pub(crate) enum Media {
    Video,
    Audio,
}

#[derive(Default)]
struct Line {
    /// Frames that went in and have not come out.
    under_way: VecDeque<(u64, Instant)>,
    delays: Vec<Duration>,
}

impl Delays {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes each frame that enters `kvssink` at `pad`.
    pub(crate) fn note_frames_in(self: &Arc<Self>, pad: &gst::Pad) {
        let (delays, line) = (self.clone(), line_of(pad));
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(buffer) = info.buffer() {
                let frame = (fingerprint(buffer), Instant::now());
                delays.lock().lines[line as usize]
                    .under_way
                    .push_back(frame);
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// Notes each frame that leaves `kvssrc` at `pad`.
    pub(crate) fn note_frames_out(self: &Arc<Self>, pad: &gst::Pad) {
        let (delays, line) = (self.clone(), line_of(pad));
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(buffer) = info.buffer() {
                delays
                    .lock()
                    .came_out(line, fingerprint(buffer), Instant::now());
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// How many frames have come back.
    pub(crate) fn frames_out(&self) -> u64 {
        self.lock().frames_out
    }

    /// The delay in milliseconds that the given share of the frames (0 to 1) did not exceed.
    ///
    /// Only the frames count that went in after the first one had come out: those before it waited
    /// for the reader to start. `None` before there is one.
    pub(crate) fn percentile_ms(&self, media: Media, share: f64) -> Option<f64> {
        let mut sorted = self.lock().lines[media as usize].delays.clone();
        sorted.sort_unstable();
        let at = (sorted.len().checked_sub(1)? as f64 * share) as usize;
        Some(sorted[at].as_secs_f64() * 1000.0)
    }
}

impl Inner {
    fn came_out(&mut self, line: Media, fingerprint: u64, now: Instant) {
        self.frames_out += 1;
        let first_out = *self.first_out.get_or_insert(now);
        let Line { under_way, delays } = &mut self.lines[line as usize];
        // What stands before it was never sent: frames before the first key frame.
        let known = under_way
            .iter()
            .position(|(known, _)| *known == fingerprint);
        let Some(at) = known else { return };
        if let Some((_, sent)) = under_way.drain(..=at).next_back()
            && sent > first_out
        {
            delays.push(now - sent);
        }
    }
}

fn line_of(pad: &gst::Pad) -> Media {
    if pad.name().starts_with("video") {
        Media::Video
    } else {
        Media::Audio
    }
}

/// Knows a frame by its end: at its front `kvssink` takes delimiters and parameter sets away.
fn fingerprint(buffer: &gst::BufferRef) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Ok(map) = buffer.map_readable() {
        map[map.len().saturating_sub(FINGERPRINT_BYTES_MAX)..].hash(&mut hasher);
    }
    hasher.finish()
}

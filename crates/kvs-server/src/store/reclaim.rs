//! The reclaimer gives room back: it punches and unlinks, so that the writer need not wait for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::record::BLOCK_BYTES;
use super::segments::{self, Place};
use super::state::Shared;
use super::writer::Command;

/// What no row points at any more, durably.
#[derive(Debug)]
pub(super) enum Reclaim {
    /// Places, with their blocks.
    Places(Vec<(Place, u32)>),
    /// A whole segment.
    Segment(u32),
}

/// Works until nobody can ask any more.
pub(super) fn run(shared: &Arc<Shared>, work: &Receiver<Reclaim>, writer: &Sender<Command>) {
    for reclaim in work {
        let reclaiming = shared.holds.reclaim();
        let done = match reclaim {
            Reclaim::Places(places) => {
                let done = places
                    .into_iter()
                    .filter(|place| punch(shared, *place))
                    .collect();
                Reclaim::Places(done)
            }
            Reclaim::Segment(segment) => {
                if !unlink(shared, segment) {
                    continue;
                }
                Reclaim::Segment(segment)
            }
        };
        drop(reclaiming);
        // A writer that has ended finds it in the index at the next start.
        let _ = writer.send(Command::Reclaimed(done));
    }
}

/// Whether the place needs no more work.
fn punch(shared: &Shared, (place, blocks): (Place, u32)) -> bool {
    let punched = shared
        .disk
        .open(&segments::path(place.segment))
        .and_then(|file| {
            // Where the disk has no holes, the room comes back with the whole segment.
            file.punch_hole(place.offset(), u64::from(blocks) * BLOCK_BYTES)
        });
    match punched {
        Ok(_) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => {
            tracing::warn!(segment = place.segment, %error, "cannot give room back yet");
            false
        }
    }
}

/// Whether the segment is gone.
fn unlink(shared: &Shared, segment: u32) -> bool {
    match shared.disk.unlink(&segments::path(segment)) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => {
            tracing::warn!(segment, %error, "cannot unlink a segment yet");
            false
        }
    }
}

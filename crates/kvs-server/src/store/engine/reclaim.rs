//! The reclaimer gives room back: it punches and unlinks, so that the writer need not wait for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::writer::Command;
use crate::store::record::BLOCK_BYTES;
use crate::store::segments::{self, Place};
use crate::store::state::Shared;

/// What no row points at any more, durably.
#[derive(Debug)]
pub(in crate::store) enum Reclaim {
    /// Places, with their blocks.
    Places(Vec<(Place, u32)>),
    /// A whole segment.
    Segment(u32),
}

/// Works until nobody can ask any more.
pub(in crate::store) fn run(
    shared: &Arc<Shared>,
    work: &Receiver<Reclaim>,
    writer: &Sender<Command>,
) {
    for reclaim in work {
        let Some(reclaiming) = shared.holds.reclaim() else {
            return;
        };
        let done = match reclaim {
            Reclaim::Places(mut places) => {
                places.sort_unstable();
                // Side by side they are one hole.
                let holes = places.chunk_by(|(place, blocks), (next, _)| {
                    place.segment == next.segment && place.block + blocks == next.block
                });
                let done = holes.filter(|hole| punch(shared, hole));
                Reclaim::Places(done.flatten().copied().collect())
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

/// Whether these places, which lie side by side, need no more work.
fn punch(shared: &Shared, places: &[(Place, u32)]) -> bool {
    let Some((place, _)) = places.first() else {
        return true;
    };
    let blocks: u64 = places.iter().map(|(_, blocks)| u64::from(*blocks)).sum();
    let punched = shared
        .disk
        .open(&segments::path(place.segment))
        .and_then(|file| {
            // Where the disk has no holes, the room comes back with the whole segment.
            file.punch_hole(place.offset(), blocks * BLOCK_BYTES)
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

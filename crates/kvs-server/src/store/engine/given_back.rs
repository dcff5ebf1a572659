//! Room that has been given back: its rows in the index go, a batch with each group.

use std::collections::VecDeque;

use super::BATCH_ROWS;
use super::reclaim::Reclaim;
use crate::store::error::StoreError;
use crate::store::index::Changes;
use crate::store::segments::Place;

/// What the reclaimer has done and the index does not know yet. It stays true whatever becomes of
/// the index: places and segments are never used again.
#[derive(Debug, Default)]
pub(super) struct GivenBack {
    places: VecDeque<Place>,
    segments: VecDeque<u32>,
}

/// A batch that the index knows.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    places: usize,
    pub(super) segments: Vec<u32>,
}

impl GivenBack {
    pub(super) fn add(&mut self, reclaimed: Vec<Reclaim>) {
        for reclaim in reclaimed {
            match reclaim {
                Reclaim::Places(places) => {
                    self.places.extend(places.iter().map(|(place, _)| *place));
                }
                Reclaim::Segment(segment) => self.segments.push_back(segment),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.segments.is_empty()
    }

    /// Takes the rows of a batch out.
    pub(super) fn forget(&self, changes: &mut Changes<'_>) -> Result<Forgotten, StoreError> {
        let places: Vec<Place> = self.places.iter().take(BATCH_ROWS).copied().collect();
        changes.remove_free(&places)?;
        let mut forgotten = Forgotten {
            places: places.len(),
            segments: Vec::new(),
        };
        let mut left = BATCH_ROWS - places.len();
        for segment in &self.segments {
            left -= changes.remove_free_in(*segment, left)?;
            // One row is the segment's own.
            if left == 0 {
                break;
            }
            left -= 1;
            changes.remove_segment(*segment)?;
            forgotten.segments.push(*segment);
        }
        Ok(forgotten)
    }

    /// The batch is committed.
    pub(super) fn forgotten(&mut self, forgotten: &Forgotten) {
        self.places.drain(..forgotten.places);
        self.segments.drain(..forgotten.segments.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::MemoryDisk;
    use crate::store::index::Index;

    #[test]
    fn a_batch_takes_so_many_rows_and_the_last_takes_the_segment() {
        let disk = MemoryDisk::new();
        Index::create(&disk, "index", 0).expect("an empty disk");
        let index = Index::open(&disk, "index").expect("it was made");
        let place = |block| Place { segment: 7, block };
        let free: Vec<(Place, u32)> = (0..3 * BATCH_ROWS as u32)
            .map(|block| (place(block), 1))
            .collect();
        let added = index.change(true, |changes| changes.add_free(&free));
        added.expect("the index works");
        let mut given_back = GivenBack::default();
        // Of the places the reclaimer has done a few by themselves, before the segment was empty.
        let few = free[..5].to_vec();
        given_back.add(vec![Reclaim::Places(few), Reclaim::Segment(7)]);
        let left = || index.snapshot().and_then(|snapshot| snapshot.free());
        for batch in 1..=4 {
            let forgotten = index.change(true, |changes| given_back.forget(changes));
            let forgotten = forgotten.expect("the index works");
            given_back.forgotten(&forgotten);
            let left = left().expect("the index works").len();
            assert_eq!(left, (3 - 3.min(batch)) * BATCH_ROWS, "{batch}");
            assert_eq!(given_back.is_empty(), batch == 4);
        }
    }
}

//! The blocks in use of each segment, with what would otherwise be counted over all of them.

use std::collections::{BTreeMap, BTreeSet};

/// A terabyte has some 4000 segments: nothing here that is done for a group looks at them all.
#[derive(Debug, Default)]
pub(super) struct BlocksInUse {
    blocks: BTreeMap<u32, u32>,
    sum: u64,
    empty: BTreeSet<u32>,
}

impl BlocksInUse {
    /// As the index has them.
    pub(super) fn new(blocks: Vec<(u32, u32)>) -> Self {
        let mut in_use = Self::default();
        in_use.set(blocks);
        in_use
    }

    /// These segments have so many blocks in use now.
    pub(super) fn set(&mut self, blocks: impl IntoIterator<Item = (u32, u32)>) {
        for (segment, blocks) in blocks {
            let before = self.blocks.insert(segment, blocks).unwrap_or(0);
            self.sum = self.sum + u64::from(blocks) - u64::from(before);
            match blocks {
                0 => self.empty.insert(segment),
                _ => self.empty.remove(&segment),
            };
        }
        debug_assert_eq!(
            self.sum,
            self.recount(),
            "the sum is not that of the segments"
        );
    }

    /// A segment that is there and of which the index may know nothing.
    pub(super) fn add_unknown(&mut self, segment: u32) {
        if !self.blocks.contains_key(&segment) {
            self.set([(segment, 0)]);
        }
    }

    /// An empty segment is no more.
    pub(super) fn remove(&mut self, segment: u32) {
        if self.empty.remove(&segment) {
            self.blocks.remove(&segment);
        }
    }

    /// All blocks in use.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// Segments without any.
    pub(super) fn empty(&self) -> impl Iterator<Item = u32> {
        self.empty.iter().copied()
    }

    /// The oldest segment from this one on that has some.
    pub(super) fn first_in_use(&self, from: u32) -> Option<u32> {
        let mut blocks = self.blocks.range(from..);
        { blocks.find(|(_, blocks)| **blocks > 0) }.map(|(segment, _)| *segment)
    }

    fn recount(&self) -> u64 {
        self.blocks.values().map(|blocks| u64::from(*blocks)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::random::SeededRandom;

    #[test]
    fn sum_and_empty_segments_are_those_of_a_count() {
        let random = SeededRandom::new(1);
        let mut in_use = BlocksInUse::new(vec![(3, 7), (4, 0)]);
        for _ in 0..1000 {
            let segment = random.below(20) as u32;
            match random.below(4) {
                0 => in_use.remove(segment),
                1 => in_use.add_unknown(segment),
                2 => in_use.set([(segment, 0)]),
                _ => in_use.set([(segment, random.below(65_536) as u32), (20, 1)]),
            }
            assert_eq!(in_use.sum(), in_use.recount());
            let empty = in_use.blocks.iter().filter(|(_, blocks)| **blocks == 0);
            let empty: Vec<u32> = empty.map(|(segment, _)| *segment).collect();
            assert_eq!(in_use.empty().collect::<Vec<_>>(), empty);
        }
    }
}

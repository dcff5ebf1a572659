//! When a fault fires: at which of its occasions, drawn from a seed.

use serde::{Deserialize, Serialize};

use crate::store::random::SeededRandom;

/// The members of a fault that say when. Without any it fires at every occasion.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default)]
pub(super) struct When {
    /// So many occasions pass first.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
    /// Then only each so many-th is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<u64>,
    /// How likely it fires at one.
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    /// What the draw is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// How often it fires at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
}

impl When {
    pub(super) const MEMBERS: [&str; 5] = ["after", "every", "probability", "seed", "count"];

    /// What makes no sense, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.every == Some(0) || self.count == Some(0) {
            return Err("every and count are at least 1".into());
        }
        match self.probability {
            Some(probability) if !(0.0..=1.0).contains(&probability) => {
                Err("probability is from 0 to 1".into())
            }
            None if self.seed.is_some() => Err("seed goes with probability".into()),
            _ => Ok(()),
        }
    }
}

/// How often a fault had its chance, and how often it took it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) seen: u64,
    pub(super) fired: u64,
}

/// The state behind a [`When`].
#[derive(Debug)]
pub(super) struct Trigger {
    counts: Counts,
    random: SeededRandom,
}

impl Trigger {
    pub(super) fn new(when: &When) -> Self {
        Self {
            counts: Counts::default(),
            random: SeededRandom::new(when.seed.unwrap_or_default()),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Another occasion: whether the fault fires at it. With the same seed the same ones fire.
    pub(super) fn occasion(&mut self, when: &When) -> bool {
        self.counts.seen += 1;
        let Some(nth) = self.counts.seen.checked_sub(when.after.unwrap_or(0)) else {
            return false;
        };
        let is_one = nth > 0 && nth.is_multiple_of(when.every.unwrap_or(1));
        let is_spent = when.count.is_some_and(|count| self.counts.fired >= count);
        let fires = is_one && !is_spent && when.probability.is_none_or(|p| self.draw() < p);
        self.counts.fired += u64::from(fires);
        fires
    }

    /// From 0 to below 1, as even as a float can tell.
    fn draw(&self) -> f64 {
        const BITS: u32 = f64::MANTISSA_DIGITS;
        (self.random.next_u64() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fires(when: &When, occasions: u64) -> Vec<u64> {
        let mut trigger = Trigger::new(when);
        (1..=occasions).filter(|_| trigger.occasion(when)).collect()
    }

    #[test]
    fn it_fires_where_all_members_agree() {
        let when = When::default();
        assert_eq!(fires(&when, 3), [1, 2, 3]);
        let when = When {
            after: Some(2),
            every: Some(3),
            count: Some(2),
            ..When::default()
        };
        assert_eq!(fires(&when, 20), [5, 8]);
    }

    #[test]
    fn the_seed_alone_decides_the_draw() {
        let when = |probability, seed| When {
            probability: Some(probability),
            seed: Some(seed),
            ..When::default()
        };
        let seventh = fires(&when(0.25, 7), 1000);
        assert_eq!(seventh, fires(&when(0.25, 7), 1000));
        assert_ne!(seventh, fires(&when(0.25, 8), 1000));
        assert!((200..300).contains(&seventh.len()), "{}", seventh.len());
        assert!(fires(&when(0.0, 7), 1000).is_empty());
        assert_eq!(fires(&when(1.0, 7), 1000).len(), 1000);
    }
}

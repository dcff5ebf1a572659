//! The one transaction of a group: what it changes in the index, and what follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::given_back::Forgotten;
use super::writer::Reserve;
use super::{BATCH_ROWS, CHECKPOINT_MS, Engine};
use crate::store::error::StoreError;
use crate::store::index::{Changes, Reserved, Row};
use crate::store::segments::Place;
use crate::store::state::{RESERVED_NUMBERS, Shared};
use crate::store::stream::StreamId;

/// What a transaction has changed, to be acted on once it is committed.
#[derive(Default)]
struct Outcome {
    in_use: BTreeMap<u32, u32>,
    freed: Vec<(Place, u32)>,
    forgotten: Forgotten,
    reserved: Vec<(StreamId, u64)>,
    purged: Option<StreamId>,
}

impl Outcome {
    /// What was in use in a segment that is empty now goes with its file, unless more comes there.
    fn spare_empty(&mut self, tail: Option<u32>) {
        let in_use = &self.in_use;
        let empty = |segment| in_use.get(&segment) == Some(&0) && Some(segment) != tail;
        self.freed.retain(|(place, _)| !empty(place.segment));
    }
}

impl Engine {
    /// One transaction for all that the group changes in the index.
    pub(super) fn commit(
        &mut self,
        rows: &[Row],
        reserves: &[Reserve],
        abandoned: bool,
    ) -> Result<(), StoreError> {
        let now_ms = self.shared.clock.monotonic_ms();
        let due = self.dirty && now_ms.saturating_sub(self.checkpoint_ms) >= CHECKPOINT_MS;
        let tail = self.tail.current();
        let coming = rows.iter().map(|row| u64::from(row.blocks())).sum();
        let victims = self
            .eviction
            .find(&self.shared, &self.in_use, tail, coming)?;
        self.sweep.begin(&self.shared, now_ms);
        let expired = self.sweep.find(&self.shared, BATCH_ROWS)?;
        let purge = self.doomed.first().copied();
        let nothing = rows.is_empty() && reserves.is_empty() && self.given_back.is_empty();
        let gone = !victims.rows.is_empty() || !expired.rows.is_empty();
        if nothing && !due && purge.is_none() && !gone {
            self.eviction.removed(&victims, now_ms);
            self.sweep.removed(expired);
            return Ok(());
        }
        let must = !reserves.is_empty() || purge.is_some() || gone;
        // After a failed sync recovery must never look at that segment again.
        let durable = due || must || abandoned;
        let end = self.tail.end();
        let shared = Arc::clone(&self.shared);
        let outcome = shared.with_index(|index| {
            index.change(durable, |changes| {
                let mut outcome = Outcome::default();
                rows.iter().try_for_each(|row| changes.insert(row))?;
                remove(changes, &victims.rows, &mut outcome)?;
                remove(changes, &expired.rows, &mut outcome)?;
                outcome.reserved = reserve(&shared, changes, reserves)?;
                outcome.forgotten = self.given_back.forget(changes)?;
                purge
                    .map(|stream| purge_rows(changes, stream, &mut outcome))
                    .transpose()?;
                changes.set_checkpoint(end)?;
                if durable {
                    changes.set_trusted_ms(shared.expiry_ms())?;
                }
                outcome.in_use = std::mem::take(&mut changes.in_use);
                outcome.spare_empty(tail);
                changes.add_free(&outcome.freed)?;
                Ok(outcome)
            })
        })?;
        self.dirty = !durable;
        if durable {
            self.checkpoint_ms = now_ms;
        }
        self.sweep.removed(expired);
        self.sweep.inserted(rows);
        self.eviction.removed(&victims, now_ms);
        self.committed(outcome, durable);
        Ok(())
    }

    /// Acts on what is committed.
    fn committed(&mut self, outcome: Outcome, durable: bool) {
        self.in_use.set(outcome.in_use);
        self.shared.groups.set_stored(self.in_use.sum());
        self.given_back.forgotten(&outcome.forgotten);
        for segment in outcome.forgotten.segments {
            self.in_use.remove(segment);
            self.unlinking.remove(&segment);
        }
        for (stream, reserved) in outcome.reserved {
            if let Ok(stream) = self.shared.stream(stream) {
                stream.reserved.fetch_max(reserved, Ordering::AcqRel);
            }
        }
        if let Some(stream) = outcome.purged {
            self.doomed.retain(|doomed| *doomed != stream);
        }
        if durable {
            self.unlink_empty();
            self.reclaim_places(outcome.freed);
        }
    }
}

fn reserve(
    shared: &Shared,
    changes: &mut Changes<'_>,
    reserves: &[Reserve],
) -> Result<Vec<(StreamId, u64)>, StoreError> {
    let mut reserved = Vec::new();
    for reserve in reserves {
        let Ok(stream) = shared.stream(reserve.stream) else {
            continue;
        };
        let sequence = stream.reserved.load(Ordering::Acquire) + RESERVED_NUMBERS;
        changes.reserve(
            reserve.stream,
            Reserved {
                sequence,
                server_ms: reserve.server_ms,
            },
        )?;
        reserved.push((reserve.stream, sequence));
    }
    Ok(reserved)
}

/// Takes rows out that are still there.
fn remove(
    changes: &mut Changes<'_>,
    rows: &[Row],
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    for row in rows {
        // What is past its retention may have been evicted with this very group.
        if changes.contains(row)? {
            changes.remove(row)?;
            outcome.freed.push((row.place, row.blocks()));
        }
    }
    Ok(())
}

fn purge_rows(
    changes: &mut Changes<'_>,
    stream: StreamId,
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    let unproven = changes.unproven_of(stream, BATCH_ROWS)?;
    for unproven in &unproven {
        changes.remove_unproven(unproven)?;
        outcome.freed.push((unproven.place, unproven.blocks));
    }
    let rows = changes.first(stream, BATCH_ROWS - unproven.len())?;
    for row in &rows {
        changes.remove(row)?;
        outcome.freed.push((row.place, row.blocks()));
    }
    if unproven.len() + rows.len() < BATCH_ROWS {
        changes.forget_doomed(stream)?;
        outcome.purged = Some(stream);
    }
    Ok(())
}

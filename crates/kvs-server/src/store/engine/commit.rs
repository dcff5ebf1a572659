//! The one transaction of a group: what it changes in the index, and what follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{CHECKPOINT_MS, Engine};
use crate::store::error::StoreError;
use crate::store::evict;
use crate::store::index::{Changes, Reserved, Row};
use crate::store::reclaim::Reclaim;
use crate::store::segments::Place;
use crate::store::state::{RESERVED_NUMBERS, Shared};
use crate::store::stream::StreamId;
use crate::store::writer::Reserve;

/// So many rows go at a time that are past their retention, and as many of a deleted stream. Who
/// waits to be stored waits for them: some 10 ms each, and the sync of a durable transaction.
const PURGE_ROWS: usize = 1000;

/// What a transaction has changed, to be acted on once it is committed.
#[derive(Default)]
struct Outcome {
    live: BTreeMap<u32, u32>,
    freed: Vec<(Place, u32)>,
    reserved: Vec<(StreamId, u64)>,
    purged: Option<StreamId>,
}

impl Engine {
    /// One transaction for all that the group changes in the index.
    pub(super) fn commit(
        &mut self,
        rows: &[Row],
        reserves: &[Reserve],
        reclaimed: &[Reclaim],
        abandoned: bool,
    ) -> Result<(), StoreError> {
        let now_ms = self.shared.clock.monotonic_ms();
        let due = self.dirty && now_ms.saturating_sub(self.checkpoint_ms) >= CHECKPOINT_MS;
        let victims = self.victims(rows, PURGE_ROWS)?;
        self.sweep.begin(&self.shared, now_ms);
        let expired = self.sweep.find(&self.shared, PURGE_ROWS)?;
        let purge = self.doomed.first().copied();
        let nothing = rows.is_empty() && reserves.is_empty() && reclaimed.is_empty();
        let gone = !victims.is_empty() || !expired.rows.is_empty();
        if nothing && !due && purge.is_none() && !gone {
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
                victims
                    .iter()
                    .try_for_each(|row| evict::remove(changes, row))?;
                remove_expired(changes, &expired.rows, &mut outcome)?;
                outcome.reserved = reserve(&shared, changes, reserves)?;
                forget(changes, reclaimed)?;
                purge
                    .map(|stream| purge_rows(changes, stream, &mut outcome))
                    .transpose()?;
                changes.set_checkpoint(end)?;
                if durable {
                    changes.set_trusted_ms(shared.expiry_ms())?;
                }
                outcome.live = std::mem::take(&mut changes.live);
                Ok(outcome)
            })
        })?;
        self.dirty = !durable;
        if durable {
            self.checkpoint_ms = now_ms;
        }
        self.sweep.removed(expired);
        self.sweep.inserted(rows);
        self.evicted.add(&victims, now_ms);
        self.committed(outcome, reclaimed, durable);
        Ok(())
    }

    /// Acts on what is committed.
    fn committed(&mut self, outcome: Outcome, reclaimed: &[Reclaim], durable: bool) {
        self.live.set(outcome.live);
        self.shared.groups.set_stored(self.live.sum());
        for reclaim in reclaimed {
            if let Reclaim::Segment(segment) = reclaim {
                self.live.remove(*segment);
                self.unlinking.remove(segment);
            }
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

fn forget(changes: &mut Changes<'_>, reclaimed: &[Reclaim]) -> Result<(), StoreError> {
    reclaimed.iter().try_for_each(|reclaim| match reclaim {
        Reclaim::Places(places) => changes.remove_free(places),
        Reclaim::Segment(segment) => changes.remove_segment(*segment),
    })
}

/// Their room is given back when this is durable.
fn remove_expired(
    changes: &mut Changes<'_>,
    rows: &[Row],
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    for row in rows {
        // One that was evicted is gone with its segment.
        if changes.contains(row)? {
            changes.remove(row)?;
            outcome.freed.push((row.place, row.blocks()));
        }
    }
    changes.add_free(&outcome.freed)
}

fn purge_rows(
    changes: &mut Changes<'_>,
    stream: StreamId,
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    for unproven in changes.unproven_of(stream)? {
        changes.remove_unproven(&unproven)?;
        outcome.freed.push((unproven.place, unproven.blocks));
    }
    let rows = changes.first(stream, PURGE_ROWS)?;
    for row in &rows {
        changes.remove(row)?;
        outcome.freed.push((row.place, row.blocks()));
    }
    changes.add_free(&outcome.freed)?;
    if rows.len() < PURGE_ROWS {
        changes.forget_doomed(stream)?;
        outcome.purged = Some(stream);
    }
    Ok(())
}

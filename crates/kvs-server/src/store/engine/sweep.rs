//! The sweep: finds the rows past their stream's retention, a batch with each group.

use std::collections::{BTreeMap, VecDeque};

use crate::store::error::StoreError;
use crate::store::fragment::TimeOrigin;
use crate::store::index::Row;
use crate::store::state::Shared;
use crate::store::stream::StreamId;

/// Expiry has a minute; a sixth of that leaves time for the batches of many streams.
const SWEEP_MS: u64 = 10_000;
/// So many streams are looked at for a batch: a few ms, as each is one look into the index.
const LOOKS_MAX: usize = 500;

/// Which streams may have rows past their retention.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// When the next round begins, by the monotonic clock.
    next_ms: u64,
    /// No row of the stream has arrived earlier. Where there is none, nobody has looked yet.
    oldest_ms: BTreeMap<StreamId, u64>,
    due: VecDeque<StreamId>,
}

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) rows: Vec<Row>,
    /// Streams of which these are all, with the time of the oldest that stays.
    done: Vec<(StreamId, u64)>,
}

impl Sweep {
    /// Begins a round when it is time for one.
    pub(super) fn begin(&mut self, shared: &Shared, monotonic_ms: u64) {
        if monotonic_ms < self.next_ms || !self.due.is_empty() {
            return;
        }
        let Some(expiry_ms) = shared.expiry_ms() else {
            return;
        };
        self.next_ms = monotonic_ms + SWEEP_MS;
        let floors = shared.floors_ms(expiry_ms);
        self.oldest_ms
            .retain(|stream, _| floors.contains_key(stream));
        for (stream, floor_ms) in floors {
            let oldest_ms = self.oldest_ms.get(&stream).copied().unwrap_or(0);
            if oldest_ms < floor_ms {
                self.due.push_back(stream);
            }
        }
    }

    /// The stream's retention is shorter: its turn is now.
    pub(super) fn lowered(&mut self, stream: StreamId) {
        self.due.push_front(stream);
    }

    pub(super) fn has_more(&self) -> bool {
        !self.due.is_empty()
    }

    /// The rows to go next, `rows_max` at most.
    pub(super) fn find(&self, shared: &Shared, rows_max: usize) -> Result<Found, StoreError> {
        let mut found = Found::default();
        if self.due.is_empty() {
            return Ok(found);
        }
        let snapshot = shared.snapshot()?;
        for stream in self.due.iter().take(LOOKS_MAX) {
            let floor_ms = shared.floor_ms(*stream);
            let mut oldest_ms = Some(u64::MAX);
            let all = (u64::MAX, 0);
            snapshot.range(*stream, TimeOrigin::Server, (0, 0), all, |row| {
                let server_ms = row.facts.number.server_ms;
                if server_ms >= floor_ms {
                    oldest_ms = Some(server_ms);
                    return false;
                }
                if found.rows.len() == rows_max {
                    oldest_ms = None;
                    return false;
                }
                found.rows.push(row);
                true
            })?;
            match oldest_ms {
                Some(oldest_ms) => found.done.push((*stream, oldest_ms)),
                None => break,
            }
        }
        Ok(found)
    }

    /// What was found is gone, durably.
    pub(super) fn removed(&mut self, found: Found) {
        for (stream, oldest_ms) in found.done {
            if let Some(at) = self.due.iter().position(|due| *due == stream) {
                self.due.remove(at);
            }
            self.oldest_ms.insert(stream, oldest_ms);
        }
    }

    /// There are new rows.
    pub(super) fn inserted(&mut self, rows: &[Row]) {
        for row in rows {
            if let Some(oldest_ms) = self.oldest_ms.get_mut(&row.facts.stream) {
                *oldest_ms = row.facts.number.server_ms.min(*oldest_ms);
            }
        }
    }
}

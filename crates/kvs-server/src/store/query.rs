//! What the store is asked: which fragments there are, and what is in them.

use std::sync::Arc;

use kvs_protocol::FragmentParts;

use super::Store;
use super::error::StoreError;
use super::fragment::{FragmentInfo, Page, Query, TimeOrigin};
use super::index::{PASSED_ROWS_MAX, Row};
use super::reader::FragmentReader;
use super::state::StreamState;
use super::stream::StreamId;

impl Store {
    fn readable(&self, stream: StreamId) -> Result<(Arc<StreamState>, u64), StoreError> {
        let live = self.0.shared.stream(stream)?;
        let floor_ms = match self.0.shared.expiry_ms() {
            Some(expiry_ms) => live.floor_ms(expiry_ms),
            None => 0,
        };
        Ok((live, floor_ms))
    }

    /// The first fragment from here on that is not past its retention.
    pub(super) fn first_from(
        &self,
        stream: StreamId,
        origin: TimeOrigin,
        from: (u64, u64),
    ) -> Result<Option<FragmentInfo>, StoreError> {
        let (_, floor_ms) = self.readable(stream)?;
        let snapshot = self.0.shared.snapshot()?;
        let mut first = None;
        let all = (u64::MAX, floor_ms);
        let stopped = snapshot.range(stream, origin, from, all, |row| {
            first = Some(row.info());
            false
        })?;
        let Some(stopped) = stopped else {
            return Ok(first);
        };
        // The producer's clock seldom goes back: behind so many fragments past their retention
        // lies the oldest one that is not.
        let mut passed = 0;
        snapshot.range(stream, TimeOrigin::Server, (0, 0), all, |row| {
            passed += 1;
            first = (row.facts.producer_ms >= stopped.producer_ms).then(|| row.info());
            first.is_none() && passed < PASSED_ROWS_MAX
        })?;
        Ok(first)
    }

    /// Fragments by their start, a page of them. Blocks.
    pub fn find(&self, stream: StreamId, query: Query) -> Result<Page, StoreError> {
        let (_, floor_ms) = self.readable(stream)?;
        let behind = |after: FragmentInfo| {
            (
                after.start_ms(query.origin),
                after.number.sequence.saturating_add(1),
            )
        };
        let from = query.after.map_or((0, 0), behind).max((query.from_ms, 0));
        let mut page = Page::default();
        if query.limit > 0 {
            let snapshot = self.0.shared.snapshot()?;
            let bounds = (query.to_ms, floor_ms);
            page.stopped = snapshot.range(stream, query.origin, from, bounds, |row| {
                page.fragments.push(row.info());
                page.fragments.len() < query.limit
            })?;
        }
        Ok(page)
    }

    /// The oldest fragment that is retained. Blocks.
    pub fn oldest(&self, stream: StreamId) -> Result<Option<FragmentInfo>, StoreError> {
        self.first_from(stream, TimeOrigin::Server, (0, 0))
    }

    /// The fragment with the largest number. Blocks.
    pub fn newest(&self, stream: StreamId) -> Result<Option<FragmentInfo>, StoreError> {
        let (_, floor_ms) = self.readable(stream)?;
        let row = self
            .0
            .shared
            .snapshot()?
            .last(stream, TimeOrigin::Server, u64::MAX)?;
        Ok(row
            .filter(|row| row.facts.number.server_ms >= floor_ms)
            .map(|row| row.info()))
    }

    /// The fragment that follows this number, which need not exist: its server time and then its
    /// sequence number say where it would be. Blocks.
    pub fn after(
        &self,
        stream: StreamId,
        number: FragmentParts,
    ) -> Result<Option<FragmentInfo>, StoreError> {
        let from = (number.server_ms, number.sequence.saturating_add(1));
        self.first_from(stream, TimeOrigin::Server, from)
    }

    /// The fragment that contains an instant, or else the next later one. Blocks.
    pub fn containing(
        &self,
        stream: StreamId,
        origin: TimeOrigin,
        at_ms: u64,
    ) -> Result<Option<FragmentInfo>, StoreError> {
        let (_, floor_ms) = self.readable(stream)?;
        let before = self.0.shared.snapshot()?.last(stream, origin, at_ms)?;
        let contains = |row: &Row| {
            let info = row.info();
            row.facts.number.server_ms >= floor_ms
                && info.start_ms(origin).saturating_add(info.length_ms) >= at_ms
        };
        match before.filter(contains) {
            Some(row) => Ok(Some(row.info())),
            None => self.first_from(stream, origin, (at_ms, 0)),
        }
    }

    /// What is known of a fragment. Blocks.
    pub fn fragment(
        &self,
        stream: StreamId,
        number: FragmentParts,
    ) -> Result<Option<FragmentInfo>, StoreError> {
        Ok(self.row(stream, number)?.map(|(_, row)| row.info()))
    }

    /// Begins to read a fragment. Blocks.
    pub fn read(
        &self,
        stream: StreamId,
        number: FragmentParts,
    ) -> Result<FragmentReader, StoreError> {
        let (live, row) = self.row(stream, number)?.ok_or(StoreError::NoFragment)?;
        FragmentReader::new(&self.0.shared, live, row)
    }

    fn row(
        &self,
        stream: StreamId,
        number: FragmentParts,
    ) -> Result<Option<(Arc<StreamState>, Row)>, StoreError> {
        let (live, floor_ms) = self.readable(stream)?;
        let row = self.0.shared.snapshot()?.row(stream, number)?;
        let row = row.filter(|row| row.facts.number.server_ms >= floor_ms);
        Ok(row.map(|row| (live, row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::store::StoreConfig;
    use crate::store::record::RecordFacts;
    use crate::store::segments::Place;
    use crate::store::stream::NewStream;

    const HOUR_MS: u64 = 3_600_000;
    const NOW_MS: u64 = 1_700_000_000_000;

    /// A stream of an hour with so many fragments past that, and then three that are not.
    fn store_with_expired(expired: usize) -> (Store, StreamId) {
        let clock = Arc::new(SimulatedClock::new(NOW_MS));
        let store = Store::open(&StoreConfig::in_memory(), clock).expect("it is new");
        let new = NewStream::named(
            "cam".parse().expect("it is a name"),
            "first".parse().expect("it is a version"),
            1,
        );
        let stream = store.create_stream(new).expect("it is new").id;
        let facts = |at| RecordFacts {
            stream,
            number: FragmentParts {
                sequence: at + 1,
                server_ms: match at < expired as u64 {
                    true => NOW_MS - 2 * HOUR_MS + at,
                    false => NOW_MS + at,
                },
                random: 0,
            },
            producer_ms: at * 10,
            length_ms: 10,
            header_bytes: 0,
            cluster_bytes: 0,
            tags_bytes: 0,
        };
        let place = |block| Place { segment: 1, block };
        let rows = (0..expired as u32 + 3).map(|at| Row {
            facts: facts(u64::from(at)),
            place: place(at),
        });
        store
            .0
            .shared
            .with_index(|index| {
                index.change(false, |changes| {
                    { rows }.try_for_each(|row| changes.insert(&row))
                })
            })
            .expect("the index works");
        (store, stream)
    }

    #[test]
    fn no_question_passes_over_more_than_its_bound() {
        let (store, stream) = store_with_expired(2 * PASSED_ROWS_MAX + 5);
        let mut query = Query {
            origin: TimeOrigin::Producer,
            from_ms: 0,
            to_ms: u64::MAX,
            after: None,
            limit: 10,
        };
        for _ in 0..2 {
            let page = store.find(stream, query).expect("the index works");
            assert_eq!(page.fragments, []);
            query.after = page.stopped;
            assert!(query.after.is_some(), "it is not the last page");
        }
        let page = store.find(stream, query).expect("the index works");
        assert_eq!((page.fragments.len(), page.stopped), (3, None));
        let first = page.fragments[0];
        for at_ms in [0, 77, first.producer_ms] {
            let found = store.containing(stream, TimeOrigin::Producer, at_ms);
            assert_eq!(found.expect("the index works"), Some(first), "{at_ms}");
        }
        query.origin = TimeOrigin::Server;
        query.after = None;
        let page = store.find(stream, query).expect("the index works");
        assert_eq!((page.fragments.len(), page.stopped), (3, None));
    }
}

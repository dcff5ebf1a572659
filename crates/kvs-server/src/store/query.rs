//! What the store is asked: which fragments there are, and what is in them.

use std::sync::Arc;

use kvs_protocol::FragmentParts;

use super::Store;
use super::error::StoreError;
use super::fragment::{FragmentInfo, Query, TimeOrigin};
use super::index::Row;
use super::reader::FragmentReader;
use super::state::StreamState;
use super::stream::StreamId;

impl Store {
    fn readable(&self, stream: StreamId) -> Result<(Arc<StreamState>, u64), StoreError> {
        let live = self.0.shared.stream(stream)?;
        let floor_ms = live.floor_ms(self.0.shared.clock.now_ms());
        Ok((live, floor_ms))
    }

    /// The first fragment from here on that is not past its retention.
    fn first_from(
        &self,
        stream: StreamId,
        origin: TimeOrigin,
        from: (u64, u64),
    ) -> Result<Option<FragmentInfo>, StoreError> {
        let (_, floor_ms) = self.readable(stream)?;
        let from = match origin {
            TimeOrigin::Server => from.max((floor_ms, 0)),
            TimeOrigin::Producer => from,
        };
        let mut first = None;
        self.0
            .shared
            .snapshot()?
            .range(stream, origin, from, u64::MAX, |row| {
                first = (row.number.server_ms >= floor_ms).then(|| row.info());
                first.is_none()
            })?;
        Ok(first)
    }

    /// Fragments by their start, a page of them. Blocks.
    pub fn find(&self, stream: StreamId, query: Query) -> Result<Vec<FragmentInfo>, StoreError> {
        let (_, floor_ms) = self.readable(stream)?;
        let behind = |after: FragmentInfo| {
            (
                after.start_ms(query.origin),
                after.number.sequence.saturating_add(1),
            )
        };
        let mut from = query.after.map_or((0, 0), behind).max((query.from_ms, 0));
        if query.origin == TimeOrigin::Server {
            from = from.max((floor_ms, 0));
        }
        let mut found = Vec::new();
        if query.limit > 0 {
            let snapshot = self.0.shared.snapshot()?;
            snapshot.range(stream, query.origin, from, query.to_ms, |row| {
                if row.number.server_ms >= floor_ms {
                    found.push(row.info());
                }
                found.len() < query.limit
            })?;
        }
        Ok(found)
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
            .filter(|row| row.number.server_ms >= floor_ms)
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
            row.number.server_ms >= floor_ms
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
        FragmentReader::new(self.0.shared.disk.as_ref(), live, row)
    }

    fn row(
        &self,
        stream: StreamId,
        number: FragmentParts,
    ) -> Result<Option<(Arc<StreamState>, Row)>, StoreError> {
        let (live, floor_ms) = self.readable(stream)?;
        let row = self.0.shared.snapshot()?.row(stream, number)?;
        let row = row.filter(|row| row.number.server_ms >= floor_ms);
        Ok(row.map(|row| (live, row)))
    }
}

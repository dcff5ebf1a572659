//! Whether a number is one that a stream may have given out, also where its fragment is gone.

use kvs_protocol::FragmentParts;

use super::Store;
use super::error::StoreError;
use super::fragment::TimeOrigin;
use super::stream::StreamId;
use crate::lock::lock;

impl Store {
    /// Whether the stream may have given this number to a fragment. Of one that is gone no more is
    /// known than that sequence numbers and server times grow together: what contradicts that is
    /// another stream's, or nobody's. Blocks.
    pub fn may_have_given(
        &self,
        stream: StreamId,
        number: FragmentParts,
    ) -> Result<bool, StoreError> {
        let live = self.0.shared.stream(stream)?;
        if number.sequence == 0 || number.sequence >= lock(&live.numbers).sequence {
            return Ok(false);
        }
        let from = (number.server_ms, number.sequence);
        let next = self.first_from(stream, TimeOrigin::Server, from)?;
        if let Some(next) = next.map(|next| next.number)
            && next.sequence <= number.sequence
        {
            return Ok(next == number);
        }
        let Some(before_ms) = number.server_ms.checked_sub(1) else {
            return Ok(true);
        };
        let snapshot = self.0.shared.snapshot()?;
        let before = snapshot.last(stream, TimeOrigin::Server, before_ms)?;
        Ok(before.is_none_or(|row| row.facts.number.sequence < number.sequence))
    }
}

//! Fragment numbers: each given out once, and below what was durably reserved.

use std::sync::atomic::Ordering;

use kvs_protocol::FragmentParts;

use super::Store;
use super::engine::writer::{Command, Reserve};
use super::error::StoreError;
use super::fragment::TimeOrigin;
use super::stream::StreamId;
use crate::lock::lock;

/// When so few numbers are left, the next block is fetched while they are used.
const NUMBERS_LEFT_MIN: u64 = 100;

impl Store {
    /// Sees to it that the next [`try_begin_fragment`](Self::try_begin_fragment) gives a number.
    /// Blocks for a sync where none is reserved.
    pub fn prepare(&self, stream: StreamId) -> Result<(), StoreError> {
        let live = self.0.shared.stream(stream)?;
        if live.key().is_err() {
            // It will not get one.
            return Ok(());
        }
        let (next, server_ms) = {
            let numbers = lock(&live.numbers);
            (numbers.sequence, numbers.server_ms)
        };
        if next <= live.reserved.load(Ordering::Acquire) {
            return Ok(());
        }
        self.ask(|reply| {
            Command::Reserve(Reserve {
                stream,
                server_ms,
                reply: Some(reply),
            })
        })
    }

    /// The number of a fragment that arrived at `server_ms`. Numbers and their times only grow, and
    /// none is given out twice, whether its fragment is stored or not.
    ///
    /// `None` where no number is reserved, which [`prepare`](Self::prepare) changes: at the first
    /// after the start of the server, else only where they are used faster than the disk syncs.
    pub fn try_begin_fragment(
        &self,
        stream: StreamId,
        server_ms: u64,
    ) -> Result<Option<FragmentParts>, StoreError> {
        let live = self.0.shared.stream(stream)?;
        live.key()?;
        let mut numbers = lock(&live.numbers);
        let sequence = numbers.sequence;
        let server_ms = server_ms.max(numbers.server_ms);
        let reserved = live.reserved.load(Ordering::Acquire);
        if reserved < sequence {
            return Ok(None);
        }
        if reserved == sequence + NUMBERS_LEFT_MIN {
            // A writer that has ended says so where somebody waits for it.
            let _ = self.0.commands.send(Command::Reserve(Reserve {
                stream,
                server_ms,
                reply: None,
            }));
        }
        numbers.sequence += 1;
        numbers.server_ms = server_ms;
        let mut random = [0; 4];
        self.0.shared.random.fill(&mut random);
        let random = u32::from_le_bytes(random) >> 4;
        Ok(Some(FragmentParts {
            sequence,
            server_ms,
            random,
        }))
    }

    /// The same, and blocks for a sync where no number is reserved.
    pub fn begin_fragment(
        &self,
        stream: StreamId,
        server_ms: u64,
    ) -> Result<FragmentParts, StoreError> {
        loop {
            if let Some(number) = self.try_begin_fragment(stream, server_ms)? {
                return Ok(number);
            }
            self.prepare(stream)?;
        }
    }

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

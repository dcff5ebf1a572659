//! Streams and fragments for the tests of the store.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use kvs_protocol::FragmentParts;
use kvs_server::clock::SimulatedClock;
use kvs_server::store::{NewFragment, NewStream, Store, StoreError, StreamId};

/// A stream that keeps its fragments for an hour.
pub(crate) fn new_stream(name: &str) -> NewStream {
    NewStream::named(
        name.parse().expect("it is a name"),
        "first".parse().expect("it is a version"),
        1,
    )
}

/// A fragment whose bytes follow from its number, with a cluster of `len`.
pub(crate) fn fragment(stream: StreamId, number: FragmentParts, len: usize) -> NewFragment {
    let seed = (number.sequence as usize).wrapping_mul(7919) ^ stream.0 as usize;
    let cluster: Bytes = (0..len)
        .map(|at| (at.wrapping_mul(31) ^ seed) as u8)
        .collect();
    NewFragment {
        stream,
        number,
        producer_ms: number.server_ms,
        length_ms: 1000,
        header: Bytes::from(format!("header {}", number.sequence)),
        cluster_bytes: len as u64,
        body: vec![
            cluster.slice(..len / 3),
            cluster.slice(len / 3..),
            Bytes::from(format!("tags {}", number.sequence)),
        ],
    }
}

/// All bytes of a fragment, as its reader gives them.
pub(crate) fn body(new: &NewFragment) -> Vec<u8> {
    let pieces = std::iter::once(&new.header).chain(&new.body);
    pieces.flat_map(|piece| piece.iter().copied()).collect()
}

/// Reads a fragment to its end.
pub(crate) fn read_all(
    store: &Store,
    stream: StreamId,
    number: FragmentParts,
) -> Result<Vec<u8>, StoreError> {
    let mut reader = store.read(stream, number)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        assert!(chunk.len() <= 64 << 10);
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Waits for a future on this thread.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().expect("a thread can wait");
    runtime.block_on(future)
}

/// The simulated clock's time in every test.
pub(crate) const NOW_MS: u64 = 1_700_000_000_000;

/// A clock that stands at that time.
pub(crate) fn clock() -> Arc<SimulatedClock> {
    Arc::new(SimulatedClock::new(NOW_MS))
}

/// Makes a stream of that name.
pub(crate) fn create(store: &Store, name: &str) -> StreamId {
    let created = store.create_stream(new_stream(name));
    created.expect("there is none of that name").id
}

/// A fragment that was PERSISTED.
pub(crate) struct Persisted {
    pub(crate) stream: StreamId,
    pub(crate) number: FragmentParts,
    pub(crate) bytes: Vec<u8>,
}

impl Persisted {
    /// It is there byte for byte.
    pub(crate) fn is_in(&self, store: &Store) {
        let read = read_all(store, self.stream, self.number).expect("it was persisted");
        assert!(read == self.bytes, "{:?} has other bytes", self.number);
    }
}

/// Stores a fragment with a cluster of `len`.
pub(crate) fn append(store: &Store, stream: StreamId, len: usize) -> Result<Persisted, StoreError> {
    let number = store.begin_fragment(stream, NOW_MS)?;
    let new = fragment(stream, number, len);
    let bytes = body(&new);
    wait(store.append(new))?;
    Ok(Persisted {
        stream,
        number,
        bytes,
    })
}

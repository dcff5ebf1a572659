//! A fragment that is read back from the store, off the runtime's threads.

use bytes::{Bytes, BytesMut};
use kvs_protocol::FragmentParts;
use tokio::task::spawn_blocking;
use tracing::Span;

use crate::ask::ask;
use crate::store::{FragmentReader, Store, StoreError, StreamId};

/// What follows the header of a stored fragment, a bounded piece at a time.
#[derive(Debug)]
pub(crate) struct StoredFragment {
    /// Away while it reads.
    reader: Option<FragmentReader>,
    /// What was read with the end of the header.
    rest: Bytes,
}

impl StoredFragment {
    /// Opens a fragment and reads its header.
    pub(crate) async fn open(
        store: &Store,
        stream: StreamId,
        number: FragmentParts,
    ) -> Result<(Bytes, Self), StoreError> {
        let reader = ask(store, move |store| store.read(stream, number)).await?;
        let header_bytes = reader.header_bytes as usize;
        let mut stored = Self {
            reader: Some(reader),
            rest: Bytes::new(),
        };
        let mut header = BytesMut::new();
        while header.len() < header_bytes {
            let Some(chunk) = stored.next().await? else {
                return Err(StoreError::NoFragment);
            };
            header.extend_from_slice(&chunk);
        }
        stored.rest = header.split_off(header_bytes).freeze();
        Ok((header.freeze(), stored))
    }

    /// Leaves out the next `bytes`, which were read elsewhere.
    pub(crate) async fn skip(&mut self, mut bytes: u64) -> Result<(), StoreError> {
        while bytes > 0 {
            let Some(mut chunk) = self.next().await? else {
                return Err(StoreError::NoFragment);
            };
            let skipped = bytes.min(chunk.len() as u64);
            self.rest = chunk.split_off(skipped as usize);
            bytes -= skipped;
        }
        Ok(())
    }

    /// The next bytes; `None` is the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        let Some(mut reader) = self.reader.take() else {
            return Ok(None);
        };
        let span = Span::current();
        let read = move || {
            let chunk = span.in_scope(|| reader.next_chunk());
            (reader, chunk)
        };
        let (reader, chunk) = spawn_blocking(read)
            .await
            .map_err(|_| StoreError::Interrupted)?;
        self.reader = Some(reader);
        chunk
    }
}

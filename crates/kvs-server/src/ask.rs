//! Questions to the store, off the runtime's threads.

use tokio::task::spawn_blocking;
use tracing::Span;

use crate::store::{Store, StoreError, damaged};

/// Asks the store, whose answers may have to wait for the disk.
pub(crate) async fn ask<T: Send + 'static>(
    store: &Store,
    question: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (store, span) = (store.clone(), Span::current());
    spawn_blocking(move || span.in_scope(|| question(&store)))
        .await
        .unwrap_or_else(|error| {
            Err(match error.is_panic() {
                true => damaged(),
                false => StoreError::Interrupted,
            })
        })
}

//! A change of a stream's metadata: as a whole, on top of all others, or not at all.

use kvs_protocol::api::StreamRef;
use kvs_protocol::{ApiError, ErrorKind, Version};

use super::reply::Refusal;
use crate::app::App;
use crate::ask::ask;
use crate::store::{StoreError, Stream};

impl App {
    /// Changes the stream durably. `change` is asked again if somebody else was quicker, and its
    /// error is the answer.
    pub(crate) async fn change(
        &self,
        named: &StreamRef,
        change: impl Fn(&mut Stream) -> Result<(), ApiError> + Send + 'static,
    ) -> Result<(), Refusal> {
        let id = self.stream(named)?.id;
        let changed = ask(self.store(), move |store| {
            loop {
                let old = store.stream_by_id(id).ok_or(StoreError::NoStream)?;
                let mut new = Stream::clone(&old);
                if let Err(refused) = change(&mut new) {
                    return Ok(Err(refused));
                }
                if new == *old {
                    return Ok(Ok(()));
                }
                match store.update_stream(new) {
                    Err(StoreError::Changed) => {}
                    updated => return updated.map(|_| Ok(())),
                }
            }
        });
        Ok(changed.await??)
    }
}

/// Refuses a request that was made for another version of the stream's metadata.
pub(super) fn expect_version(stream: &Stream, current: &Version) -> Result<(), ApiError> {
    if *current == stream.version {
        return Ok(());
    }
    let message = "CurrentVersion is not the stream's version; describe the stream again.";
    Err(ApiError::new(ErrorKind::VersionMismatch, message))
}

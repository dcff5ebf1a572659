//! Batches of the archive, fetched while the one before is being read.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{Semaphore, mpsc};

use super::media::Opening;
use crate::service_error::ServiceError;
use crate::task::OwnedTask;

/// How many bytes of a batch are kept until they are read. With the batch at hand and one ahead,
/// that is at most twice this: some seconds of high-definition video.
pub(super) const BATCH_BYTES_MAX: u64 = 8 << 20;

/// How many batches are in flight: one that is read and one ahead, so that its first byte is
/// there when it is wanted. The service takes 5 connections.
pub(super) const BATCHES_MAX: usize = 2;

/// The most fragments of a batch: what a broken response makes us ask for again stays small.
pub(super) const BATCH_FRAGMENTS_MAX: usize = 100;

/// A response that is being fetched. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Batch {
    pieces: mpsc::UnboundedReceiver<Result<Bytes, ServiceError>>,
    room: Arc<Semaphore>,
    _task: OwnedTask,
}

impl Batch {
    /// Starts to fetch.
    pub(super) fn new(opening: Opening) -> Self {
        // The room bounds the queue in bytes, so it needs no bound in pieces.
        let (sender, pieces) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(BATCH_BYTES_MAX as usize));
        let task = fetch(opening, sender, Arc::clone(&room));
        Self {
            pieces,
            room,
            _task: OwnedTask::spawn(task),
        }
    }

    /// The next bytes; `None` at the end of the response. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, ServiceError>> {
        let piece = self.pieces.recv().await?;
        if let Ok(bytes) = &piece {
            self.room.add_permits(permits(bytes) as usize);
        }
        Some(piece)
    }
}

async fn fetch(
    opening: Opening,
    sender: mpsc::UnboundedSender<Result<Bytes, ServiceError>>,
    room: Arc<Semaphore>,
) {
    let mut body = match opening.await {
        Ok(body) => body,
        Err(error) => {
            let _ = sender.send(Err(error));
            return;
        }
    };
    while let Some(piece) = body.next().await {
        if let Ok(bytes) = &piece
            && let Ok(taken) = room.acquire_many(permits(bytes)).await
        {
            taken.forget();
        }
        let failed = piece.is_err();
        if sender.send(piece).is_err() || failed {
            return;
        }
    }
}

/// A piece larger than all the room takes all of it.
fn permits(bytes: &Bytes) -> u32 {
    bytes.len().min(BATCH_BYTES_MAX as usize) as u32
}

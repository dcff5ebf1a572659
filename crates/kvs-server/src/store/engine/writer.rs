//! The writer thread: takes what is waiting as one group, and has the engine store it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::reclaim::Reclaim;
use super::{CHECKPOINT_MS, Engine};
use crate::store::error::StoreError;
use crate::store::record::Sealed;
use crate::store::stream::{NewStream, Stream, StreamId};

/// A larger group makes the first of it wait longer for its ack and wins nothing.
pub(in crate::store) const GROUP_BYTES_MAX: usize = 32 << 20;

/// Who waits for an answer.
pub(in crate::store) type Reply<T> = SyncSender<Result<T, StoreError>>;

/// What the writer is asked for.
pub(in crate::store) enum Command {
    Append(Append),
    Reserve(Reserve),
    Reclaimed(Reclaim),
    Act(Act),
    /// Waits until the other end is dropped, so that a test decides what makes one group.
    Pause(Receiver<()>),
    Close,
}

/// A record to be made durable.
pub(in crate::store) struct Append {
    pub(in crate::store) record: Sealed,
    pub(in crate::store) done: oneshot::Sender<Result<(), StoreError>>,
    /// Its room in the queue.
    pub(in crate::store) _room: OwnedSemaphorePermit,
}

/// More numbers for a stream.
pub(in crate::store) struct Reserve {
    pub(in crate::store) stream: StreamId,
    pub(in crate::store) server_ms: u64,
    /// Nobody, where they are fetched ahead.
    pub(in crate::store) reply: Option<Reply<()>>,
}

/// Changes of the streams themselves; each is a transaction of its own.
pub(in crate::store) enum Act {
    Create {
        new: NewStream,
        reply: Reply<Arc<Stream>>,
    },
    Update {
        stream: Stream,
        reply: Reply<Arc<Stream>>,
    },
    Delete {
        stream: StreamId,
        reply: Reply<()>,
    },
    Checkpoint {
        reply: Reply<()>,
    },
}

/// What is done together, with one sync.
#[derive(Default)]
pub(in crate::store) struct Group {
    pub(in crate::store) appends: Vec<Append>,
    pub(in crate::store) reserves: Vec<Reserve>,
    pub(in crate::store) reclaimed: Vec<Reclaim>,
    /// Ends the group, and comes after the rest of it.
    pub(in crate::store) act: Option<Act>,
}

impl Group {
    /// Whether it comes to more than fragments, which a full disk refuses.
    pub(in crate::store) fn changes_index(&self) -> bool {
        !self.reserves.is_empty() || self.act.is_some()
    }
}

/// Works until it is told to close.
pub(in crate::store) fn run(mut engine: Engine, commands: &Receiver<Command>) {
    loop {
        let first = if engine.has_more() {
            commands.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            })
        } else {
            commands.recv_timeout(Duration::from_millis(CHECKPOINT_MS))
        };
        let closing = match first {
            Ok(first) => {
                let (group, closing) = gather(first, commands);
                engine.store(group);
                closing
            }
            Err(RecvTimeoutError::Timeout) => {
                engine.store(Group::default());
                false
            }
            Err(RecvTimeoutError::Disconnected) => true,
        };
        if closing {
            return engine.close();
        }
    }
}

/// Takes what is waiting; whether the store is to be closed behind it.
fn gather(first: Command, commands: &Receiver<Command>) -> (Group, bool) {
    let mut group = Group::default();
    let mut bytes = 0;
    let mut next = Some(first);
    while let Some(command) = next {
        match command {
            Command::Append(append) => {
                bytes += append.record.bytes.len();
                group.appends.push(append);
            }
            Command::Reserve(reserve) => group.reserves.push(reserve),
            Command::Reclaimed(reclaim) => group.reclaimed.push(reclaim),
            Command::Act(act) => group.act = Some(act),
            Command::Pause(until) => {
                // The other end says nothing; it goes away.
                let _ = until.recv();
            }
            Command::Close => return (group, true),
        }
        let full = bytes >= GROUP_BYTES_MAX || group.act.is_some();
        next = if full { None } else { commands.try_recv().ok() };
    }
    (group, false)
}

//! The store: streams and their fragments, durable and encrypted. See `docs/store.md`.
//!
//! ```text
//! append ─ seal ─► queue, bounded in bytes ─► writer: write, one sync, rows ─► done: PERSISTED
//! find, read ─► index, segment ─► 64 KiB at a time
//! ```
//! Nothing outside this module knows files or the index. What blocks on the disk says so.

mod config;
pub mod disk;
mod engine;
mod error;
mod folder;
mod fragment;
mod health;
mod index;
mod measures;
mod numbers;
mod query;
pub mod random;
mod reader;
mod record;
mod segments;
mod state;
mod stream;
mod tools;
mod trust;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use kvs_protocol::StreamName;
use tokio::sync::{Semaphore, oneshot};

use crate::clock::Clock;
use disk::{Disk, MemoryDisk, RealDisk};
use engine::writer::{self, Act, Append, Command, Reply};
use engine::{Engine, reclaim};
use error::no_room_known;
use folder::keys;
use index::damage;
use random::{Random, SystemRandom};
use record::header::SALT_BYTES;
use record::{BLOCK_BYTES, RecordFacts, RecordHeader};
use state::Shared;
use trust::Trust;

pub use config::{Expiry, MEMORY_BYTES_MAX, SEGMENT_BYTES, StoreConfig};
pub use error::StoreError;
pub use folder::{Rotated, rotate_key, rotate_key_on};
pub use fragment::{FragmentInfo, NewFragment, Page, Query, RECORD_BYTES_MAX, TimeOrigin};
pub(crate) use index::damage::damaged;
pub use measures::Usage;
pub use reader::FragmentReader;
pub use stream::{NewStream, Stream, StreamId};
pub(crate) use tools::BACKUP_SOCKET_FILE;
pub use tools::{
    BackedUp, Checked, Invariant, Progress, Rebuilt, Violation, backup, backup_on, check,
    rebuild_index, rebuild_index_on,
};
pub use trust::ClockDoubt;

/// What waits to be written: two of the largest records and more, and what a disk takes in half a
/// second. Over it `append` waits.
const QUEUE_BYTES_MAX: u64 = 128 << 20;

/// The store; clones are the same one. The last one dropped waits for what was appended.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    commands: Sender<Command>,
    room: Arc<Semaphore>,
    free_bytes_min: u64,
    writer: Option<JoinHandle<()>>,
    /// The last field, hence dropped after the lock of the folder: who has the other end sees it.
    closed: Option<tokio::sync::mpsc::Sender<Infallible>>,
}

/// A writer that waits until this is dropped, so that what a test asks for meanwhile becomes one
/// group.
#[doc(hidden)]
#[derive(Debug)]
pub struct PausedWriter {
    _until_dropped: SyncSender<()>,
}

impl Store {
    /// Opens the store, recovering what a crash left. Blocks.
    pub fn open(config: &StoreConfig, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_wrapped(config, clock, |disk| disk)
    }

    /// The same on what `wrap` makes of the disk.
    pub(crate) fn open_wrapped(
        config: &StoreConfig,
        clock: Arc<dyn Clock>,
        wrap: impl FnOnce(Arc<dyn Disk>) -> Arc<dyn Disk>,
    ) -> Result<Self, StoreError> {
        let disk: Arc<dyn Disk> = match &config.data {
            None => Arc::new(MemoryDisk::new()),
            Some(data) if data.is_file() => return Err(StoreError::NotAFolder(data.clone())),
            Some(data) => {
                let doing = folder::doing("make", data);
                Arc::new(RealDisk::new(data).map_err(StoreError::io(doing))?)
            }
        };
        Self::open_on(config, wrap(disk), clock, Arc::new(SystemRandom::new()))
    }

    /// Opens a store on a disk of the caller's, with its randomness. Blocks.
    pub fn open_on(
        config: &StoreConfig,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, StoreError> {
        let data = config
            .data
            .clone()
            .unwrap_or_else(|| PathBuf::from("memory"));
        let master_key = config.master_key.as_deref();
        let folder = folder::open(disk.as_ref(), &data, master_key, random.as_ref())?;
        let mut shared = Shared::new(disk, clock, random, folder);
        shared.trust = Trust::new(config.expiry);
        let shared = Arc::new(shared);
        let mut engine = damage::caught(|| Engine::open(Arc::clone(&shared), config))?;
        let (commands, queue) = mpsc::channel();
        let (work, to_reclaim) = mpsc::channel();
        let reclaimer = {
            let (shared, commands) = (Arc::clone(&shared), commands.clone());
            spawn("kvs-reclaimer", move || {
                reclaim::run(&shared, &to_reclaim, &commands);
            })?
        };
        damage::caught(|| engine.start(work, reclaimer))?;
        let writer = spawn("kvs-writer", move || writer::run(engine, &queue))?;
        let room = Arc::new(Semaphore::new((QUEUE_BYTES_MAX / BLOCK_BYTES) as usize));
        Ok(Self(Arc::new(Inner {
            shared,
            commands,
            room,
            free_bytes_min: config.free_bytes_min,
            writer: Some(writer),
            closed: None,
        })))
    }

    /// Drops `closed` when the store is closed and its folder free, which is after the last clone
    /// and all that they are still being asked. Only for a store that has no clone yet.
    pub(crate) fn tell_when_closed(&mut self, closed: tokio::sync::mpsc::Sender<Infallible>) {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.closed = Some(closed);
        }
    }

    /// A server uses the folder from here on. A backup that it was is one no more, so that none is
    /// written over what the server stores.
    pub(crate) fn claim(&self) -> Result<(), StoreError> {
        backup::claim(self.0.shared.disk.as_ref())
    }

    fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.0
            .commands
            .send(command(reply))
            .map_err(|_| StoreError::Closed)?;
        answer.recv().map_err(|_| StoreError::Closed)?
    }

    /// Makes a stream. Blocks for some syncs.
    pub fn create_stream(&self, new: NewStream) -> Result<Arc<Stream>, StoreError> {
        self.ask(|reply| Command::Act(Act::Create { new, reply }))
    }

    /// Changes a stream's metadata, if nobody has changed it since `stream` was read. Blocks for
    /// some syncs.
    pub fn update_stream(&self, stream: Stream) -> Result<Arc<Stream>, StoreError> {
        self.ask(|reply| Command::Act(Act::Update { stream, reply }))
    }

    /// Deletes a stream; when this returns, its key is gone. Its room comes back later. Blocks for
    /// some syncs.
    pub fn delete_stream(&self, id: StreamId) -> Result<(), StoreError> {
        self.ask(|reply| Command::Act(Act::Delete { stream: id, reply }))
    }

    /// How many streams there are.
    pub fn stream_count(&self) -> usize {
        self.0.shared.stream_count()
    }

    /// All streams, in the order of their names.
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        self.0.shared.streams()
    }

    /// The stream of this name.
    pub fn stream(&self, name: &StreamName) -> Option<Arc<Stream>> {
        self.0
            .shared
            .stream_named(name.as_str())
            .map(|stream| stream.info())
    }

    /// The stream of this id.
    pub fn stream_by_id(&self, id: StreamId) -> Option<Arc<Stream>> {
        self.0.shared.stream(id).ok().map(|stream| stream.info())
    }

    /// Stores a fragment; when the future resolves to `Ok`, PERSISTED may be said of it.
    ///
    /// When first polled it waits for room in the writer's queue and then seals, about a
    /// millisecond for each megabyte.
    pub fn append(
        &self,
        new: NewFragment,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let store = self.clone();
        async move {
            let header = store.header_of(&new)?;
            let room = Arc::clone(&store.0.room)
                .acquire_many_owned(header.facts.blocks())
                .await;
            let room = room.map_err(|_| StoreError::Closed)?;
            let stream = store.0.shared.stream(new.stream)?;
            let key = stream.key()?.record_key(&header.salt);
            let record = record::seal(header, &key, std::iter::once(&new.header).chain(&new.body));
            drop((new, stream));
            let (done, stored) = oneshot::channel();
            let append = Append {
                record,
                done,
                _room: room,
            };
            store
                .0
                .commands
                .send(Command::Append(append))
                .map_err(|_| StoreError::Closed)?;
            stored.await.map_err(|_| StoreError::Closed)?
        }
    }

    fn header_of(&self, new: &NewFragment) -> Result<RecordHeader, StoreError> {
        let body_bytes = new.body.iter().map(Bytes::len).sum::<usize>() as u64;
        let bytes = new.header.len() as u64 + body_bytes;
        if bytes > RECORD_BYTES_MAX - (1 << 20) || new.cluster_bytes > body_bytes {
            return Err(StoreError::TooLarge(bytes));
        }
        let mut salt = [0; SALT_BYTES];
        self.0.shared.random.fill(&mut salt);
        Ok(RecordHeader {
            facts: RecordFacts {
                stream: new.stream,
                number: new.number,
                producer_ms: new.producer_ms,
                length_ms: u32::try_from(new.length_ms).unwrap_or(u32::MAX),
                header_bytes: new.header.len() as u32,
                cluster_bytes: new.cluster_bytes as u32,
                tags_bytes: (body_bytes - new.cluster_bytes) as u32,
            },
            epoch: keys::KEY_EPOCH,
            salt,
        })
    }

    /// Whether what is appended now would become durable; if not, why. Blocks.
    pub fn health(&self) -> Result<(), StoreError> {
        let shared = &self.0.shared;
        if self.0.writer.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err(StoreError::Closed);
        }
        shared.health.check(shared.clock.monotonic_ms())?;
        let free = shared.disk.free_bytes();
        if free.map_err(no_room_known)? < self.0.free_bytes_min {
            return Err(StoreError::DiskFull);
        }
        Ok(())
    }

    /// Why nothing expires now, if the clock cannot be trusted.
    pub fn clock_doubt(&self) -> Option<ClockDoubt> {
        let shared = &self.0.shared;
        shared.trust.doubt(shared.clock.as_ref())
    }

    /// What is wrong with each stream whose key does not open, while the others are well.
    pub fn key_errors(&self) -> Vec<StoreError> {
        self.0.shared.key_errors()
    }

    /// Whether a stream's key opens; nothing is wrong with one that is gone.
    pub fn check_key(&self, stream: StreamId) -> Result<(), StoreError> {
        match self.0.shared.stream(stream) {
            Ok(live) => live.key().map(drop),
            Err(_) => Ok(()),
        }
    }

    /// Checks the invariants of `docs/store.md`: headers and index, and if `full` every byte. For a
    /// store that nobody writes to meanwhile. Blocks for long.
    pub fn check(&self, full: bool) -> Result<Vec<Violation>, StoreError> {
        let checked = damage::caught(|| check::invariants(&self.0.shared, full))?;
        Ok(checked.violations)
    }

    /// Makes what the index says durable now, and not only within a second. Blocks for some syncs.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.ask(|reply| Command::Act(Act::Checkpoint { reply }))
    }

    #[doc(hidden)]
    pub fn pause_writer(&self) -> PausedWriter {
        let (until_dropped, until) = mpsc::sync_channel(1);
        // A writer that has ended waits for ever.
        let _ = self.0.commands.send(Command::Pause(until));
        PausedWriter {
            _until_dropped: until_dropped,
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(StoreError::io("start a thread"))
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A writer that has ended has nothing to close.
        let _ = self.commands.send(Command::Close);
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer failed");
        }
    }
}

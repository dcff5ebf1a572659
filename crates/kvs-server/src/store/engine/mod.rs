//! The engine: stores a group, and answers everyone in it.

mod acts;
mod commit;
mod evict;
mod given_back;
pub(super) mod holds;
mod in_use;
pub(super) mod reclaim;
pub(super) mod recovery;
mod sweep;
pub(super) mod writer;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use crate::store::config::StoreConfig;
use crate::store::error::{StoreError, no_room_known};
use crate::store::folder::INDEX_FILE;
use crate::store::folder::keys;
use crate::store::folder::master;
use crate::store::folder::reserve_file::ReserveFile;
use crate::store::folder::rotate;
use crate::store::folder::stream_files;
use crate::store::index::damage;
use crate::store::index::{Changes, Index, Row};
use crate::store::segments::{self, Place, Tail};
use crate::store::state::Shared;
use crate::store::stream::StreamId;
use evict::Eviction;
use given_back::GivenBack;
use in_use::BlocksInUse;
use reclaim::Reclaim;
use sweep::Sweep;
use writer::{Append, Group, Reserve};

/// So much a start after a crash has to read again, and so seldom the index is synced.
pub(super) const CHECKPOINT_MS: u64 = 1000;

/// So many rows go at a time of what is to go for one reason: past its retention, of a deleted
/// stream, over the bound, given back. Who waits to be stored waits for them, some 10 ms each, and
/// for the sync of a durable transaction.
const BATCH_ROWS: usize = 1000;

/// Owned by the writer thread; nothing else changes the disk but the reclaimer.
pub(super) struct Engine {
    pub(super) shared: Arc<Shared>,
    eviction: Eviction,
    given_back: GivenBack,
    free_bytes_min: u64,
    reserve: ReserveFile,
    segment_bytes: u64,
    tail: Tail,
    in_use: BlocksInUse,
    /// Segments that the reclaimer has been asked to unlink.
    unlinking: BTreeSet<u32>,
    doomed: Vec<StreamId>,
    sweep: Sweep,
    reclaimer: Option<(Sender<Reclaim>, JoinHandle<()>)>,
    /// When the last checkpoint was made, and whether it is the truth still.
    checkpoint_ms: u64,
    dirty: bool,
    /// Keys or streams' files may be left of a change.
    unsettled: bool,
    /// The index has failed and has to be opened again.
    broken: bool,
}

impl Engine {
    /// Opens the index and brings it up to date.
    pub(super) fn open(shared: Arc<Shared>, config: &StoreConfig) -> Result<Self, StoreError> {
        let mut engine = Self {
            checkpoint_ms: shared.clock.monotonic_ms(),
            reserve: ReserveFile::open(shared.disk.as_ref(), config.reserve_bytes)?,
            shared,
            eviction: Eviction::new(config),
            given_back: GivenBack::default(),
            free_bytes_min: config.free_bytes_min,
            segment_bytes: config.segment_bytes,
            tail: Tail::new(config.segment_bytes, 0),
            in_use: BlocksInUse::default(),
            unlinking: BTreeSet::new(),
            doomed: Vec::new(),
            sweep: Sweep::default(),
            reclaimer: None,
            dirty: false,
            unsettled: false,
            broken: false,
        };
        engine.release_reserve(true);
        if config.verify_index {
            Index::verify(engine.shared.disk.as_ref(), INDEX_FILE)?;
        }
        engine.open_index()?;
        Ok(engine)
    }

    /// Makes streams, fragments and segments what the index and the disk say.
    fn open_index(&mut self) -> Result<(), StoreError> {
        self.shared.open_index(INDEX_FILE)?;
        self.shared.with_index(Index::begin_usage)?;
        master::check(&self.shared)?;
        rotate::settle(&self.shared, &self.shared.folder.master)?;
        self.shared.load_streams()?;
        master::remember(&self.shared)?;
        let next = recovery::recover(&self.shared)?;
        self.settle_files()?;
        let snapshot = self.shared.snapshot()?;
        self.tail = Tail::new(self.segment_bytes, next);
        self.in_use = BlocksInUse::new(snapshot.segments()?);
        self.shared.groups.set_stored(self.in_use.sum());
        self.doomed = snapshot.doomed()?;
        self.sweep = Sweep::default();
        let newest_ms = self.shared.newest_ms();
        self.shared.trust.resume(snapshot.trusted_ms()?, newest_ms);
        self.dirty = false;
        self.broken = false;
        Ok(())
    }

    /// Makes keys and streams' files those of the streams.
    fn settle_files(&self) -> Result<(), StoreError> {
        let (shared, disk) = (&self.shared, self.shared.disk.as_ref());
        keys::destroy_orphans(disk, |stream| shared.stream(stream).is_ok())?;
        let streams = shared.streams();
        stream_files::settle(disk, streams.iter().map(Arc::as_ref))
    }

    /// Takes the reclaimer, and gives it what an earlier process did not come to.
    pub(super) fn start(
        &mut self,
        sender: Sender<Reclaim>,
        thread: JoinHandle<()>,
    ) -> Result<(), StoreError> {
        self.reclaimer = Some((sender, thread));
        for segment in segments::list(self.shared.disk.as_ref())? {
            self.in_use.add_unknown(segment);
        }
        self.make_reserve();
        self.unlink_empty();
        self.reclaim_places(self.shared.snapshot()?.free()?);
        Ok(())
    }

    /// Whether there is work without a command.
    pub(super) fn has_more(&self) -> bool {
        let more = self.eviction.has_more() || self.sweep.has_more();
        !self.broken && (more || !self.doomed.is_empty() || !self.given_back.is_empty())
    }

    /// Stores a group and answers it.
    pub(super) fn store(&mut self, group: Group) {
        self.shared.health.begin(self.shared.clock.monotonic_ms());
        let stored = damage::caught(|| {
            self.store_group(group);
            Ok(())
        });
        if let Err(error) = stored {
            // Whoever waits for something of the group has lost its answer, and knows that.
            self.fail(&error);
        }
        self.shared.health.end();
    }

    fn store_group(&mut self, mut group: Group) {
        self.given_back.add(std::mem::take(&mut group.reclaimed));
        let changes = group.changes_index() || self.has_more() || self.dirty || self.broken;
        self.release_reserve(changes);
        if self.broken
            && let Err(error) = self.open_index()
        {
            tracing::error!(%error, "the index cannot be opened again yet");
            self.shared.health.failed(&error);
            return refuse(group, &error);
        }
        if group.appends.is_empty() && self.shared.health.has_failed() {
            self.probe();
        }
        if self.unsettled {
            match self.settle_files() {
                Ok(()) => self.unsettled = false,
                Err(error) => self.left_files(&error),
            }
        }
        let Group {
            appends,
            reserves,
            act,
            ..
        } = group;
        let begun_ms = self.shared.clock.monotonic_ms();
        let mut appends = self.admit(appends);
        let mut abandoned = false;
        let places = self.write(&appends, &mut abandoned);
        let places = places.unwrap_or_else(|error| {
            tracing::error!(%error, "fragments could not be stored");
            self.shared.health.failed(&error);
            refuse_appends(std::mem::take(&mut appends), &error);
            Vec::new()
        });
        let rows = appends.iter().zip(places);
        let rows: Vec<Row> = rows
            .map(|(a, place)| Row::new(&a.record.header, place))
            .collect();
        let failed = match self.commit(&rows, &reserves, abandoned) {
            Ok(()) => {
                if !rows.is_empty() {
                    self.shared.health.succeeded();
                    let took_ms = self.shared.clock.monotonic_ms().saturating_sub(begun_ms);
                    self.shared.groups.observe(rows.len(), took_ms);
                }
                // A receiver that is gone needs no answer, here and below.
                appends
                    .into_iter()
                    .for_each(|append| drop(append.done.send(Ok(()))));
                let replies = reserves.into_iter().filter_map(|reserve| reserve.reply);
                replies.for_each(|reply| drop(reply.send(Ok(()))));
                None
            }
            Err(error) => {
                self.fail(&error);
                refuse_appends(appends, &error);
                refuse_reserves(reserves, &error);
                Some(error)
            }
        };
        if let Some(act) = act {
            match failed {
                None => acts::perform(self, act),
                Some(error) => acts::refuse(act, &error),
            }
        }
        self.make_reserve();
    }

    /// Before a change of the index that may not find its room.
    fn release_reserve(&mut self, changes: bool) {
        let disk = self.shared.disk.as_ref();
        let needed = |free| self.reserve.is_needed(free);
        if changes && disk.free_bytes().is_ok_and(needed) {
            self.reserve.release(disk);
        }
    }

    fn make_reserve(&mut self) {
        if !self.broken && !self.shared.health.has_failed() {
            let disk = self.shared.disk.as_ref();
            self.reserve.make_where_room(disk, self.free_bytes_min);
        }
    }

    /// The index can no longer be trusted to say what is committed.
    pub(super) fn fail(&mut self, error: &StoreError) {
        tracing::error!(%error, "the index failed");
        self.shared.health.failed(error);
        self.broken = true;
        // It may have been for want of room that the disk does not tell, as with a quota.
        self.reserve.release(self.shared.disk.as_ref());
    }

    /// Tries, after a failure and while nobody appends, whether the disk works again.
    fn probe(&mut self) {
        let shared = Arc::clone(&self.shared);
        let probed = self
            .tail
            .probe(shared.disk.as_ref())
            .and_then(|()| self.change_now(|_| Ok(())));
        match probed {
            Ok(()) => {
                tracing::info!("the disk works again");
                shared.health.succeeded();
            }
            // Once it has failed, the index refuses everything until it is opened again.
            Err(error @ StoreError::Index(_)) => self.fail(&error),
            Err(error) => tracing::debug!(%error, "the disk does not work yet"),
        }
    }

    /// Refuses what cannot be stored.
    fn admit(&self, appends: Vec<Append>) -> Vec<Append> {
        if appends.is_empty() {
            return appends;
        }
        let refused = match self.shared.disk.free_bytes() {
            Ok(free) if free < self.free_bytes_min => {
                // A backup begins again; a fragment does not.
                self.shared.holds.break_all();
                Some(StoreError::DiskFull)
            }
            Ok(_) => None,
            // Where nobody can say how much room there is, nobody would find the fragment.
            Err(error) => Some(no_room_known(error)),
        };
        let admit = |append: Append| {
            let refused = match &refused {
                Some(refused) => refused.again(),
                None => match self.shared.stream(append.record.header.facts.stream) {
                    Ok(_) => return Some(append),
                    Err(refused) => refused,
                },
            };
            drop(append.done.send(Err(refused)));
            None
        };
        appends.into_iter().filter_map(admit).collect()
    }

    /// Writes the records, if need be once more in a new segment.
    fn write(
        &mut self,
        appends: &[Append],
        abandoned: &mut bool,
    ) -> Result<Vec<Place>, StoreError> {
        if appends.is_empty() {
            return Ok(Vec::new());
        }
        let records: Vec<&[u8]> = appends.iter().map(|a| a.record.bytes.as_slice()).collect();
        self.tail
            .write(self.shared.disk.as_ref(), &records)
            .or_else(|error| {
                tracing::warn!(%error, "the group goes into a new segment");
                *abandoned = true;
                self.tail.write(self.shared.disk.as_ref(), &records)
            })
    }

    fn unlink_empty(&mut self) {
        let current = self.tail.current();
        for segment in self.in_use.empty() {
            if Some(segment) != current && self.unlinking.insert(segment) {
                self.reclaim(Reclaim::Segment(segment));
            }
        }
    }

    fn reclaim_places(&self, mut places: Vec<(Place, u32)>) {
        places.retain(|(place, _)| !self.unlinking.contains(&place.segment));
        // A backup that begins waits for one of these.
        for batch in places.chunks(BATCH_ROWS) {
            self.reclaim(Reclaim::Places(batch.to_vec()));
        }
    }

    fn reclaim(&self, reclaim: Reclaim) {
        if let Some((sender, _)) = &self.reclaimer {
            // It ends after us.
            let _ = sender.send(reclaim);
        }
    }

    /// A transaction of its own, durable when this returns.
    pub(super) fn change_now<T>(
        &mut self,
        change: impl FnOnce(&mut Changes<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let end = self.tail.end();
        let shared = Arc::clone(&self.shared);
        let changed = shared.with_index(|index| {
            index.change(true, |changes| {
                changes.set_checkpoint(end)?;
                changes.set_trusted_ms(shared.expiry_ms())?;
                change(changes)
            })
        })?;
        self.dirty = false;
        self.checkpoint_ms = self.shared.clock.monotonic_ms();
        Ok(changed)
    }

    /// The rows of a deleted stream are to go, a batch with each group.
    pub(super) fn doom(&mut self, stream: StreamId) {
        self.doomed.push(stream);
    }

    /// Files that a change should have taken away are left: they go with a later group.
    pub(super) fn left_files(&mut self, error: &dyn fmt::Display) {
        tracing::debug!(%error, "files of a stream are left for now");
        self.unsettled = true;
    }

    /// A stream keeps its fragments for less time than before.
    pub(super) fn lowered(&mut self, stream: StreamId) {
        self.sweep.lowered(stream);
    }

    /// Leaves nothing for recovery to do, and ends the reclaimer.
    pub(super) fn close(mut self) {
        if self.dirty
            && !self.broken
            && let Err(error) = self.change_now(|_| Ok(()))
        {
            tracing::warn!(%error, "the next start will have to recover");
        }
        if let Some((sender, thread)) = self.reclaimer.take() {
            self.shared.holds.close();
            drop(sender);
            if thread.join().is_err() {
                tracing::error!("the reclaimer failed");
            }
        }
    }
}

fn refuse(group: Group, error: &StoreError) {
    refuse_appends(group.appends, error);
    refuse_reserves(group.reserves, error);
    if let Some(act) = group.act {
        acts::refuse(act, error);
    }
}

fn refuse_appends(appends: Vec<Append>, error: &StoreError) {
    appends
        .into_iter()
        .for_each(|append| drop(append.done.send(Err(error.again()))));
}

fn refuse_reserves(reserves: Vec<Reserve>, error: &StoreError) {
    let replies = reserves.into_iter().filter_map(|reserve| reserve.reply);
    replies.for_each(|reply| drop(reply.send(Err(error.again()))));
}

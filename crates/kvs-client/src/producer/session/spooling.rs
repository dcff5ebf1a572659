//! The spool: which fragments are written to disk, read again, and taken away.

use std::time::{Duration, Instant};

use kvs_media::ProducerTime;

use super::super::buffer::FragmentId;
use super::super::config::Streaming;
use super::super::event::{DropReason, ProducerEvent, Warning};
use super::super::kept::Kept;
use super::link::{Link, Phase};
use super::{Output, Session};
use crate::spool::{Found, Media};

/// So many fragments are read before their turn comes, so that the link never waits for the disk.
const READ_AHEAD: usize = 2;
/// A disk that fails is tried again after this time.
const RETRY: Duration = Duration::from_secs(5);

/// How much the spool may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Bytes on disk.
    pub bytes_max: u64,
    /// What is so much older than the newest fragment is dropped; 0 keeps everything.
    pub age_max: Duration,
}

/// A write that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum SpoolFault {
    /// The disk has no room.
    Full,
    /// Something else is wrong with it.
    Disk(String),
    /// The fragment cannot be kept there, now or ever.
    Unfit(String),
}

/// What the session does with its spool.
#[derive(Debug)]
pub(super) struct SpoolState {
    limits: SpoolLimits,
    /// The next file's number.
    next: u64,
    /// The file that is being written.
    writing: Option<u64>,
    /// The disk failed; it is tried again then.
    retry_at: Option<Instant>,
    /// That it failed has been told.
    told: bool,
}

impl Session {
    /// Keeps what is not confirmed in a spool as well, and goes on with what is found there. It is
    /// `wall` now.
    pub(in super::super) fn use_spool(
        &mut self,
        limits: SpoolLimits,
        first: u64,
        found: &[Found],
        wall: ProducerTime,
        now: Instant,
    ) {
        self.buffer.recover(found, self.scale, now);
        self.spooling = Some(SpoolState {
            limits,
            next: first,
            writing: None,
            retry_at: None,
            told: false,
        });
        self.drop_old(wall);
        self.spool(now);
    }

    /// The file is whole, or could not be written.
    pub(super) fn saved(&mut self, file: u64, result: Result<u64, SpoolFault>, now: Instant) {
        let Some(spooling) = &mut self.spooling else {
            return;
        };
        spooling.writing = None;
        match result {
            Ok(bytes) => {
                (spooling.told, spooling.retry_at) = (false, None);
                if let Some(id) = self.buffer.saved(file, bytes)
                    && !self.is_due(id)
                {
                    self.buffer.evict(id);
                }
            }
            Err(SpoolFault::Unfit(message)) => {
                self.buffer.not_saved(file, Kept::Never);
                self.tell(ProducerEvent::Warning(Warning::SpoolFails { message }));
            }
            Err(SpoolFault::Full) => {
                self.buffer.not_saved(file, Kept::No);
                if !self.drop_oldest_kept(DropReason::SpoolFull) {
                    self.spool_failed("the disk is full".to_owned(), now);
                }
            }
            Err(SpoolFault::Disk(message)) => {
                self.buffer.not_saved(file, Kept::No);
                self.spool_failed(message, now);
            }
        }
    }

    /// A disk that fails is tried again later.
    fn spool_failed(&mut self, message: String, now: Instant) {
        let Some(spooling) = &mut self.spooling else {
            return;
        };
        spooling.retry_at = Some(now + RETRY);
        if !std::mem::replace(&mut spooling.told, true) {
            self.tell(ProducerEvent::Warning(Warning::SpoolFails { message }));
        }
    }

    /// A file was read, or could not be.
    pub(super) fn fetched(&mut self, file: u64, result: Result<Media, String>) {
        match result {
            Ok(media) => self.buffer.fetched(file, media, self.scale),
            Err(message) => {
                let span = self.buffer.lose_file(file);
                if span.is_some() {
                    self.tell(ProducerEvent::Warning(Warning::SpoolFails { message }));
                }
                self.lose(span, DropReason::SpoolDamaged);
            }
        }
    }

    /// When a disk that failed is tried again.
    pub(super) fn spool_retry_at(&self) -> Option<Instant> {
        let retry_at = self.spooling.as_ref()?.retry_at?;
        self.buffer.unsaved().map(|_| retry_at)
    }

    /// Whether there is no room in the spool for a source that waits for some.
    pub(super) fn is_spool_full(&self) -> bool {
        let limits = self.spooling.as_ref().map(|spooling| spooling.limits);
        limits.is_some_and(|limits| self.buffer.disk.bytes >= limits.bytes_max)
    }

    /// How much of the spool's room is taken, in percent.
    pub(super) fn spool_percent(&self) -> u8 {
        let limits = self.spooling.as_ref().map(|spooling| spooling.limits);
        let percent = limits.map_or(0, |limits| {
            self.buffer.disk.bytes.saturating_mul(100) / limits.bytes_max.max(1)
        });
        percent.min(100) as u8
    }

    /// Whether a file is being written. What can be written next is, as soon as it is there.
    pub(super) fn is_saving(&self) -> bool {
        let spooling = self.spooling.as_ref();
        spooling.is_some_and(|spooling| spooling.writing.is_some())
    }

    /// Writes what is whole, reads what is due, takes away what is not needed.
    pub(super) fn spool(&mut self, now: Instant) {
        if self.spooling.is_none() {
            return;
        }
        self.save_next(now);
        self.read_ahead();
        self.release();
        self.take_away();
    }

    /// Takes away what nobody needs any more.
    pub(super) fn take_away(&mut self) {
        let unneeded = self.buffer.disk.unneeded.drain(..);
        self.outputs.extend(unneeded.map(Output::Remove));
    }

    /// One file at a time, so that the oldest is always on disk first, and a fragment that is
    /// confirmed while it waits is never written.
    fn save_next(&mut self, now: Instant) {
        let waits = self.spooling.as_ref().is_none_or(|spooling| {
            spooling.writing.is_some() || spooling.retry_at.is_some_and(|at| now < at)
        });
        let Some(id) = self.buffer.unsaved().filter(|_| !waits) else {
            return;
        };
        let fragment = self.buffer.get(id);
        let Some(media) = fragment.and_then(|fragment| fragment.media(self.scale)) else {
            return;
        };
        self.drop_old(media.end);
        let bytes = media.frames.iter().map(|frame| frame.data.len() as u64);
        if !self.make_spool_room(bytes.sum()) {
            return;
        }
        let (Some(spooling), Some(fragment)) = (&mut self.spooling, self.buffer.get_mut(id)) else {
            return;
        };
        let file = spooling.next;
        spooling.next += 1;
        (spooling.writing, spooling.retry_at) = (Some(file), None);
        fragment.kept = Kept::Writing(file);
        fragment.held_on_disk = media.held;
        self.outputs.push_back(Output::Save(file, Box::new(media)));
    }

    /// Drops the oldest until so many bytes have room; a source that can wait drops nothing.
    fn make_spool_room(&mut self, bytes: u64) -> bool {
        let limits = self.spooling.as_ref().map(|spooling| spooling.limits);
        let bytes_max = limits.map_or(0, |limits| limits.bytes_max);
        let is_full = |session: &Self| session.buffer.disk.bytes.saturating_add(bytes) > bytes_max;
        while is_full(self) && self.config.streaming != Streaming::Offline {
            if !self.drop_oldest_kept(DropReason::SpoolFull) {
                break;
            }
        }
        !is_full(self)
    }

    fn drop_oldest_kept(&mut self, why: DropReason) -> bool {
        let busy = self.active.as_ref().and_then(Link::busy);
        let Some(id) = self.buffer.oldest_kept(busy) else {
            return false;
        };
        let held = self.buffer.get(id).is_some_and(|oldest| oldest.held);
        let span = self.buffer.give_up(id);
        self.lose(span.filter(|_| !held), why);
        true
    }

    /// Drops what is too old, measured from `newest`.
    fn drop_old(&mut self, newest: ProducerTime) {
        let limits = self.spooling.as_ref().map(|spooling| spooling.limits);
        let age_max = limits.map_or(Duration::ZERO, |limits| limits.age_max);
        if age_max.is_zero() {
            return;
        }
        let age_max = u64::try_from(age_max.as_nanos()).unwrap_or(u64::MAX);
        let busy = self.active.as_ref().and_then(Link::busy);
        while let Some(id) = self.buffer.oldest_kept(busy) {
            let end = self.buffer.get(id).and_then(|oldest| oldest.span);
            if end.is_none_or(|span| newest.saturating_ns_since(span.to) <= age_max) {
                return;
            }
            self.drop_oldest_kept(DropReason::SpoolTooOld);
        }
    }

    /// Whether a connection sends that fragment, has sent it, or will soon.
    fn is_due(&self, id: FragmentId) -> bool {
        let links = [&self.active, &self.retiring].into_iter().flatten();
        let mut sent = links.flat_map(|link| &link.sent);
        sent.any(|sent| sent.fragment == id) || self.soon().into_iter().flatten().any(|s| s == id)
    }

    /// What the connection will send next.
    fn soon(&self) -> [Option<FragmentId>; READ_AHEAD] {
        let open = self
            .active
            .as_ref()
            .filter(|link| link.phase == Phase::Open);
        let mut from = open.map(|link| link.current);
        [(); READ_AHEAD].map(|()| {
            let id = self.buffer.sendable_from(from?)?;
            from = Some(id.next());
            Some(id)
        })
    }

    fn read_ahead(&mut self) {
        for id in self.soon().into_iter().flatten() {
            if let Some(file) = self.buffer.fetch(id) {
                self.outputs.push_back(Output::Fetch(file));
            }
        }
    }
}

//! What of the buffer lies on disk, in the spool.
//!
//! Each whole fragment is written to a file of its own. Its frames then leave memory, unless a
//! connection is about to send them, and come back when their turn has come. The file goes when the
//! service has the fragment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use kvs_media::Frame;

use super::buffer::{Buffer, Fragment, FragmentId};
use super::event::FrameSpan;
use super::timecode::Scale;
use crate::spool::{Found, Media};

/// Where a fragment's frames lie besides memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nowhere.
    No,
    /// Nowhere, as the spool cannot hold it.
    Never,
    /// A file is being written.
    Writing(u64),
    /// In that file, and in memory as well.
    Both(u64),
    /// In that file alone.
    Disk(u64),
    /// In that file alone, which is being read.
    Reading(u64),
    /// In that file together with another part of a fragment that was cut in two.
    Shared(u64),
}

impl Kept {
    /// Whether they outlive this process.
    pub(super) const fn is_on_disk(self) -> bool {
        !matches!(self, Self::No | Self::Never | Self::Writing(_))
    }

    /// The file, whole or not.
    const fn file(self) -> Option<u64> {
        match self {
            Self::No | Self::Never => None,
            Self::Writing(file)
            | Self::Both(file)
            | Self::Disk(file)
            | Self::Reading(file)
            | Self::Shared(file) => Some(file),
        }
    }
}

/// What the spool holds, and what is to be taken out of it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) bytes: u64,
    /// Files that nobody needs any more.
    pub(super) unneeded: Vec<u64>,
    /// How large each file is that is needed, oldest first.
    files: BTreeMap<u64, u64>,
}

impl Disk {
    /// How many files there are.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    fn add(&mut self, file: u64, bytes: u64) {
        self.bytes += bytes;
        self.files.insert(file, bytes);
    }

    fn discard(&mut self, file: u64) {
        self.bytes -= self.files.remove(&file).unwrap_or_default();
        self.unneeded.push(file);
    }
}

impl Fragment {
    /// Whether its frames are in memory, all that there are so far.
    pub(super) fn is_here(&self) -> bool {
        !self.released && !matches!(self.kept, Kept::Disk(_) | Kept::Reading(_))
    }

    /// What is to be written of it.
    pub(super) fn media(&self, scale: Scale) -> Option<Media> {
        let span = self.span?;
        Some(Media {
            start: scale.time(self.start),
            end: span.to,
            news: span.frames,
            scale_ns: scale.ns(),
            tracks: Arc::clone(&self.tracks),
            frames: self.frames.iter().map(|(frame, _)| frame.clone()).collect(),
            tags: self.tags.clone(),
            held: self.held,
        })
    }

    fn evict(&mut self) -> usize {
        if let Kept::Both(file) = self.kept {
            self.kept = Kept::Disk(file);
            self.frames = Vec::new();
            return std::mem::take(&mut self.bytes);
        }
        0
    }
}

impl Buffer {
    /// Puts what an earlier run has left before everything else.
    pub(super) fn recover(&mut self, found: &[Found], scale: Scale, now: Instant) {
        for file in found {
            let start = scale.timecode(file.start);
            let mut fragment = Fragment::new(start, Arc::from([]), false, now);
            fragment.closed = true;
            (fragment.held, fragment.held_on_disk) = (file.held, file.held);
            fragment.kept = Kept::Disk(file.number);
            fragment.span = Some(FrameSpan {
                frames: file.frames,
                from: file.start,
                to: file.end,
            });
            self.fragments.push_back(fragment);
            self.disk.add(file.number, file.bytes);
        }
    }

    /// The oldest whole fragment that is in memory alone. Files are written in order, so all
    /// before it have theirs.
    pub(super) fn unsaved(&self) -> Option<FragmentId> {
        let alone = |f: &&Fragment| matches!(f.kept, Kept::No | Kept::Never);
        let suffix = self.fragments.iter().rev().take_while(alone).count();
        let first = self.fragments.len() - suffix;
        let mut rest = self.fragments.iter().skip(first);
        let waits = |f: &Fragment| f.is_there() && f.closed && f.kept == Kept::No;
        let found = rest.position(waits)?;
        Some(FragmentId(self.tail().0 + (first + found) as u64))
    }

    fn of_file(&mut self, file: u64) -> Option<(FragmentId, &mut Fragment)> {
        let tail = self.tail().0;
        let fragments = self.fragments.iter_mut().enumerate();
        let (index, fragment) = fragments.rev().find(|(_, f)| f.kept.file() == Some(file))?;
        Some((FragmentId(tail + index as u64), fragment))
    }

    /// A file is whole. Gives the fragment, if it is still wanted there.
    pub(super) fn saved(&mut self, file: u64, bytes: u64) -> Option<FragmentId> {
        self.disk.add(file, bytes);
        match self.of_file(file) {
            Some((id, fragment)) if fragment.is_there() => {
                fragment.kept = Kept::Both(file);
                Some(id)
            }
            other => {
                if let Some((_, fragment)) = other {
                    fragment.kept = Kept::No;
                }
                self.disk.discard(file);
                None
            }
        }
    }

    /// A file could not be written: it is to be tried again, or never.
    pub(super) fn not_saved(&mut self, file: u64, kept: Kept) {
        if let Some((_, fragment)) = self.of_file(file) {
            fragment.kept = kept;
        }
    }

    /// Takes a fragment's frames out of memory, where they lie on disk.
    pub(super) fn evict(&mut self, id: FragmentId) {
        if let Some(fragment) = self.get_mut(id) {
            let bytes = fragment.evict();
            self.bytes -= bytes;
        }
    }

    /// Takes out of memory all that lies on disk.
    pub(super) fn evict_all(&mut self) {
        let freed: usize = self.fragments.iter_mut().map(Fragment::evict).sum();
        self.bytes -= freed;
    }

    /// Takes the oldest fragment out of memory that was sent, is not confirmed and lies on disk.
    /// `false` if there is none.
    pub(super) fn evict_sent(&mut self, busy: Option<FragmentId>) -> bool {
        let mut ids = (self.tail().0..self.end().0).map(FragmentId);
        let is_sent = |f: &Fragment| matches!(f.kept, Kept::Both(_)) && f.sent_frames > 0;
        let found = ids.find(|&id| Some(id) != busy && self.get(id).is_some_and(is_sent));
        if let Some(id) = found {
            self.evict(id);
        }
        found.is_some()
    }

    /// Asks for a fragment that lies on disk alone; gives its file, once.
    pub(super) fn fetch(&mut self, id: FragmentId) -> Option<u64> {
        let fragment = self.get_mut(id)?;
        let Kept::Disk(file) = fragment.kept else {
            return None;
        };
        fragment.kept = Kept::Reading(file);
        Some(file)
    }

    /// A file was read. One of an earlier run tells what the fragment is.
    pub(super) fn fetched(&mut self, file: u64, media: Media, scale: Scale) {
        let before = self.fragments.iter().map(|f| &f.tracks);
        let known = before.rev().find(|tracks| ***tracks == *media.tracks);
        let tracks = known.map_or(media.tracks, Arc::clone);
        let Some((_, fragment)) = self.of_file(file) else {
            return; // It was given up since.
        };
        if fragment.tracks.is_empty() {
            fragment.start = scale.timecode(media.start);
            fragment.tracks = tracks;
            fragment.tags = media.tags;
        }
        let timed = |frame: Frame| {
            let at = scale.timecode(frame.time);
            (frame, at)
        };
        fragment.frames = media.frames.into_iter().map(timed).collect();
        fragment.bytes = fragment.frames.iter().map(|(f, _)| f.data.len()).sum();
        fragment.kept = Kept::Both(file);
        self.bytes += fragment.bytes;
    }

    /// A file could not be read: the fragment is lost.
    pub(super) fn lose_file(&mut self, file: u64) -> Option<FrameSpan> {
        let (id, _) = self.of_file(file)?;
        self.give_up(id)
    }

    /// The oldest fragment that lies on disk, but not `busy`.
    pub(super) fn oldest_kept(&self, busy: Option<FragmentId>) -> Option<FragmentId> {
        let mut ids = (self.tail().0..self.end().0).map(FragmentId);
        let is_kept = |f: &Fragment| f.is_there() && f.kept.is_on_disk();
        ids.find(|&id| Some(id) != busy && self.get(id).is_some_and(is_kept))
    }

    /// Files whose names say that nobody has asked for their fragments, which is not so any more.
    pub(super) fn asked_for(&mut self) -> Vec<u64> {
        let told = |f: &&mut Fragment| f.held_on_disk && !f.held && f.kept.is_on_disk();
        let asked = self.fragments.iter_mut().filter(told);
        let file = asked.filter_map(|fragment| {
            fragment.held_on_disk = false;
            fragment.kept.file()
        });
        file.collect()
    }

    /// Nobody needs a fragment's file any more, unless another part of it lies there as well.
    pub(super) fn discard_file(&mut self, id: FragmentId) {
        let Some(fragment) = self.get_mut(id) else {
            return;
        };
        // One that is being written goes when it is there.
        let Some(file) = fragment.kept.file().filter(|_| fragment.kept.is_on_disk()) else {
            return;
        };
        fragment.kept = Kept::No;
        if self.of_file(file).is_none() {
            self.disk.discard(file);
        }
    }

    /// The fragment there was cut in two: both lie in its file, and stay in memory.
    pub(super) fn share_file(&mut self, index: usize) {
        // Where it is being written, the file will be of no use, and each part gets its own.
        let kept = match self.fragments[index].kept {
            Kept::Both(file) | Kept::Shared(file) => Kept::Shared(file),
            _ => Kept::No,
        };
        for part in self.fragments.range_mut(index..=index + 1) {
            part.kept = kept;
        }
    }
}

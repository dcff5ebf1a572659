//! One connection, as the session sees it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use kvs_media::mkv::Muxer;
use kvs_media::{ProducerTime, Track};

use super::super::buffer::FragmentId;
use super::super::timecode::Timecode;

/// What the head of a connection's request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Head {
    /// Where times count from; `None` are times since 1970.
    pub(in super::super) origin: Option<ProducerTime>,
    /// Whether the service is asked for acknowledgements.
    pub(in super::super) acks: bool,
}

/// Which connection. Numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct LinkId(pub(super) u64);

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The service has not answered yet.
    Connecting,
    /// The service takes data.
    Open,
    /// No more fragments come; the last one is to be marked as complete.
    Ending,
    /// It is marked; the body stays open until the last ack.
    Marked,
    /// The last fragment is cut off and goes over another connection; earlier acks are awaited.
    CutOff,
}

/// A fragment that was begun on a connection, and whose last ack has not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// The cluster's timecode on the wire, by which acks name it.
    pub(super) timecode: u64,
    pub(super) fragment: FragmentId,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) phase: Phase,
    /// Where times on the wire count from.
    pub(super) origin: Timecode,
    /// Made when the first fragment is sent.
    pub(super) muxer: Option<Muxer>,
    pub(super) tracks: Arc<[Track]>,
    /// The fragment that is sent now or next: *current*.
    pub(super) current: FragmentId,
    /// Whether its cluster has begun.
    pub(super) begun: bool,
    /// How many of its frames were written.
    pub(super) frame: usize,
    pub(super) sent: VecDeque<Sent>,
    /// The greatest time that was written: the next fragment has to begin behind it.
    pub(super) latest: Option<Timecode>,
    /// The first fragment of all.
    pub(super) first: Option<FragmentId>,
    pub(super) opened_at: Instant,
    /// When it is to be replaced, as its credentials expire.
    pub(super) renew_at: Option<Instant>,
    /// The last ack, or the time since when one is due.
    pub(super) heard_at: Instant,
}

impl Link {
    pub(super) fn new(id: LinkId, current: FragmentId, origin: Timecode, now: Instant) -> Self {
        Self {
            id,
            phase: Phase::Connecting,
            origin,
            muxer: None,
            tracks: Arc::from([]),
            current,
            begun: false,
            frame: 0,
            sent: VecDeque::new(),
            latest: None,
            first: None,
            opened_at: now,
            renew_at: None,
            heard_at: now,
        }
    }

    /// Whether the header has been written.
    pub(super) fn has_started(&self) -> bool {
        self.muxer.is_some()
    }

    /// The fragment that an ack means.
    pub(super) fn acked(&self, timecode: u64) -> Option<FragmentId> {
        let mut sent = self.sent.iter();
        sent.find(|sent| sent.timecode == timecode)
            .map(|sent| sent.fragment)
    }

    /// Whether all of that fragment has been written.
    pub(super) fn has_completed(&self, id: FragmentId) -> bool {
        id < self.current || (id == self.current && !self.begun)
    }

    /// No ack is awaited for that fragment any more.
    pub(super) fn forget(&mut self, id: FragmentId) {
        self.sent.retain(|sent| sent.fragment != id);
    }

    /// The fragment that it is in the middle of.
    pub(super) fn busy(&self) -> Option<FragmentId> {
        self.begun.then_some(self.current)
    }
}

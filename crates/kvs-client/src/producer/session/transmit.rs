//! Bytes for a connection, made at the last moment.

use std::sync::Arc;
use std::time::Instant;

use bytes::Buf;
use kvs_media::Track;
use kvs_media::mkv::{Muxer, MuxerSettings};

use super::super::buffer::{Fragment, FragmentId};
use super::super::event::{DropReason, FailReason, FrameSpan};
use super::super::pieces::Pieces;
use super::Session;
use super::link::{Link, LinkId, Phase, Sent};

/// A backlog goes out in writes of about this size; more would only delay what comes back.
const WRITE_BYTES: usize = 64 << 10;

/// What a connection is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Transmit {
    /// Write what was added.
    Write,
    /// Nothing now.
    Wait,
    /// End the body; the answer may still have something to say.
    End,
}

/// What comes next on the active connection.
enum Next {
    Nothing,
    /// A fragment begins.
    Begin(FragmentId),
    /// The next frame of the fragment under way.
    Frame,
    /// The fragment under way is complete.
    Complete,
    /// The rest, from there on, needs another connection.
    Rotate(FragmentId, Phase),
}

impl Session {
    /// Adds bytes for that connection, which can take some.
    pub(in super::super) fn poll_transmit(
        &mut self,
        id: LinkId,
        now: Instant,
        out: &mut Pieces,
    ) -> Transmit {
        if self.is_active(id) {
            while out.remaining() < WRITE_BYTES && self.advance(now, out) {}
        }
        // That may just have made it the one that ends.
        let mut ended = false;
        if let Some(link) = self.retiring.as_mut().filter(|link| link.id == id) {
            ended = end(link, self.config.acks, out);
        }
        if ended {
            self.retiring = None;
            self.connect_if_due(now);
        }
        self.settle(now);
        self.stats.bytes_sent += out.remaining() as u64;
        match (ended, out.has_remaining()) {
            (true, _) => Transmit::End,
            (false, true) => Transmit::Write,
            (false, false) => Transmit::Wait,
        }
    }

    /// Makes one step on the active connection; `false` if there is none to make.
    fn advance(&mut self, now: Instant, out: &mut Pieces) -> bool {
        match self.next_step(now) {
            Next::Nothing => return false,
            Next::Rotate(fragment, how) => {
                if self.retiring.is_none() {
                    self.rotate(fragment, how, now);
                }
                return false;
            }
            Next::Begin(fragment) => self.begin(fragment, now, out),
            Next::Frame => self.write_frame(out),
            Next::Complete => self.complete(now, out),
        }
        true
    }

    fn next_step(&self, now: Instant) -> Next {
        let Some(link) = self
            .active
            .as_ref()
            .filter(|link| link.phase == Phase::Open)
        else {
            return Next::Nothing;
        };
        if link.begun {
            let current = self.buffer.get(link.current);
            return match current.filter(|current| current.is_sendable()) {
                // It was given up, or turned out to have other tracks.
                None => Next::Rotate(link.current, Phase::CutOff),
                Some(fragment) if !same(&fragment.tracks, &link.tracks) => {
                    Next::Rotate(link.current, Phase::CutOff)
                }
                Some(fragment) if !fragment.is_here() => Next::Nothing,
                Some(fragment) if link.frame < fragment.frames.len() => Next::Frame,
                Some(fragment) if fragment.closed => Next::Complete,
                Some(_) => Next::Nothing,
            };
        }
        let Some(id) = self.buffer.sendable_from(link.current) else {
            let last = self.idle || self.deadline.is_some();
            if link.has_started() && self.rests(link) {
                return Next::Rotate(link.current, Phase::Ending);
            }
            return if last && link.has_started() && !self.buffer.is_open() {
                Next::Rotate(self.buffer.end(), Phase::Ending)
            } else {
                Next::Nothing
            };
        };
        if !self.buffer.get(id).is_some_and(Fragment::is_here) {
            return Next::Nothing; // It is being read.
        }
        let differs = |fragment: &Fragment| {
            fragment.step
                || link.latest.is_some_and(|latest| fragment.start <= latest)
                || !same(&fragment.tracks, &link.tracks)
        };
        let next = self.buffer.get(id);
        let needs_own = next.is_some_and(differs);
        // What the origin was taken from may have gone since.
        let is_early = next.is_some_and(|next| next.start < link.origin);
        if is_early || (link.has_started() && (needs_own || self.is_rotation_due(link, now))) {
            return Next::Rotate(id, Phase::Ending);
        }
        Next::Begin(id)
    }

    /// Begins a fragment; before the first one, the document.
    fn begin(&mut self, id: FragmentId, now: Instant, out: &mut Pieces) {
        let (Some(link), Some(fragment)) = (&mut self.active, self.buffer.get(id)) else {
            return;
        };
        if link.muxer.is_none() {
            let settings = MuxerSettings {
                timecode_scale_ns: self.scale.ns(),
                origin: self.scale.time(link.origin),
                title: self.config.title.clone(),
                writing_app: self.config.writing_app.clone(),
                segment_uid: self.jitter.uid(),
            };
            match Muxer::new(&fragment.tracks, &settings) {
                Ok(muxer) => {
                    out.extend([muxer.header()]);
                    link.muxer = Some(muxer);
                    link.tracks = Arc::clone(&fragment.tracks);
                    link.first = Some(id);
                }
                Err(error) => {
                    let message = format!("the tracks cannot be sent: {error}");
                    return self.fail(FailReason::Refused, message, now);
                }
            }
        }
        if link.sent.is_empty() {
            link.heard_at = now;
        }
        if let Some(muxer) = &mut link.muxer {
            muxer.begin_cluster(self.scale.time(fragment.start), out);
        }
        link.sent.push_back(Sent {
            timecode: fragment.start.since(link.origin),
            fragment: id,
        });
        (link.current, link.begun, link.frame) = (id, true, 0);
    }

    /// The fragment under way is written.
    fn complete(&mut self, now: Instant, out: &mut Pieces) {
        let Some(link) = &mut self.active else { return };
        if let (Some(muxer), Some(fragment)) = (&mut link.muxer, self.buffer.get(link.current))
            && !fragment.tags.is_empty()
        {
            muxer.tags(&fragment.tags, out);
        }
        link.begun = false;
        link.current = link.current.next();
        if !self.config.acks
            && let Some(sent) = link.sent.back()
        {
            // Nobody will say what became of it.
            let (id, timecode) = (link.id, sent.timecode);
            self.confirm(id, timecode, now);
        }
    }

    fn write_frame(&mut self, out: &mut Pieces) {
        let Some(link) = &mut self.active else { return };
        let (Some(muxer), Some(fragment)) = (&mut link.muxer, self.buffer.get_mut(link.current))
        else {
            return;
        };
        let index = link.frame;
        let Some((frame, at)) = fragment.frames.get(index) else {
            return;
        };
        link.latest = link.latest.max(Some(*at));
        link.frame += 1;
        let (written, time) = (muxer.frame(frame, out), frame.time);
        let anew = index >= fragment.sent_frames && !fragment.is_repeat(frame);
        fragment.sent_frames = fragment.sent_frames.max(index + 1);
        if anew && written.is_ok() {
            self.stats.frames_sent += 1;
        } else if anew {
            self.lose(Some(FrameSpan::one(time)), DropReason::Unmuxable);
        }
    }
}

/// The connection before: marks its last fragment; `true` once the last ack is there. Where none
/// are asked for, the mark is all that says the fragment is whole.
fn end(link: &mut Link, acks: bool, out: &mut Pieces) -> bool {
    let is_acked = link.sent.is_empty();
    match (link.phase, &mut link.muxer) {
        (Phase::Marked, _) if is_acked => true,
        (Phase::Ending, _) if is_acked && acks => true,
        (Phase::Ending, None) => is_acked,
        (Phase::Ending, Some(muxer)) => {
            muxer.end_of_fragment(out);
            link.phase = Phase::Marked;
            false
        }
        _ => false,
    }
}

fn same(one: &Arc<[Track]>, other: &Arc<[Track]>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

//! What the service says of fragments, and what follows from each error that it names.

use std::time::Instant;

use kvs_protocol::{Ack, AckError, FragmentNumber};

use super::super::buffer::FragmentId;
use super::super::config::Streaming;
use super::super::event::{AckKind, DropReason, FailReason, FragmentAck, ProducerEvent, Warning};
use super::Session;
use super::control::Step;
use super::link::LinkId;

/// What an error about a fragment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// The fragment is good: send it again.
    Again,
    /// Cut it smaller and send it again.
    Smaller,
    /// It must open a session; if it did already, nothing helps it.
    First,
    /// It gets one more chance.
    OnceMore,
    /// Its metadata is at fault: again without.
    WithoutTags,
    /// The stream has to be looked at.
    Describe,
    /// The stream, its key or our own work is at fault: it will not get better.
    Fail,
}

impl Remedy {
    /// The table of `docs/upload.md`.
    fn of(error: AckError) -> Self {
        match error {
            AckError::MaxFragmentSizeReached | AckError::MaxFragmentDurationReached => {
                Self::Smaller
            }
            AckError::FragmentTimecodeLesserThanPrevious => Self::First,
            AckError::InvalidMkvData | AckError::FramesMissingForTrack => Self::OnceMore,
            AckError::FragmentMetadataLimitReached => Self::WithoutTags,
            AckError::StreamNotActive => Self::Describe,
            AckError::MoreThanAllowedTracksFound
            | AckError::InvalidProducerTimestamp
            | AckError::TrackNumberMismatch
            | AckError::InvalidFragmentMetadata
            | AckError::TooManyTracks
            | AckError::KmsKeyAccessDenied
            | AckError::KmsKeyDisabled
            | AckError::KmsKeyValidationError
            | AckError::KmsKeyInvalidUsage
            | AckError::KmsKeyInvalidState
            | AckError::KmsKeyNotFound
            | AckError::StreamDeleted => Self::Fail,
            _ => Self::Again,
        }
    }
}

impl Session {
    /// An acknowledgement came.
    pub(super) fn acknowledged(&mut self, id: LinkId, ack: &Ack, now: Instant) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        link.heard_at = now;
        match ack {
            Ack::Buffering(acked) => {
                self.stats.fragments_buffering += 1;
                self.tell_ack(
                    AckKind::Buffering,
                    Some(acked.timecode),
                    Some(&acked.number),
                );
            }
            Ack::Received(acked) => {
                self.stats.fragments_received += 1;
                self.tell_ack(AckKind::Received, Some(acked.timecode), Some(&acked.number));
                if !self.retains {
                    self.confirm(id, acked.timecode, now);
                }
            }
            Ack::Persisted(acked) => {
                self.stats.fragments_persisted += 1;
                self.tell_ack(
                    AckKind::Persisted,
                    Some(acked.timecode),
                    Some(&acked.number),
                );
                self.confirm(id, acked.timecode, now);
            }
            Ack::Error {
                error,
                timecode,
                number,
            } => {
                self.stats.fragments_refused += 1;
                self.tell_ack(AckKind::Error(*error), *timecode, number.as_ref());
                self.refuse(id, *error, *timecode, now);
            }
            Ack::Idle => self.tell_ack(AckKind::Idle, None, None),
            _ => {}
        }
    }

    fn tell_ack(&mut self, kind: AckKind, timecode: Option<u64>, number: Option<&FragmentNumber>) {
        self.tell(ProducerEvent::Ack(FragmentAck {
            kind,
            number: number.cloned(),
            timecode,
        }));
    }

    /// The last word of the service on a fragment that it keeps.
    pub(super) fn confirm(&mut self, id: LinkId, timecode: u64, now: Instant) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        // Only what was written to its end can be there as a whole.
        let acked = link.acked(timecode);
        let Some(fragment) = acked.filter(|&fragment| link.has_completed(fragment)) else {
            return;
        };
        link.forget(fragment);
        self.backoff.reset();
        self.denied = false;
        if self.config.streaming == Streaming::Offline && self.deadline.is_some() {
            // The backlog of a file may take long; it is the silence that is bounded.
            self.deadline = Some(now + self.config.stop_timeout);
        }
        if let Some(sent) = self.buffer.get(fragment) {
            let delay = now.saturating_duration_since(sent.last_arrival);
            self.delays.add(delay);
        }
        if let Some(span) = self.buffer.confirm(fragment) {
            self.stats.frames_confirmed += span.frames;
        }
        self.drop_cut_off();
    }

    /// The service refuses a fragment, or the session.
    fn refuse(&mut self, id: LinkId, error: AckError, timecode: Option<u64>, now: Instant) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        let why = format!("the service refuses the data: {error}");
        let (owes, opened) = (!link.sent.is_empty(), link.first);
        let fragment = timecode.and_then(|timecode| link.acked(timecode));
        let Some(fragment) = fragment else {
            // It names no fragment that is awaited, so none is dropped. One that was cut off on
            // purpose is of no interest.
            if self.is_active(id) && owes {
                self.lost(Step::Connect, &why, now);
            }
            return;
        };
        if let Remedy::Fail = Remedy::of(error) {
            return self.fail(FailReason::Refused, why, now);
        }
        let then = self.treat(fragment, error, opened == Some(fragment));
        self.lost(then, &why, now);
    }

    /// Does what a refused fragment needs before it is sent again; gives it up if nothing helps.
    fn treat(&mut self, id: FragmentId, error: AckError, opened: bool) -> Step {
        let Some(fragment) = self.buffer.get_mut(id) else {
            return Step::Connect;
        };
        fragment.refusals += 1;
        let helped = match Remedy::of(error) {
            Remedy::Describe => return Step::Describe,
            Remedy::Again | Remedy::Fail => true,
            Remedy::OnceMore => fragment.refusals < 2,
            Remedy::WithoutTags => {
                let tags = std::mem::take(&mut fragment.tags);
                let helped = fragment.refusals < 2;
                if !tags.is_empty() {
                    let names = tags.into_iter().map(|tag| tag.name).collect();
                    let warning = Warning::MetadataRefused { names };
                    self.tell(ProducerEvent::Warning(warning));
                }
                helped
            }
            Remedy::First => {
                fragment.step = true;
                !opened
            }
            // One that is on disk alone comes again, and is then in memory.
            Remedy::Smaller => !fragment.is_here() || self.buffer.split(id),
        };
        if !helped {
            let span = self.buffer.give_up(id);
            self.lose(span, DropReason::Refused(error));
        }
        Step::Connect
    }
}

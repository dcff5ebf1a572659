//! The upload as a value: no socket, clock, task or randomness inside.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use kvs_media::{Frame, ProducerTime, Track, TrackNumber};
use kvs_protocol::Ack;

use super::buffer::{Buffer, FragmentId, LetGo};
use super::config::{ProducerConfig, Streaming};
use super::event::{DropReason, Dropped, FailReason, FrameSpan, ProducerEvent, ProducerState};
use super::interleave::{Interleave, Piece};
use super::stats::{Delays, Stats};
use super::timecode::Scale;
use crate::backoff::Backoff;
use crate::jitter::Jitter;
use crate::spool::Media;
use crate::{ServiceError, StreamDescription};

mod acks;
mod control;
mod end;
mod link;
mod loss;
mod metadata;
mod pressure;
mod rotation;
mod spooling;
#[cfg(test)]
mod tests;
mod timers;
mod transmit;
mod trigger;

use control::Step;
use link::Link;
pub(super) use link::{Head, LinkId};
use metadata::Metadata;
use pressure::Pressed;
pub(super) use spooling::SpoolFault;
pub use spooling::SpoolLimits;
use spooling::SpoolState;
pub(super) use transmit::Transmit;
use trigger::Asked;

/// What happened outside.
#[derive(Debug)]
pub(super) enum Input {
    /// Begin.
    Start,
    /// The answer to [`Output::Describe`].
    Described(Result<StreamDescription, ServiceError>),
    /// The answer to [`Output::Create`].
    Created(Result<(), ServiceError>),
    /// The answer to [`Output::Tag`].
    Tagged(Result<(), ServiceError>),
    /// The answer to [`Output::Locate`].
    Located(Result<(), ServiceError>),
    /// The service takes data on that connection, whose credentials are valid for so long.
    Accepted(LinkId, Option<Duration>),
    /// The service, or the way to it, refuses that connection.
    Refused(LinkId, ServiceError),
    /// An acknowledgement came over that connection.
    Ack(LinkId, Ack),
    /// That connection has ended, and why.
    Ended(LinkId, String),
    /// The spool has that file, of so many bytes; or it could not be written.
    Saved(u64, Result<u64, SpoolFault>),
    /// What is in that file of the spool.
    Fetched(u64, Result<Media, String>),
    /// The time that [`Session::poll_timeout`] named has come.
    Timeout,
    /// The source has ended.
    Finish,
    /// Nobody waits for anything any more.
    Stop,
}

/// What is to be done outside.
#[derive(Debug)]
pub(super) enum Output {
    /// Ask for the stream's description.
    Describe,
    /// Create the stream.
    Create,
    /// Give the stream its tags.
    Tag,
    /// Ask for the endpoint, unless it is known.
    Locate,
    /// Forget the endpoint that is known.
    ForgetEndpoint,
    /// Forget the credentials that are known.
    ForgetCredentials,
    /// Open a connection with that head.
    Connect(LinkId, Head),
    /// Break a connection off, at once.
    Close(LinkId),
    /// Write a file into the spool. These four are done in the order in which they come.
    Save(u64, Box<Media>),
    /// Read a file of the spool.
    Fetch(u64),
    /// Say of a file in the spool that it is asked for.
    Release(u64),
    /// Take a file out of the spool.
    Remove(u64),
    /// Tell the owner.
    Event(ProducerEvent),
}

/// An upload.
///
/// ```text
///           start                     described            located
///  Idle ───────────► Describing ──────────────► Locating ───────────► Ready ◄───────────────┐
///                     ▲      │ not found,                               │ a fragment        │
///                     │      ▼ allowed                                  ▼                   │
///                     └─ Creating                                  Connecting               │
///                                                                       │ 200         timer │
///            finish, all sent                                           ▼                   │
///  Draining ◄────────────────────────────────────────────────────── Streaming ── lost ─► Backoff
///    │  │                                                                                ▲  │
///    │  └─ lost ─────────────────────────────────────────────────────────────────────────┘  │
///    └─ all confirmed, or deadline ─► Drained                      Failed ◄── fatal, gave up┘
/// ```
///
/// A back-off leads back to the step that failed. Rotation does not show: the connection that
/// sends is replaced, and the one before waits for its last acks beside it.
///
/// Its methods are of four kinds. The source calls [`push`](Self::push) and its neighbours; the
/// driver tells what happened with [`handle`](Self::handle); then it polls:
/// [`poll_transmit`](Self::poll_transmit) for each connection that can take bytes,
/// [`poll_output`](Self::poll_output) until there is none, and
/// [`poll_timeout`](Self::poll_timeout) last. Getters may be called whenever one likes. Time never
/// goes back from one call to the next.
#[derive(Debug)]
pub(super) struct Session {
    config: ProducerConfig,
    scale: Scale,
    interleave: Interleave,
    buffer: Buffer,
    state: ProducerState,
    /// What follows the back-off, and when.
    retry: Option<(Instant, Step)>,
    /// Failures in a row, without a new last ack.
    backoff: Backoff,
    jitter: Jitter,
    started_at: Option<Instant>,
    /// The service has answered once.
    contacted: bool,
    /// What the last failed call said.
    last_failure: Option<String>,
    /// The credentials were refused, and fetched again since.
    denied: bool,
    /// The stream has its tags, or was asked to take them.
    tagged: bool,
    /// Whether the stream keeps fragments, so that PERSISTED is the last ack.
    retains: bool,
    /// The connection that sends.
    active: Option<Link>,
    /// The one that will send next.
    next: Option<Link>,
    /// The one before, whose last acks are awaited.
    retiring: Option<Link>,
    /// The service does not take two connections: a rotation ends the old one first.
    one_at_a_time: bool,
    connected_at: Option<Instant>,
    /// Where the next connection begins.
    resume_at: FragmentId,
    links: u64,
    last_frame: Option<Instant>,
    /// The source is silent: the connection ends in good form until it speaks again.
    idle: bool,
    /// The source has ended; acks are awaited until then.
    deadline: Option<Instant>,
    outputs: VecDeque<Output>,
    metadata: Metadata,
    pressed: Pressed,
    spooling: Option<SpoolState>,
    asked: Asked,
    /// It ends as soon as everything is on disk, in this way.
    concluding: Option<Conclusion>,
    delays: Delays,
    stats: Stats,
}

/// How a session ends before everything is confirmed.
#[derive(Clone, Debug)]
enum Conclusion {
    Stopped,
    Failed(FailReason, String),
}

impl Session {
    /// A session that has not started. The seed is for back-off and the names of the documents.
    pub(super) fn new(config: ProducerConfig, seed: u64) -> Self {
        Self {
            scale: Scale::new(config.timecode_scale),
            interleave: Interleave::new(&config),
            buffer: Buffer::new(config.storage_bytes_max, config.buffer_duration),
            config,
            state: ProducerState::Idle,
            retry: None,
            backoff: Backoff::default(),
            jitter: Jitter::new(seed),
            started_at: None,
            contacted: false,
            last_failure: None,
            denied: false,
            tagged: false,
            retains: true,
            active: None,
            next: None,
            retiring: None,
            one_at_a_time: false,
            connected_at: None,
            resume_at: FragmentId(0),
            links: 0,
            last_frame: None,
            idle: false,
            deadline: None,
            outputs: VecDeque::new(),
            metadata: Metadata::default(),
            pressed: Pressed::default(),
            spooling: None,
            asked: Asked::default(),
            concluding: None,
            delays: Delays::default(),
            stats: Stats::default(),
        }
    }

    /// Declares a track.
    pub(super) fn add_track(&mut self, track: Track) {
        self.interleave.add_track(track);
    }

    /// So many tracks there will be.
    pub(super) fn expect_tracks(&mut self, count: usize, now: Instant) {
        self.interleave.expect_tracks(count, now);
        self.take_pieces(now);
    }

    /// Whether that track is declared.
    pub(super) fn has_track(&self, number: TrackNumber) -> bool {
        self.interleave.has_track(number)
    }

    /// Frames of that track have another format from now on.
    pub(super) fn set_format(&mut self, track: Track) {
        self.interleave.set_format(track);
    }

    /// The next frame of that track begins a new run of time.
    pub(super) fn discontinuity(&mut self, number: TrackNumber) {
        self.interleave.discontinuity(number);
    }

    /// Takes a frame in.
    pub(super) fn push(&mut self, frame: Frame, now: Instant) {
        self.stats.frames_in += 1;
        self.stats.bytes_in += frame.data.len() as u64;
        self.last_frame = Some(now);
        self.idle = false;
        self.note_time(frame.time);
        self.interleave.push(frame, now);
        self.take_pieces(now);
    }

    /// That track has nothing before `until`.
    pub(super) fn gap(&mut self, number: TrackNumber, until: ProducerTime, now: Instant) {
        self.interleave.gap(number, until, now);
        self.take_pieces(now);
    }

    /// That track has no more frames; when none has, the upload ends.
    pub(super) fn end_track(&mut self, number: TrackNumber, now: Instant) {
        if self.interleave.end_track(number, now) {
            self.handle(Input::Finish, now);
        }
        self.take_pieces(now);
    }

    /// That track is taken away.
    pub(super) fn remove_track(&mut self, number: TrackNumber, now: Instant) {
        self.interleave.remove_track(number, now);
        self.take_pieces(now);
    }

    /// Tells what happened outside.
    pub(super) fn handle(&mut self, input: Input, now: Instant) {
        if self.is_over() {
            return;
        }
        if self.concluding.is_some() && !matches!(input, Input::Saved(..)) {
            return;
        }
        match input {
            Input::Start => {
                self.started_at = Some(now);
                self.take_step(Step::Describe);
            }
            Input::Described(result) => self.described(result, now),
            Input::Created(result) => self.created(result, now),
            Input::Tagged(result) => self.tagged(result),
            Input::Located(result) => self.located(result, now),
            Input::Accepted(id, valid_for) => self.accepted(id, valid_for, now),
            Input::Refused(id, error) => self.refused(id, &error, now),
            Input::Ack(id, ack) => self.acknowledged(id, &ack, now),
            Input::Ended(id, why) => self.ended(id, &why, now),
            Input::Timeout => self.timed_out(now),
            Input::Finish => {
                self.interleave.finish(now);
                self.deadline.get_or_insert(now + self.config.stop_timeout);
            }
            Input::Saved(file, result) => self.saved(file, result, now),
            Input::Fetched(file, result) => self.fetched(file, result),
            Input::Stop => self.conclude(Conclusion::Stopped, now),
        }
        self.take_pieces(now);
        self.settle(now);
    }

    /// The next thing to do outside.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether there is something to do outside.
    pub(super) fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Whether a source that can wait has to.
    pub(super) fn is_full(&self) -> bool {
        self.config.streaming == Streaming::Offline
            && (self.buffer.is_full(self.interleave.held_bytes()) || self.is_spool_full())
    }

    /// Whether it has ended, well or not.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, ProducerState::Drained | ProducerState::Failed)
    }

    /// Whether it has ended badly.
    pub(super) fn has_failed(&self) -> bool {
        let fails = matches!(self.concluding, Some(Conclusion::Failed(..)));
        self.state == ProducerState::Failed || fails
    }

    /// Figures.
    pub(super) fn stats(&self) -> Stats {
        let (ack_delay_p50, ack_delay_p99) = self.delays.percentiles();
        let held = self.interleave.held().map_or(0, |span| span.frames);
        Stats {
            state: self.state,
            buffered_frames: self.buffer.frames() as u64 + held,
            buffered_bytes: (self.buffer.bytes() + self.interleave.held_bytes()) as u64,
            buffered_span: self.buffer.span(),
            spool_files: self.buffer.disk.files() as u64,
            spool_bytes: self.buffer.disk.bytes,
            ack_delay_p50,
            ack_delay_p99,
            ..self.stats.clone()
        }
    }

    /// Moves what the tracks' order gives into the buffer.
    fn take_pieces(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        while let Some(piece) = self.interleave.poll() {
            match piece {
                Piece::Event(ProducerEvent::Dropped(dropped)) => {
                    self.lose(Some(dropped.span), dropped.why);
                }
                Piece::Event(event) => self.tell(event),
                piece => {
                    let begins = matches!(piece, Piece::Begin { .. });
                    let lost = self.buffer.push(piece, now);
                    self.lose(lost, DropReason::BufferFull);
                    if begins {
                        self.describe();
                        self.hold();
                    }
                }
            }
        }
        self.forget();
        if self.config.streaming != Streaming::Offline {
            self.feel_pressure(now);
            self.make_room();
        }
        self.spool(now);
        self.connect_if_due(now);
    }

    /// A full buffer lets go of its oldest fragments.
    fn make_room(&mut self) {
        let busy = self.active.as_ref().and_then(Link::busy);
        while self.buffer.is_full(self.interleave.held_bytes()) {
            if self.buffer.evict_sent(busy) || self.forget_one() {
                continue;
            }
            match self.buffer.let_go(busy) {
                Some(LetGo::Lost(span)) => self.lose(Some(span), DropReason::BufferFull),
                Some(LetGo::Sent) => {}
                None => break,
            }
        }
    }

    /// Ends the session once the source has ended and nothing is awaited any more.
    fn settle(&mut self, now: Instant) {
        if self.concluding.is_some() {
            return self.conclude_if_saved();
        }
        let Some(deadline) = self.deadline.filter(|_| !self.is_over()) else {
            return;
        };
        // A body that has begun is ended in good form.
        let is_sending = self.active.as_ref().is_some_and(Link::has_started);
        // A file that is still written has to be taken away, once it is there.
        let is_waiting = !self.buffer.is_empty() || !self.interleave.is_empty() || self.is_saving();
        if now >= deadline || !(is_sending || is_waiting || self.retiring.is_some()) {
            let unconfirmed = self.unconfirmed();
            self.tell_spooled();
            self.take_away();
            self.close_all();
            self.set_state(ProducerState::Drained);
            self.tell(ProducerEvent::Drained { unconfirmed });
        } else if self.active.is_none()
            && self.retiring.is_some()
            && self.buffer.sendable_from(self.resume_at).is_none()
        {
            self.set_state(ProducerState::Draining);
        }
    }

    /// What is lost with this process: not confirmed, and not on disk.
    fn unconfirmed(&self) -> Option<FrameSpan> {
        let waiting = [self.buffer.unconfirmed(false), self.interleave.held()];
        let waiting = waiting.into_iter().flatten();
        waiting.fold(None, |span, more| Some(FrameSpan::join(span, more)))
    }

    fn set_state(&mut self, state: ProducerState) {
        if std::mem::replace(&mut self.state, state) != state {
            self.tell(ProducerEvent::State(state));
        }
    }

    /// Counts and tells a loss.
    fn lose(&mut self, span: Option<FrameSpan>, why: DropReason) {
        if let Some(span) = span {
            self.stats.frames_dropped += span.frames;
            self.tell(ProducerEvent::Dropped(Dropped { span, why }));
        }
    }

    fn tell(&mut self, event: ProducerEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn is_active(&self, id: LinkId) -> bool {
        self.active.as_ref().is_some_and(|link| link.id == id)
    }

    fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        let links = [&mut self.active, &mut self.retiring, &mut self.next];
        links.into_iter().flatten().find(|link| link.id == id)
    }
}

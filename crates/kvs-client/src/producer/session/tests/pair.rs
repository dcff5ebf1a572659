//! A session and a simulated service, joined by virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use kvs_media::mkv::Tag;
use kvs_media::{Frame, ProducerTime, Track};

use super::super::super::config::ProducerConfig;
use super::super::super::event::{FrameSpan, ProducerEvent, ProducerState, Warning};
use super::super::super::pieces::Pieces;
use super::super::{Head, Input, LinkId, Output, Session, Transmit};
use super::service::{Answer, Faults, Request, Service};
use super::source;
use super::spool::Spool;
use crate::control::StreamStatus;
use crate::jitter::Jitter;
use crate::{ErrorKind, ServiceError, StreamDescription};

/// No run needs more; one that does is a busy loop.
const STEPS_MAX: usize = 400_000;

/// Both ends, and what happens between them.
pub(super) struct Pair {
    pub(super) session: Session,
    pub(super) service: Service,
    pub(super) faults: Faults,
    pub(super) jitter: Jitter,
    pub(super) start: Instant,
    pub(super) now: Instant,
    requests: HashMap<LinkId, Request>,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    inputs: BTreeMap<u64, Input>,
    frames: std::iter::Peekable<std::vec::IntoIter<(Duration, Frame)>>,
    pub(super) times: BTreeMap<u64, u64>,
    /// What is asked for behind the frame of that number: before and after.
    pub(super) triggers: BTreeMap<u64, (Duration, Duration)>,
    /// What they ask for, in ms since 1970.
    pub(super) asked: Vec<(u64, u64)>,
    /// Metadata that comes before the frame of that number.
    pub(super) metadata: BTreeMap<u64, (Tag, bool)>,
    finished: bool,
    sequence: u64,
    pub(super) connects: u64,
    /// How often the stream was given tags.
    pub(super) tagged: u64,
    pub(super) reported: Vec<FrameSpan>,
    moved: Vec<FrameSpan>,
    pub(super) events: Vec<ProducerEvent>,
    pub(super) bytes_max: u64,
    pub(super) exists: bool,
    pub(super) retention_hours: u32,
    /// From then on each connection breaks, and each request is refused.
    pub(super) breaks_at: Option<Duration>,
    /// From then on no request is refused.
    pub(super) heals_at: Option<Duration>,
    /// For a producer that begins again.
    config: ProducerConfig,
    tracks: Vec<Track>,
    pub(super) spool: Option<Spool>,
    /// Frames that the source has given.
    pushed: BTreeSet<u64>,
    /// Frames that went with a producer that was killed before they were on disk.
    pub(super) excused: BTreeSet<u64>,
}

impl Pair {
    pub(super) fn new(
        config: ProducerConfig,
        faults: Faults,
        frames: Vec<(Duration, Frame)>,
        seed: u64,
    ) -> Self {
        let start = Instant::now();
        let times = frames.iter().map(|(_, f)| (number(f), f.time.as_ms()));
        let times = times.collect();
        let tracks = [source::video(), source::audio(), source::data()].into_iter();
        let is_used = |track: &Track| frames.iter().any(|(_, f)| f.track == track.number);
        let tracks: Vec<_> = tracks.filter(is_used).collect();
        let mut session = Session::new(config.clone(), seed);
        tracks
            .iter()
            .for_each(|track| session.add_track(track.clone()));
        Self {
            session,
            service: Service::default(),
            faults,
            jitter: Jitter::new(seed ^ 0xABCD),
            start,
            now: start,
            requests: HashMap::new(),
            due: BinaryHeap::new(),
            inputs: BTreeMap::new(),
            frames: frames.into_iter().peekable(),
            times,
            triggers: BTreeMap::new(),
            asked: Vec::new(),
            metadata: BTreeMap::new(),
            finished: false,
            sequence: 0,
            connects: 0,
            tagged: 0,
            reported: Vec::new(),
            moved: Vec::new(),
            events: Vec::new(),
            bytes_max: 0,
            exists: false,
            retention_hours: 24,
            breaks_at: None,
            heals_at: None,
            config,
            tracks,
            spool: None,
            pushed: BTreeSet::new(),
            excused: BTreeSet::new(),
        }
    }

    /// The session keeps what is not confirmed on that disk.
    pub(super) fn use_spool(&mut self, mut spool: Spool) {
        let (first, found) = spool.begin();
        let wall = self
            .frames
            .peek()
            .map_or(ProducerTime::from_ms(0), |(_, f)| f.time);
        let now = self.now;
        self.session
            .use_spool(spool.limits, first, &found, wall, now);
        self.spool = Some(spool);
    }

    /// Kills the producer, and starts another one.
    fn crash(&mut self) {
        let Some(mut spool) = self.spool.take() else {
            return;
        };
        spool.crash(&mut self.jitter);
        let on_disk = spool.frames();
        let gone =
            |number: &&u64| !self.service.stored.contains_key(number) && !on_disk.contains(number);
        self.excused.extend(self.pushed.iter().filter(gone));
        self.requests.clear();
        self.due.clear();
        self.inputs.clear();
        let seed = self.jitter.number();
        self.session = Session::new(self.config.clone(), seed);
        for track in self.tracks.clone() {
            self.session.add_track(track);
        }
        self.use_spool(spool);
        self.session.handle(Input::Start, self.now);
        if self.finished {
            self.finish();
        }
    }

    /// Runs until the session is over.
    pub(super) fn run(&mut self) {
        self.session.handle(Input::Start, self.now);
        for _ in 0..STEPS_MAX {
            self.settle();
            if self.session.is_over() {
                return;
            }
            self.step();
        }
        panic!("no end after {STEPS_MAX} steps: {:?}", self.session.stats());
    }

    /// Polls until nothing moves.
    fn settle(&mut self) {
        loop {
            let moved = self.transmit();
            let mut any = false;
            while let Some(output) = self.session.poll_output() {
                any = true;
                self.obey(output);
            }
            if !moved && !any {
                break;
            }
        }
        let bytes = self.session.buffer.bytes() + self.session.interleave.held_bytes();
        self.bytes_max = self.bytes_max.max(bytes as u64);
    }

    fn transmit(&mut self) -> bool {
        let mut moved = false;
        let mut links: Vec<LinkId> = self.requests.keys().copied().collect();
        links.sort_unstable_by_key(|link| link.0);
        for link in links {
            let mut pieces = Pieces::default();
            match self.session.poll_transmit(link, self.now, &mut pieces) {
                Transmit::Wait => {}
                Transmit::Write => {
                    moved = true;
                    let request = self.requests.get_mut(&link).expect("it is open");
                    let answers =
                        request.receive(pieces, &mut self.service, &self.faults, &mut self.jitter);
                    for answer in answers {
                        match answer {
                            Answer::Ack(delay, ack) => self.later(delay, Input::Ack(link, ack)),
                            Answer::Break(delay) => {
                                self.later(delay, Input::Ended(link, "broken".to_owned()));
                            }
                        }
                    }
                }
                Transmit::End => {
                    moved = true;
                    self.requests.remove(&link);
                    self.later(Duration::ZERO, Input::Ended(link, "the end".to_owned()));
                }
            }
        }
        moved
    }

    fn later(&mut self, delay: Duration, input: Input) {
        self.sequence += 1;
        self.due.push(Reverse((self.now + delay, self.sequence)));
        self.inputs.insert(self.sequence, input);
    }

    fn obey(&mut self, output: Output) {
        let delay = Duration::from_millis(1 + self.jitter.number() % 30);
        let refused = self.jitter.number() % 1000 < self.faults.refused;
        let error = || ServiceError::new(ErrorKind::Network, "no connection".to_owned());
        match output {
            Output::Describe if refused => self.later(delay, Input::Described(Err(error()))),
            Output::Describe if !self.exists => {
                let error = ServiceError::new(ErrorKind::NotFound, "no stream".to_owned());
                self.later(delay, Input::Described(Err(error)));
            }
            Output::Describe => {
                let description = StreamDescription {
                    arn: "arn".to_owned(),
                    status: StreamStatus::Active,
                    retention_hours: self.retention_hours,
                };
                self.later(delay, Input::Described(Ok(description)));
            }
            Output::Create => {
                self.exists = true;
                self.later(delay, Input::Created(Ok(())));
            }
            Output::Locate if refused => self.later(delay, Input::Located(Err(error()))),
            Output::Locate => self.later(delay, Input::Located(Ok(()))),
            Output::Tag => {
                self.tagged += 1;
                self.later(delay, Input::Tagged(Ok(())));
            }
            Output::Connect(link, head) => {
                self.connect(link, head, delay, refused);
            }
            Output::Close(link) => {
                self.requests.remove(&link);
            }
            Output::ForgetEndpoint | Output::ForgetCredentials => {}
            job
            @ (Output::Save(..) | Output::Fetch(_) | Output::Release(_) | Output::Remove(_)) => {
                let spool = self.spool.as_mut().expect("the session has a spool");
                if let Some((delay, input)) = spool.work(job, self.now, &mut self.jitter) {
                    self.later(delay, input);
                }
            }
            Output::Event(event) => {
                match &event {
                    ProducerEvent::Dropped(dropped) => self.reported.push(dropped.span),
                    ProducerEvent::Drained { unconfirmed } => self.reported.extend(unconfirmed),
                    // A loss names the times on the wire; this one the times before.
                    ProducerEvent::Warning(Warning::Late { span, .. }) => self.moved.push(*span),
                    _ => {}
                }
                self.events.push(event);
            }
        }
    }

    /// A connection is asked for.
    fn connect(&mut self, link: LinkId, head: Head, delay: Duration, refused: bool) {
        let script = self.faults.refusals.get(self.connects as usize).copied();
        self.connects += 1;
        if let Some(kind) = script {
            let error = ServiceError::new(kind, "refused".to_owned());
            self.later(delay, Input::Refused(link, error));
        } else if refused {
            let kinds = [
                ErrorKind::Network,
                ErrorKind::ConnectionLimit,
                ErrorKind::RateLimit,
                ErrorKind::InvalidEndpoint,
                ErrorKind::NotFound,
                ErrorKind::Unavailable,
            ];
            let kind = kinds[self.jitter.number() as usize % kinds.len()];
            let error = ServiceError::new(kind, "refused".to_owned());
            self.later(delay, Input::Refused(link, error));
        } else {
            self.requests.insert(link, Request::new(head));
            self.later(delay, Input::Accepted(link, self.faults.valid_for));
        }
    }

    /// Goes to the next thing that happens.
    fn step(&mut self) {
        let frame = self.frames.peek().map(|(at, _)| self.start + *at);
        let input = self.due.peek().map(|Reverse((at, _))| *at);
        let timer = self.session.poll_timeout(self.now);
        let next = [frame, input, timer].into_iter().flatten().min();
        match next {
            None if !self.finished => self.finish(),
            None => panic!("nothing is due: {:?}", self.session.stats()),
            Some(at) => self.now = self.now.max(at),
        }
        let elapsed = self.now.duration_since(self.start);
        if self.breaks_at.take_if(|at| *at <= elapsed).is_some() {
            self.faults.refused = 1000;
            let broken: Vec<LinkId> = self.requests.drain().map(|(link, _)| link).collect();
            for link in broken {
                self.later(Duration::ZERO, Input::Ended(link, "broken".to_owned()));
            }
        }
        if self.heals_at.is_some_and(|at| at <= elapsed) {
            self.faults.refused = 0;
        }
        if self
            .spool
            .as_mut()
            .is_some_and(|spool| spool.crashes_at(elapsed))
        {
            self.crash();
        } else if input.is_some_and(|at| at <= self.now) {
            if let Some(Reverse((_, sequence))) = self.due.pop() {
                let input = self.inputs.remove(&sequence).expect("it is there");
                if let Some(spool) = &mut self.spool {
                    spool.told(&input);
                }
                self.session.handle(input, self.now);
            }
        } else if frame.is_some_and(|at| at <= self.now) {
            if let Some((_, frame)) = self.frames.next() {
                if let Some((tag, persist)) = self.metadata.remove(&number(&frame)) {
                    self.session.add_metadata(tag, persist);
                }
                let number = number(&frame);
                self.pushed.insert(number);
                self.session.push(frame, self.now);
                if let Some((before, after)) = self.triggers.remove(&number) {
                    self.session.trigger(before, after, self.now);
                }
            }
            if self.frames.peek().is_none() {
                self.finish();
            }
        } else {
            self.session.handle(Input::Timeout, self.now);
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        self.session.handle(Input::Finish, self.now);
    }

    /// Frames that are neither stored nor reported.
    pub(super) fn missing(&self) -> BTreeSet<u64> {
        let told = |ms: u64| self.reported.iter().chain(&self.moved).any(covers(ms));
        let lost = self
            .times
            .iter()
            .filter(|(number, ms)| !self.service.stored.contains_key(number) && !told(**ms));
        let lost = lost.map(|(number, _)| *number);
        let waiting = self.waiting();
        lost.filter(|number| !self.excused.contains(number) && !waiting.contains(number))
            .collect()
    }

    /// Whether a trigger asks for a frame.
    pub(super) fn is_asked(&self, number: u64) -> bool {
        let ms = self.times[&number];
        self.asked
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&ms))
    }

    /// Frames that are on disk.
    pub(super) fn waiting(&self) -> BTreeSet<u64> {
        self.spool.as_ref().map(Spool::frames).unwrap_or_default()
    }

    /// Frames that are stored at another time than they came with, without a word.
    pub(super) fn misplaced(&self) -> BTreeSet<u64> {
        let wrong = self.service.stored.iter().filter(|(number, stored_ms)| {
            let ms = self.times[number];
            ms.abs_diff(**stored_ms) > 1 && !self.moved.iter().any(covers(ms))
        });
        wrong.map(|(number, _)| *number).collect()
    }

    pub(super) fn states(&self) -> Vec<ProducerState> {
        let states = self.events.iter().filter_map(|event| match event {
            ProducerEvent::State(state) => Some(*state),
            _ => None,
        });
        states.collect()
    }
}

/// A frame's number in the source.
pub(super) fn number(frame: &Frame) -> u64 {
    let data = frame.data.to_bytes();
    u64::from_be_bytes(data[..8].try_into().expect("a number"))
}

/// Whether a span has that time. A tie at a cut goes one unit up without a word.
fn covers(ms: u64) -> impl Fn(&FrameSpan) -> bool {
    move |span| span.from.as_ms() <= ms + 1 && ms <= span.to.as_ms()
}

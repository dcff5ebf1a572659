//! One PutMedia from its first byte to its last ack.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use kvs_protocol::{Ack, AckError, AckedFragment, FragmentNumber};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::budget::Share;
use super::cutter::{Beginning, Cutter, Step};
use super::deadlines::{Deadlines, IDLE_ACK_INTERVAL, STOP_GRACE};
use super::refused::Refused;
use crate::app::App;
use crate::ask::ask;
use crate::faults::acks::SessionFaults;
use crate::live::{Begun, Fragment, LiveStream, SessionPermit};
use crate::metrics::Present;
use crate::stopping::turned_true;
use crate::store::{NewFragment, StoreError, StreamId};

/// How long the body is still read after an error, so that the last ack is not lost to a reset.
const LINGER: Duration = Duration::from_secs(2);
/// The last time that nanoseconds since 1970 can tell, which is how readers count.
const PRODUCER_MS_MAX: u64 = u64::MAX / 1_000_000;
/// Fragments of one session on their way to the disk; beyond that, its body is not read.
const UNSTORED_FRAGMENTS_MAX: usize = 8;

/// What a session needs to know before its first byte.
#[derive(Debug)]
pub(super) struct SessionSettings {
    pub(super) stream: StreamId,
    /// Producer time of the session's start, where its timecodes count from that.
    pub(super) start_ms: u64,
    /// Whether the producer wants acks.
    pub(super) acks: bool,
    pub(super) faults: Option<SessionFaults>,
}

/// The session itself.
pub(super) struct Session {
    app: Arc<App>,
    live: Arc<LiveStream>,
    settings: SessionSettings,
    acks: mpsc::Sender<Ack>,
    cutter: Cutter,
    /// What has arrived of an element that is still under way.
    waiting: Share,
    open: Option<Open>,
    /// The fragment that an error is about if none is open.
    last: Option<AckedFragment>,
    /// The first fragment that could not be stored, which an error is about before any other.
    failed: Option<AckedFragment>,
    /// In their order: AWS's producer takes PERSISTED of one for that of all before it.
    storing: FuturesOrdered<Pin<Box<dyn Future<Output = Stored> + Send>>>,
    deadlines: Deadlines,
    _permit: SessionPermit,
    _present: Present,
}

/// The fragment that is being received.
struct Open {
    fragment: Arc<Fragment>,
    acked: AckedFragment,
    cluster_bytes: u64,
    share: Share,
}

/// A fragment that the store has finished with.
struct Stored {
    fragment: Arc<Fragment>,
    acked: AckedFragment,
    outcome: Result<(), StoreError>,
}

/// Why the loop woke up.
enum Wake {
    Bytes(Bytes),
    EndOfBody,
    Lost,
    Stored(Stored),
    Timer,
    Stopping,
    Deleted,
    GivenUp,
    Overtaken,
}

/// Whether there is more to do.
#[derive(PartialEq)]
enum Flow {
    Goes,
    Ends,
}

impl Session {
    pub(super) fn new(
        app: Arc<App>,
        live: Arc<LiveStream>,
        permit: SessionPermit,
        settings: SessionSettings,
        acks: mpsc::Sender<Ack>,
    ) -> Self {
        let present = Present::among(&app.metrics().sessions);
        let age_max = app.config().connection_age_max;
        Self {
            waiting: app.budget().share(),
            app,
            live,
            settings,
            acks,
            cutter: Cutter::new(),
            open: None,
            last: None,
            failed: None,
            storing: FuturesOrdered::new(),
            deadlines: Deadlines::new(Instant::now(), age_max),
            _permit: permit,
            _present: present,
        }
    }

    /// Reads the body to its end; `first` is what had already been read of it.
    pub(super) async fn run(mut self, body: Body, first: Option<Result<Bytes, axum::Error>>) {
        let mut body = body.into_data_stream();
        let mut ended = self.receive(&mut body, first).await;
        if let Some(open) = self.open.take() {
            self.live.fail(&open.fragment);
            self.last = Some(open.acked);
        }
        while let Some(stored) = self.storing.next().await {
            let is_first = self.failed.is_none();
            // What was received whole and is not stored has to be sent again, however the session
            // came to its end.
            if let Err(refused) = self.stored(stored).await
                && is_first
            {
                ended = Err(refused);
            }
        }
        let Err(refused) = ended else {
            return;
        };
        self.app.metrics().ended_with(refused.id);
        tracing::info!(id = refused.id.id(), why = %refused.why, "a PutMedia ended with an error");
        let (timecode, number) = self
            .failed
            .take()
            .or(self.last.take())
            .map(|last| (last.timecode, last.number))
            .unzip();
        self.ack(Ack::Error {
            error: refused.id,
            timecode,
            number,
        })
        .await;
        drop(self);
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        let _ = timeout(LINGER, rest).await;
    }

    async fn receive(
        &mut self,
        body: &mut BodyDataStream,
        first: Option<Result<Bytes, axum::Error>>,
    ) -> Result<(), Refused> {
        let mut stopping = self.app.stopping();
        let mut deleted = self.live.deleted();
        let mut wake = first.map(|first| first.map_or(Wake::Lost, Wake::Bytes));
        loop {
            let woken = match wake.take() {
                Some(wake) => wake,
                None => self.wait(body, &mut stopping, &mut deleted).await,
            };
            if self.handle(woken).await? == Flow::Ends {
                return Ok(());
            }
        }
    }

    async fn wait(
        &mut self,
        body: &mut BodyDataStream,
        stopping: &mut watch::Receiver<bool>,
        deleted: &mut watch::Receiver<bool>,
    ) -> Wake {
        let wakes_for_stop = self.deadlines.stop.is_none();
        let holds_nothing = self.deadlines.held.is_none();
        let open = self.open.as_ref().map(|open| &open.fragment);
        let overtaken = async {
            match open {
                Some(fragment) => fragment.overtaken().await,
                None => std::future::pending().await,
            }
        };
        let reads = self.reads();
        let share = self.open.as_ref().map(|open| &open.share);
        let waiting = &self.waiting;
        let given_up = async {
            match share {
                Some(share) => tokio::select! {
                    () = share.given_up() => {}
                    () = waiting.given_up() => {}
                },
                None => waiting.given_up().await,
            }
        };
        tokio::select! {
            biased;
            () = turned_true(deleted) => Wake::Deleted,
            () = given_up => Wake::GivenUp,
            () = turned_true(stopping), if wakes_for_stop => Wake::Stopping,
            () = overtaken, if holds_nothing => Wake::Overtaken,
            Some(stored) = self.storing.next() => Wake::Stored(stored),
            () = sleep_until(self.deadlines.next()) => Wake::Timer,
            bytes = body.next(), if reads => match bytes {
                Some(Ok(bytes)) => Wake::Bytes(bytes),
                Some(Err(_)) => Wake::Lost,
                None => Wake::EndOfBody,
            },
        }
    }

    /// Whether the body is read: not while the disk is behind.
    fn reads(&self) -> bool {
        self.storing.len() < UNSTORED_FRAGMENTS_MAX
    }

    async fn handle(&mut self, wake: Wake) -> Result<Flow, Refused> {
        match wake {
            Wake::Bytes(bytes) => {
                let (now, len) = (Instant::now(), bytes.len() as u64);
                self.app.metrics().ingest_bytes.inc_by(len);
                self.deadlines.heard(now);
                self.cutter.push(bytes, self.app.clock().now_ms());
                let mut stepped = false;
                while let Some(step) = self.cutter.next()? {
                    stepped = true;
                    // The fragment's own share counts what the step hands on.
                    self.waiting.set(0);
                    self.step(step).await?;
                }
                let waiting = self.cutter.waiting_bytes();
                self.waiting.set(waiting);
                self.deadlines.element(now, len, waiting > 0 && !stepped);
                self.deadlines
                    .pause(Instant::now(), self.cutter.ends_by_itself());
            }
            Wake::EndOfBody => {
                while let Some(step) = self.cutter.finish()? {
                    self.step(step).await?;
                }
                return Ok(Flow::Ends);
            }
            Wake::Lost => return self.lost("the connection broke"),
            Wake::Stored(stored) => self.stored(stored).await?,
            Wake::Timer => return self.timer(Instant::now()).await,
            Wake::Overtaken => self.deadlines.holds_back(Instant::now()),
            Wake::Stopping => self.deadlines.stop = Some(Instant::now() + STOP_GRACE),
            Wake::Deleted => return Err(Refused::new(AckError::StreamNotActive, "deleted")),
            Wake::GivenUp => {
                let why = "the largest fragment when memory for open ones ran out";
                return Err(Refused::new(AckError::InternalError, why));
            }
        }
        // A server that stops lets a fragment end, and begins no other.
        let stopped = self.deadlines.stop.is_some() && self.open.is_none();
        Ok(if stopped { Flow::Ends } else { Flow::Goes })
    }

    async fn step(&mut self, step: Step) -> Result<(), Refused> {
        match step {
            Step::Begin(beginning) => self.begin(beginning).await?,
            Step::Media(bytes) => {
                if let Some(open) = &mut self.open {
                    open.cluster_bytes += bytes.len() as u64;
                }
                self.grow(bytes);
            }
            Step::Tags(bytes) => self.grow(bytes),
            Step::End { length_ms } => self.end(length_ms).await,
        }
        Ok(())
    }

    async fn begin(&mut self, beginning: Beginning) -> Result<(), Refused> {
        if self.deadlines.stop.is_some() {
            return self.lost("the server stops").map(drop);
        }
        if self.deadlines.is_old() {
            return self.refuse_for_age(&beginning).await;
        }
        let producer_ms = beginning
            .time
            .as_ms()
            .saturating_add(self.settings.start_ms);
        if producer_ms > PRODUCER_MS_MAX {
            let why = format!("a fragment at {producer_ms} ms, beyond the year 2554");
            return Err(Refused::new(AckError::InvalidProducerTimestamp, why));
        }
        let fragment = self
            .number(producer_ms, &beginning)
            .await
            .map_err(|error| Refused::new(error.ack_error(), error.to_string()))?;
        let acked = AckedFragment {
            timecode: beginning.timecode,
            number: FragmentNumber::from_parts(fragment.number),
        };
        let share = self.app.budget().share();
        self.ack(Ack::Buffering(acked.clone())).await;
        self.open = Some(Open {
            fragment,
            acked,
            cluster_bytes: 0,
            share,
        });
        let faults = self.settings.faults.as_mut();
        match faults.and_then(SessionFaults::begin_fragment) {
            Some(error) => Err(Refused::new(error, "a fault on purpose")),
            None => Ok(()),
        }
    }

    /// Gives the fragment its number and its place in the ring.
    async fn number(
        &mut self,
        producer_ms: u64,
        beginning: &Beginning,
    ) -> Result<Arc<Fragment>, StoreError> {
        let (store, stream) = (self.app.store(), self.settings.stream);
        let stored = store.stream_by_id(stream).ok_or(StoreError::NoStream)?;
        let stored = stored.retention_hours > 0;
        loop {
            let begins = Begun {
                producer_ms,
                header: beginning.header.clone(),
                stored,
                at: Instant::now(),
            };
            let give_out = || store.try_begin_fragment(stream, beginning.arrived_ms);
            if let Some(fragment) = self.live.begin(begins, give_out)? {
                return Ok(fragment);
            }
            ask(store, move |store| store.prepare(stream)).await?;
        }
    }

    /// The first fragment that begins when the session is old: the producer sends it again over a
    /// new connection, and nothing that is complete.
    async fn refuse_for_age(&mut self, beginning: &Beginning) -> Result<(), Refused> {
        let (store, stream) = (self.app.store(), self.settings.stream);
        let arrived_ms = beginning.arrived_ms;
        let number = ask(store, move |store| store.begin_fragment(stream, arrived_ms)).await;
        let number = number.map_err(|error| Refused::new(error.ack_error(), error.to_string()))?;
        self.last = Some(AckedFragment {
            timecode: beginning.timecode,
            number: FragmentNumber::from_parts(number),
        });
        Err(too_old())
    }

    fn grow(&mut self, bytes: Bytes) {
        if let Some(open) = &self.open {
            open.share.grow(bytes.len() as u64);
            self.live.grow(&open.fragment, bytes, Instant::now());
        }
    }

    async fn end(&mut self, length_ms: u64) {
        let Some(Open {
            fragment,
            acked,
            cluster_bytes,
            share,
        }) = self.open.take()
        else {
            return;
        };
        self.deadlines.held = None;
        share.complete();
        self.live.complete(&fragment, length_ms);
        self.app.metrics().fragments.inc();
        self.last = Some(acked.clone());
        self.ack(Ack::Received(acked.clone())).await;
        if !fragment.stored {
            return self.live.settle(&fragment, Instant::now());
        }
        let stored = self.app.store().append(NewFragment {
            stream: self.settings.stream,
            number: fragment.number,
            producer_ms: fragment.producer_ms,
            length_ms,
            header: fragment.header.clone(),
            cluster_bytes,
            body: fragment.chunks(),
        });
        self.storing.push_back(
            async move {
                let outcome = stored.await;
                drop(share);
                Stored {
                    fragment,
                    acked,
                    outcome,
                }
            }
            .boxed(),
        );
    }

    async fn stored(&mut self, stored: Stored) -> Result<(), Refused> {
        match stored.outcome {
            Ok(()) => {
                self.live.settle(&stored.fragment, Instant::now());
                // Behind one that failed nothing is confirmed: both will be sent again.
                if self.failed.is_none() {
                    self.ack(Ack::Persisted(stored.acked)).await;
                }
                Ok(())
            }
            Err(error) => {
                self.live.fail(&stored.fragment);
                self.failed.get_or_insert(stored.acked);
                Err(Refused::new(error.ack_error(), error.to_string()))
            }
        }
    }

    async fn timer(&mut self, now: Instant) -> Result<Flow, Refused> {
        if self.deadlines.stop.is_some_and(|at| at <= now) {
            return self.lost("the server stops");
        }
        if self.deadlines.is_too_old(now) {
            return Err(too_old());
        }
        if self.deadlines.held.is_some_and(|at| at <= now) {
            return self.lost("it held newer fragments of the stream back for 30 s");
        }
        if self.deadlines.pause.is_some_and(|at| at <= now) {
            self.deadlines.pause = None;
            self.cutter.end_by_pause()?;
            while let Some(step) = self.cutter.next()? {
                self.step(step).await?;
            }
        }
        if !self.reads() {
            // It is the disk that keeps the producer waiting.
            self.deadlines.unread(now);
        }
        if self.deadlines.idle <= now {
            return self.lost("silent for 30 s");
        }
        if self.deadlines.element.is_some_and(|(at, _)| at <= now) {
            let why = "an element that goes on with less than 1 KiB in 30 s";
            return Err(Refused::new(AckError::StreamReadError, why));
        }
        if self.deadlines.idle_ack <= now {
            self.deadlines.idle_ack = now + IDLE_ACK_INTERVAL;
            self.ack(Ack::Idle).await;
        }
        Ok(Flow::Goes)
    }

    /// The rest of the body will not come: an error if a fragment needs it.
    fn lost(&self, why: &str) -> Result<Flow, Refused> {
        if self.open.is_some() || self.cutter.in_fragment() {
            return Err(Refused::new(AckError::StreamReadError, why));
        }
        Ok(Flow::Ends)
    }

    /// A producer that is gone needs no ack, and its fragments are kept all the same.
    async fn ack(&mut self, ack: Ack) {
        if self.settings.acks {
            self.app.metrics().ack(&ack);
            let _ = self.acks.send(ack).await;
        }
    }
}

fn too_old() -> Refused {
    let why = "the connection is as old as it may get";
    Refused::new(AckError::MaxConnectionDurationReached, why)
}

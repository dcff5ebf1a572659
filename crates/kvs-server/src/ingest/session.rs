//! One PutMedia from its first byte to its last ack.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use kvs_protocol::{Ack, AckError, AckedFragment, FragmentNumber};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::budget::Share;
use super::cutter::{Beginning, Cutter, Step};
use super::fragment::Refused;
use crate::app::App;
use crate::live::{Fragment, LiveStream, Session as Place};
use crate::server::turned_true;
use crate::store::{NewFragment, StoreError, StreamId};

/// A body that is silent for so long is over.
const BODY_IDLE: Duration = Duration::from_secs(30);
/// How often a silent producer is told that it is still heard.
const IDLE_ACK_INTERVAL: Duration = Duration::from_secs(5);
/// A fragment that has all its frames is complete when nothing follows for so long.
const FRAGMENT_END_PAUSE: Duration = Duration::from_secs(1);
/// The age at which the service ends a session.
const SESSION_AGE_MAX: Duration = Duration::from_secs(45 * 60);
/// How long a fragment under way may go on when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(4);
/// How long the body is still read after an error, so that the last ack is not lost to a reset.
const LINGER: Duration = Duration::from_secs(2);
/// Fragments of one session on their way to the disk; beyond that, its body is not read.
const UNSTORED_FRAGMENTS_MAX: usize = 8;

/// What a session needs to know before its first byte.
#[derive(Debug)]
pub(super) struct SessionSettings {
    pub(super) stream: StreamId,
    pub(super) stored: bool,
    /// Producer time of the session's start, where its timecodes count from that.
    pub(super) start_ms: u64,
    /// Whether the producer wants acks.
    pub(super) acks: bool,
}

/// The session itself.
pub(super) struct Session {
    app: Arc<App>,
    live: Arc<LiveStream>,
    settings: SessionSettings,
    acks: mpsc::Sender<Ack>,
    cutter: Cutter,
    open: Option<Open>,
    /// The fragment that an error is about if none is open.
    last: Option<AckedFragment>,
    storing: FuturesUnordered<Pin<Box<dyn Future<Output = Stored> + Send>>>,
    deadlines: Deadlines,
    _place: Place,
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

#[derive(Debug)]
struct Deadlines {
    session: Instant,
    idle: Instant,
    idle_ack: Instant,
    pause: Option<Instant>,
    stop: Option<Instant>,
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
        place: Place,
        settings: SessionSettings,
        acks: mpsc::Sender<Ack>,
    ) -> Self {
        Self {
            app,
            live,
            settings,
            acks,
            cutter: Cutter::new(),
            open: None,
            last: None,
            storing: FuturesUnordered::new(),
            deadlines: Deadlines::new(Instant::now()),
            _place: place,
        }
    }

    /// Reads the body to its end; `first` is what had already been read of it.
    pub(super) async fn run(mut self, body: Body, first: Option<Bytes>) {
        let mut body = body.into_data_stream();
        let ended = self.receive(&mut body, first).await;
        if let Some(open) = self.open.take() {
            self.live.fail(&open.fragment);
            self.last = Some(open.acked);
        }
        while let Some(stored) = self.storing.next().await {
            // A second failure changes nothing: the session has ended.
            let _ = self.stored(stored).await;
        }
        let Err(refused) = ended else {
            return;
        };
        tracing::info!(id = refused.id.id(), why = %refused.why, "a PutMedia ended with an error");
        let (timecode, number) = self
            .last
            .take()
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
        first: Option<Bytes>,
    ) -> Result<(), Refused> {
        let mut stopping = self.app.stopping();
        let mut deleted = self.live.deleted();
        let mut wake = first.map(Wake::Bytes);
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
        let reads = self.storing.len() < UNSTORED_FRAGMENTS_MAX;
        let share = self.open.as_ref().map(|open| &open.share);
        let given_up = async {
            match share {
                Some(share) => share.given_up().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = turned_true(deleted) => Wake::Deleted,
            () = given_up => Wake::GivenUp,
            () = turned_true(stopping), if wakes_for_stop => Wake::Stopping,
            Some(stored) = self.storing.next() => Wake::Stored(stored),
            () = sleep_until(self.deadlines.next()) => Wake::Timer,
            bytes = body.next(), if reads => match bytes {
                Some(Ok(bytes)) => Wake::Bytes(bytes),
                Some(Err(_)) => Wake::Lost,
                None => Wake::EndOfBody,
            },
        }
    }

    async fn handle(&mut self, wake: Wake) -> Result<Flow, Refused> {
        match wake {
            Wake::Bytes(bytes) => {
                self.deadlines.heard(Instant::now());
                self.cutter.push(bytes, self.app.clock().now_ms());
                while let Some(step) = self.cutter.next()? {
                    self.step(step).await?;
                }
                self.deadlines.pause(self.cutter.ends_by_itself());
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
        let store = self.app.store();
        let producer_ms = beginning
            .time
            .as_ms()
            .saturating_add(self.settings.start_ms);
        let fragment = self
            .live
            .begin(producer_ms, beginning.header, || {
                store.begin_fragment(self.settings.stream, beginning.arrived_ms)
            })
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
        Ok(())
    }

    fn grow(&mut self, bytes: Bytes) {
        if let Some(open) = &self.open {
            open.share.grow(bytes.len() as u64);
            self.live.grow(&open.fragment, bytes);
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
        self.live.complete(&fragment, length_ms);
        self.last = Some(acked.clone());
        self.ack(Ack::Received(acked.clone())).await;
        if !self.settings.stored {
            return self.live.settle(&fragment);
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
        self.storing.push(
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
                self.live.settle(&stored.fragment);
                self.ack(Ack::Persisted(stored.acked)).await;
                Ok(())
            }
            Err(error) => {
                self.live.fail(&stored.fragment);
                self.last = Some(stored.acked);
                Err(Refused::new(error.ack_error(), error.to_string()))
            }
        }
    }

    async fn timer(&mut self, now: Instant) -> Result<Flow, Refused> {
        if self.deadlines.stop.is_some_and(|at| at <= now) {
            return self.lost("the server stops");
        }
        if self.deadlines.session <= now {
            let why = "open for 45 minutes";
            return Err(Refused::new(AckError::MaxConnectionDurationReached, why));
        }
        if self.deadlines.pause.is_some_and(|at| at <= now) {
            self.deadlines.pause = None;
            self.cutter.end_by_pause()?;
            while let Some(step) = self.cutter.next()? {
                self.step(step).await?;
            }
        }
        if self.deadlines.idle <= now {
            return self.lost("silent for 30 s");
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
            let _ = self.acks.send(ack).await;
        }
    }
}

impl Deadlines {
    fn new(now: Instant) -> Self {
        Self {
            session: now + SESSION_AGE_MAX,
            idle: now + BODY_IDLE,
            idle_ack: now + IDLE_ACK_INTERVAL,
            pause: None,
            stop: None,
        }
    }

    fn heard(&mut self, now: Instant) {
        self.idle = now + BODY_IDLE;
        self.idle_ack = now + IDLE_ACK_INTERVAL;
    }

    /// Whether a pause from now on ends the fragment.
    fn pause(&mut self, ends: bool) {
        self.pause = ends.then(|| Instant::now() + FRAGMENT_END_PAUSE);
    }

    fn next(&self) -> Instant {
        let fixed = self.session.min(self.idle).min(self.idle_ack);
        [self.pause, self.stop]
            .into_iter()
            .flatten()
            .fold(fixed, Instant::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_answered_before_it_ends_the_session() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start);
        assert_eq!(deadlines.next(), start + IDLE_ACK_INTERVAL);
        deadlines.idle_ack = start + BODY_IDLE + IDLE_ACK_INTERVAL;
        assert_eq!(deadlines.next(), start + BODY_IDLE);
        let later = start + Duration::from_secs(20);
        deadlines.heard(later);
        assert_eq!(deadlines.next(), later + IDLE_ACK_INTERVAL);
        deadlines.pause(true);
        assert_eq!(deadlines.next(), start + FRAGMENT_END_PAUSE);
        deadlines.pause(false);
        let old = start + SESSION_AGE_MAX;
        deadlines.heard(old);
        assert_eq!(deadlines.next(), old, "no byte makes a session younger");
    }
}

//! What the source's threads, the driver and the connections share: the session, under one lock.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http_body::{Body, Frame};
use kvs_media::TrackNumber;
use tokio::sync::Notify;

use super::pieces::Pieces;
use super::session::{Input, LinkId, Output, Session, Transmit};
use crate::clock;

/// The session, and who waits for it.
///
/// The lock is held for as long as the session needs for one step, never while somebody waits and
/// never while the owner is told something.
#[derive(Debug)]
pub(super) struct Shared {
    core: Mutex<Core>,
    /// There is space in the buffer, or no reason to wait for it any more.
    pub(super) space: Condvar,
    /// The driver has something to do.
    driver: Notify,
}

/// What the lock guards.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) session: Session,
    /// Tracks whose source does not want to wait.
    pub(super) flushing: HashSet<TrackNumber>,
    pub(super) stopped: bool,
    /// The driver is done, and with it all work on the spool.
    gone: bool,
    /// Bodies that wait for bytes.
    bodies: Vec<(LinkId, Waker)>,
    /// When the driver will look by itself.
    armed: Option<Instant>,
}

impl Shared {
    pub(super) fn new(session: Session) -> Arc<Self> {
        Arc::new(Self {
            core: Mutex::new(Core {
                session,
                flushing: HashSet::new(),
                stopped: false,
                gone: false,
                bodies: Vec::new(),
                armed: None,
            }),
            space: Condvar::new(),
            driver: Notify::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        // The session's own invariants do not depend on a caller that panicked.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lock back after a change, and wakes whoever it concerns.
    pub(super) fn release(&self, mut core: MutexGuard<'_, Core>, now: Instant) {
        let bodies = std::mem::take(&mut core.bodies);
        let due = core.session.poll_timeout(now);
        let earlier = due.is_some_and(|due| core.armed.is_none_or(|armed| due < armed));
        let wake = earlier || core.session.has_output() || core.session.is_over();
        drop(core);
        bodies.into_iter().for_each(|(_, waker)| waker.wake());
        if wake {
            self.driver.notify_one();
        }
    }

    /// Tells the session what happened.
    pub(super) fn handle(&self, input: Input) {
        let now = now();
        let mut core = self.lock();
        core.session.handle(input, now);
        let room = !core.session.is_full();
        self.release(core, now);
        if room {
            self.space.notify_all();
        }
    }

    /// The driver is done.
    pub(super) fn leave(&self) {
        self.lock().gone = true;
        self.space.notify_all();
    }

    /// Waits until the driver is done, but no longer than that.
    pub(super) fn wait_until_gone(&self, at_most: Duration) {
        let waits = |core: &mut Core| !core.gone;
        let waited = self.space.wait_timeout_while(self.lock(), at_most, waits);
        // Whoever waited long enough goes on.
        drop(waited);
    }

    /// What the driver has to do: the outputs, and when to look again.
    pub(super) fn poll_outputs(&self, outputs: &mut Vec<Output>) -> (Option<Instant>, bool) {
        let now = now();
        let mut core = self.lock();
        outputs.extend(std::iter::from_fn(|| core.session.poll_output()));
        core.armed = core.session.poll_timeout(now);
        (core.armed, core.session.is_over())
    }

    /// Waits until the driver has something to do.
    pub(super) async fn changed(&self) {
        self.driver.notified().await;
    }

    fn poll_body(&self, link: LinkId, context: &mut Context<'_>) -> Poll<Option<Pieces>> {
        let now = now();
        let mut pieces = Pieces::default();
        let mut core = self.lock();
        let transmit = core.session.poll_transmit(link, now, &mut pieces);
        core.bodies.retain(|(waiting, _)| *waiting != link);
        if transmit == Transmit::Wait {
            core.bodies.push((link, context.waker().clone()));
        }
        if core.session.has_output() {
            self.driver.notify_one();
        }
        match transmit {
            Transmit::Write => Poll::Ready(Some(pieces)),
            Transmit::Wait => Poll::Pending,
            Transmit::End => Poll::Ready(None),
        }
    }
}

/// The time for the session.
pub(super) fn now() -> Instant {
    clock::monotonic().into_std()
}

/// The body of one PutMedia: whatever the session has for that connection, when the socket can
/// take it.
#[derive(Debug)]
pub(super) struct MediaBody {
    shared: Arc<Shared>,
    link: LinkId,
}

impl MediaBody {
    pub(super) fn new(shared: Arc<Shared>, link: LinkId) -> Self {
        Self { shared, link }
    }
}

impl Body for MediaBody {
    type Data = Pieces;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Pieces>, Infallible>>> {
        self.shared
            .poll_body(self.link, context)
            .map(|pieces| pieces.map(|pieces| Ok(Frame::data(pieces))))
    }
}

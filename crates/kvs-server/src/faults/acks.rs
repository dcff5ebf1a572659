//! What faults do to a PutMedia's acks: they stay away, come late, or say that something is wrong.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use kvs_protocol::{Ack, AckError};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Faults;
use super::active::Active;
use super::fault::Fault;
use super::what::What;

/// Acks that are held back; beyond that the session waits, as for a client that takes none. A
/// fragment of a second has three, so this is five minutes of them.
const LATE_ACKS_MAX: usize = 1000;

/// An ack's kind, `EventType` on the wire.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Event {
    Buffering,
    Received,
    Persisted,
    Error,
    Idle,
}

impl Event {
    fn of(ack: &Ack) -> Option<Self> {
        match ack {
            Ack::Buffering(_) => Some(Self::Buffering),
            Ack::Received(_) => Some(Self::Received),
            Ack::Persisted(_) => Some(Self::Persisted),
            Ack::Error { .. } => Some(Self::Error),
            Ack::Idle => Some(Self::Idle),
            _ => None,
        }
    }
}

/// The faults of one PutMedia.
#[derive(Clone, Debug)]
pub(crate) struct SessionFaults {
    faults: Faults,
    stream: String,
    begun: u64,
}

impl SessionFaults {
    pub(crate) fn new(faults: Faults, stream: &str) -> Self {
        Self {
            faults,
            stream: stream.to_owned(),
            begun: 0,
        }
    }

    /// The next fragment begins: the error that it is to have.
    pub(crate) fn begin_fragment(&mut self) -> Option<AckError> {
        self.begun += 1;
        let is_here = |fault: &Fault| match fault.what {
            What::AckError { fragment, .. } => {
                fragment.is_none_or(|fragment| fragment == self.begun)
            }
            _ => false,
        };
        let fired = self.fired(is_here);
        fired.first().and_then(|active| match active.fault.what {
            What::AckError { id, .. } => Some(AckError::from_id(id)),
            _ => None,
        })
    }

    fn fired(&self, is_meant: impl Fn(&Fault) -> bool) -> Vec<Arc<Active>> {
        self.faults
            .fired(|fault| fault.scope.takes_stream(Some(&self.stream)) && is_meant(fault))
    }

    /// The ack with those that hold it back, unless it stays away.
    fn meet(&self, ack: Ack) -> Option<Late> {
        let event = Event::of(&ack);
        let is_of = |of: Option<Event>| of.is_none() || of == event;
        let drops = |fault: &Fault| matches!(fault.what, What::AckDrop { event } if is_of(event));
        if !self.fired(drops).is_empty() {
            return None;
        }
        let delays =
            |fault: &Fault| matches!(fault.what, What::AckDelay { event, .. } if is_of(event));
        let now = Instant::now();
        let until = |active: Arc<Active>| match active.fault.what {
            What::AckDelay { delay_ms, .. } => (active, now + Duration::from_millis(delay_ms)),
            _ => (active, now),
        };
        Some(Late {
            ack,
            held_by: self.fired(delays).into_iter().map(until).collect(),
        })
    }
}

/// An ack on its way out.
struct Late {
    ack: Ack,
    held_by: Vec<(Arc<Active>, Instant)>,
}

impl Late {
    async fn due(&self) {
        for (active, until) in &self.held_by {
            tokio::select! {
                () = sleep_until(*until) => {}
                () = active.cleared() => {}
            }
        }
    }
}

/// The acks as they go out: in their order, so that one that is late makes late what follows it.
pub(crate) fn meet_faults(
    acks: mpsc::Receiver<Ack>,
    faults: SessionFaults,
) -> impl Stream<Item = Ack> + Send {
    let outgoing = Outgoing {
        acks,
        faults,
        late: VecDeque::new(),
        ended: false,
    };
    stream::unfold(outgoing, async |mut outgoing| {
        let ack = outgoing.next().await?;
        Some((ack, outgoing))
    })
}

struct Outgoing {
    acks: mpsc::Receiver<Ack>,
    faults: SessionFaults,
    late: VecDeque<Late>,
    ended: bool,
}

impl Outgoing {
    async fn next(&mut self) -> Option<Ack> {
        loop {
            if self.ended && self.late.is_empty() {
                return None;
            }
            let first = self.late.front();
            let due = async {
                match first {
                    Some(first) => first.due().await,
                    None => std::future::pending().await,
                }
            };
            let takes_more = !self.ended && self.late.len() < LATE_ACKS_MAX;
            tokio::select! {
                biased;
                () = due => return self.late.pop_front().map(|late| late.ack),
                ack = self.acks.recv(), if takes_more => match ack {
                    Some(ack) => self.late.extend(self.faults.meet(ack)),
                    None => self.ended = true,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn late_acks_come_in_order_each_late_by_the_same_time() {
        let faults = Faults::default();
        let json = br#"{"kind":"ack_delay","delay_ms":2000,"event":"ERROR","count":2}"#;
        faults
            .add(Fault::parse(json).expect("a good fault"))
            .expect("there is room");
        let (send, acks) = mpsc::channel(8);
        let mut out = std::pin::pin!(meet_faults(acks, SessionFaults::new(faults, "cam")));
        let error = Ack::Error {
            error: AckError::InternalError,
            timecode: None,
            number: None,
        };
        let start = Instant::now();
        let sending = tokio::spawn(async move {
            for ack in [error.clone(), Ack::Idle, error.clone(), error] {
                send.send(ack).await.expect("somebody listens");
                sleep_until(Instant::now() + Duration::from_millis(500)).await;
            }
        });
        let mut came = Vec::new();
        while let Some(ack) = out.next().await {
            came.push((Event::of(&ack), start.elapsed().as_millis()));
        }
        let (error, idle) = (Some(Event::Error), Some(Event::Idle));
        let expected = [(error, 2000), (idle, 2000), (error, 3000), (error, 3000)];
        let near = |(came, expected): (&(_, u128), &(_, u128))| {
            came.0 == expected.0 && came.1.abs_diff(expected.1) <= 2
        };
        assert!(came.iter().zip(&expected).all(near), "{came:?}");
        assert_eq!(came.len(), expected.len());
        sending.await.expect("it has sent all");
    }
}

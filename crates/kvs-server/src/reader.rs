//! Reads a stream on and on: what is stored, then what is live, without a gap or a duplicate.
//!
//! A reader holds a number and a few bytes, never a fragment: where the ring has dropped the one
//! it is in the middle of, it goes on in the store. So it may be as slow as it likes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use kvs_protocol::{FragmentNumber, FragmentParts};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::ask::ask;
use crate::live::{BEFORE_ALL, Follower, Fragment, LiveStream, Next, Phase};
use crate::stopping::turned_true;
use crate::store::{Store, StoreError, StreamId, TimeOrigin};
use crate::stored::StoredFragment;

/// Where a reader begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// With the fragment that is being received, or else the next one.
    Now,
    /// With the first fragment after this number.
    After(FragmentParts),
    /// With the fragment that was being captured, or received, at that time, or the next one.
    At {
        /// Whose clock tells the time.
        origin: TimeOrigin,
        /// The time.
        at_ms: u64,
    },
}

/// One thing read.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A fragment begins.
    Begin {
        /// Its number.
        number: FragmentParts,
        /// Its producer timestamp.
        producer_ms: u64,
        /// What stands before its cluster.
        header: Bytes,
    },
    /// The next of its bytes.
    Bytes(Bytes),
    /// It is complete.
    End {
        /// Its number.
        number: FragmentParts,
    },
    /// The reader was too slow for what is in memory alone: what it was to get next is gone, up to
    /// this fragment.
    Missed {
        /// Its number.
        number: FragmentParts,
    },
}

/// A place in a stream that moves on.
#[derive(Debug)]
pub(crate) struct StreamReader {
    store: Store,
    id: StreamId,
    follower: Follower,
    stopping: watch::Receiver<bool>,
    /// After how long without a fragment there are no more; `None` waits for ever.
    idle: Option<Duration>,
    /// The fragment that was begun last.
    last: FragmentParts,
    /// Whether this reader has been given that one.
    follows: bool,
    source: Option<Source>,
}

#[derive(Debug)]
enum Source {
    Live {
        fragment: Weak<Fragment>,
        index: usize,
        bytes: u64,
        /// Whether the store has it when memory no longer does.
        stored: bool,
    },
    Stored(StoredFragment),
}

impl StreamReader {
    /// A reader that begins there.
    pub(crate) async fn open(
        store: Store,
        id: StreamId,
        live: &Arc<LiveStream>,
        start: Start,
        idle: Option<Duration>,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, StoreError> {
        let follower = live.follow();
        let last = match start {
            Start::Now => live.now(),
            Start::After(number) => number,
            Start::At { origin, at_ms } => place(&store, id, live, origin, at_ms).await?,
        };
        Ok(Self {
            store,
            id,
            follower,
            stopping,
            idle,
            last,
            follows: false,
            source: None,
        })
    }

    /// What comes next. `None`: the stream is idle or deleted, the server stops, or the fragment
    /// that was being read has failed.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>, StoreError> {
        match self.source.take() {
            None => self.next_fragment().await,
            Some(Source::Stored(stored)) => self.next_stored(stored).await.map(Some),
            Some(Source::Live {
                fragment,
                index,
                bytes,
                stored,
            }) => self.next_live(fragment, index, bytes, stored).await,
        }
    }

    async fn next_fragment(&mut self) -> Result<Option<Piece>, StoreError> {
        // Nothing comes of a stream without its key, live or stored.
        self.store.check_key(self.id)?;
        let deadline = self.idle.map(|idle| Instant::now() + idle);
        loop {
            self.follower.mark_seen();
            let stream = self.follower.stream();
            match stream.next(self.last, self.follows, Instant::now()) {
                Next::Live(fragment) => {
                    (self.last, self.follows) = (fragment.number, true);
                    let begin = Piece::Begin {
                        number: fragment.number,
                        producer_ms: fragment.producer_ms,
                        header: fragment.header.clone(),
                    };
                    self.source = Some(Source::Live {
                        index: 0,
                        bytes: 0,
                        stored: fragment.stored,
                        fragment: Arc::downgrade(&fragment),
                    });
                    return Ok(Some(begin));
                }
                Next::Stored(up_to) => {
                    if let Some(begin) = self.open_stored(up_to).await? {
                        return Ok(Some(begin));
                    }
                }
                Next::Missed(number) => {
                    self.miss(number);
                    return Ok(Some(Piece::Missed { number }));
                }
                Next::NotYet => tokio::select! {
                    () = self.follower.changed() => {}
                    () = until(deadline) => return Ok(None),
                    () = turned_true(&mut self.stopping) => return Ok(None),
                },
                Next::Never => return Ok(None),
            }
        }
    }

    /// The next stored fragment up to that number; without one, `last` is that number.
    async fn open_stored(&mut self, up_to: FragmentParts) -> Result<Option<Piece>, StoreError> {
        let (id, last) = (self.id, self.last);
        let found = ask(&self.store, move |store| store.after(id, last)).await?;
        let Some(info) = found.filter(|info| info.number <= up_to) else {
            self.last = up_to;
            return Ok(None);
        };
        (self.last, self.follows) = (info.number, true);
        let (number, producer_ms) = (info.number, info.producer_ms);
        match StoredFragment::open(&self.store, id, number).await {
            Ok((header, stored)) => {
                self.source = Some(Source::Stored(stored));
                Ok(Some(Piece::Begin {
                    number,
                    producer_ms,
                    header,
                }))
            }
            // It has expired in between.
            Err(StoreError::NoFragment) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn next_stored(&mut self, mut stored: StoredFragment) -> Result<Piece, StoreError> {
        Ok(match stored.next().await? {
            Some(bytes) => {
                self.source = Some(Source::Stored(stored));
                Piece::Bytes(bytes)
            }
            None => Piece::End { number: self.last },
        })
    }

    async fn next_live(
        &mut self,
        weak: Weak<Fragment>,
        index: usize,
        bytes: u64,
        stored: bool,
    ) -> Result<Option<Piece>, StoreError> {
        loop {
            self.follower.mark_seen();
            let Some(fragment) = weak.upgrade() else {
                return match stored {
                    true => self.go_on_in_store(bytes).await,
                    false => {
                        self.miss(self.last);
                        Ok(None)
                    }
                };
            };
            match fragment.chunk(index) {
                (Some(chunk), _) => {
                    self.source = Some(Source::Live {
                        fragment: weak,
                        index: index + 1,
                        bytes: bytes + chunk.len() as u64,
                        stored,
                    });
                    return Ok(Some(Piece::Bytes(chunk)));
                }
                (None, Phase::Complete) => return Ok(Some(Piece::End { number: self.last })),
                (None, Phase::Released) => return self.go_on_in_store(bytes).await,
                (None, Phase::Failed) => return Ok(None),
                (None, Phase::Growing) => {
                    drop(fragment);
                    self.follower.changed().await;
                }
            }
        }
    }

    /// It was in memory alone, and the reader too slow for it. In the middle of a fragment that is
    /// the end, as there is no place for a document that would say so.
    fn miss(&self, number: FragmentParts) {
        let (id, number) = (self.id.0, FragmentNumber::from_parts(number));
        tracing::warn!(
            stream = id,
            up_to = number.as_str(),
            "a GetMedia was too slow for what is kept in memory alone and missed fragments"
        );
    }

    /// The ring has let go of the fragment: the store has it, or it has failed.
    async fn go_on_in_store(&mut self, bytes: u64) -> Result<Option<Piece>, StoreError> {
        match StoredFragment::open(&self.store, self.id, self.last).await {
            Ok((_, mut stored)) => {
                stored.skip(bytes).await?;
                self.next_stored(stored).await.map(Some)
            }
            Err(StoreError::NoFragment) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The place just before the last fragment that covers that time, or before the next later one.
async fn place(
    store: &Store,
    id: StreamId,
    live: &LiveStream,
    origin: TimeOrigin,
    at_ms: u64,
) -> Result<FragmentParts, StoreError> {
    let mut found = live.ending_from(origin, at_ms);
    let stored = ask(store, move |store| store.containing(id, origin, at_ms)).await?;
    found.extend(stored.map(|info| (info.start_ms(origin), info.number)));
    let covers = found
        .iter()
        .filter(|(start_ms, _)| *start_ms <= at_ms)
        .max();
    Ok(match covers.or_else(|| found.iter().min()) {
        Some((_, number)) => just_before(*number),
        None => live.newest(),
    })
}

/// A number below `number` and above that of every fragment before it.
fn just_before(number: FragmentParts) -> FragmentParts {
    match number.sequence.checked_sub(1) {
        Some(sequence) => FragmentParts {
            sequence,
            // The store orders by server time first, and that never goes back in a stream.
            server_ms: number.server_ms,
            random: u32::MAX,
        },
        None => BEFORE_ALL,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

//! The queues between the reader and the pads: bounded in bytes, flushed all at once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use kvs_client::{FragmentEnd, FragmentInfo};
use kvs_media::{Frame, ProducerTime};
use tokio::sync::Notify;

use super::timeline::Anchor;
use crate::lock::lock;

/// What one queue holds before its pad is called slow: four seconds of 4 Mb/s.
const QUEUE_BYTES: usize = 2 << 20;

/// What all queues hold together at most, while one full queue waits for another track that has
/// nothing yet: one fragment of the largest size, and some.
const QUEUES_BYTES_MAX: usize = 64 << 20;

/// What an entry weighs besides its frame's bytes, so that a track of tiny items is bounded too.
const ENTRY_BYTES: usize = 256;

/// One frame on its way to its pad.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) frame: Frame,
    pub(super) fragment: Arc<FragmentInfo>,
    pub(super) anchor: Arc<Anchor>,
}

/// What a pad's task takes out of its queue.
#[derive(Debug)]
pub(super) enum Entry {
    Event(gst::Event),
    Sample(Sample),
    /// The track has nothing in this span of time.
    Gap {
        anchor: Arc<Anchor>,
        from: ProducerTime,
        until: ProducerTime,
    },
    /// The fragment has ended on this pad. The last pad that takes its clone out owns the value.
    FragmentEnd(Arc<FragmentEnd>),
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Sample(sample) => ENTRY_BYTES + sample.frame.data.len(),
            _ => ENTRY_BYTES,
        }
    }
}

/// The reader that pushes belongs to an earlier epoch: there was a seek, an EOS or a stop.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stale;

/// All queues of an element. Every reader has an epoch, which is checked under the lock: nothing
/// of an earlier reader gets in after [`flush`](Self::flush) or [`finish`](Self::finish).
#[derive(Debug)]
pub(super) struct Queues {
    state: Mutex<State>,
    filled: Condvar,
    space: Notify,
}

#[derive(Debug)]
struct State {
    epoch: u64,
    flushing: bool,
    /// Live frames wait for PLAYING; those of the archive preroll in PAUSED.
    samples_held: bool,
    queues: Vec<Queue>,
}

#[derive(Debug)]
struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
    linked: bool,
    /// Downstream wants no more: what is pushed is dropped.
    closed: bool,
}

impl Queues {
    pub(super) fn new(samples_held: bool) -> Self {
        Self {
            state: Mutex::new(State {
                epoch: 0,
                flushing: false,
                samples_held,
                queues: Vec::new(),
            }),
            filled: Condvar::new(),
            space: Notify::new(),
        }
    }

    /// Adds a queue and gives its index.
    pub(super) fn add(&self, epoch: u64) -> Result<usize, Stale> {
        let mut state = self.current(epoch)?;
        state.queues.push(Queue {
            entries: VecDeque::new(),
            bytes: 0,
            linked: true,
            closed: false,
        });
        Ok(state.queues.len() - 1)
    }

    /// Waits for room in the queue, then puts the entry in.
    pub(super) async fn push(&self, epoch: u64, queue: usize, entry: Entry) -> Result<(), Stale> {
        loop {
            {
                let mut state = self.current(epoch)?;
                if state.has_room(queue) {
                    state.queues[queue].put(entry);
                    self.filled.notify_all();
                    return Ok(());
                }
            }
            self.space.notified().await;
        }
    }

    /// Puts an entry into a queue without waiting for room.
    pub(super) fn put(&self, epoch: u64, queue: usize, entry: Entry) -> Result<(), Stale> {
        self.current(epoch)?.queues[queue].put(entry);
        self.filled.notify_all();
        Ok(())
    }

    /// Puts an entry into every open queue at once, without waiting for room.
    pub(super) fn push_all(&self, epoch: u64, entry: impl Fn() -> Entry) -> Result<(), Stale> {
        self.current(epoch)?.put_all(entry);
        self.filled.notify_all();
        Ok(())
    }

    /// Like [`push_all`](Self::push_all), with clones of one value of which nobody keeps another:
    /// whoever takes the last clone out owns the value.
    pub(super) fn push_shared<T>(
        &self,
        epoch: u64,
        value: T,
        entry: impl Fn(Arc<T>) -> Entry,
    ) -> Result<(), Stale> {
        let mut state = self.current(epoch)?;
        let value = Arc::new(value);
        state.put_all(|| entry(value.clone()));
        // Dropped before the lock is given up: no pad can have taken its clone out yet.
        drop(value);
        drop(state);
        self.filled.notify_all();
        Ok(())
    }

    /// The next entry of a queue; `None` once the queues are flushing.
    pub(super) fn pop(&self, queue: usize) -> Option<Entry> {
        let mut state = self.lock();
        loop {
            if state.flushing {
                return None;
            }
            let held = state.samples_held;
            if let Some(entry) = state.queues[queue].take(held) {
                self.space.notify_one();
                return Some(entry);
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether live frames wait, since the pipeline is not playing.
    pub(super) fn hold_samples(&self, held: bool) {
        self.lock().samples_held = held;
        self.filled.notify_all();
    }

    /// A pad that nobody is linked to takes frames, but no other queue waits for it.
    pub(super) fn set_linked(&self, queue: usize, linked: bool) {
        self.lock().queues[queue].linked = linked;
    }

    /// Drops what a queue holds and all that comes: its pad takes no more until the next flush.
    pub(super) fn close(&self, queue: usize) {
        let queue = &mut self.lock().queues[queue];
        queue.clear();
        queue.closed = true;
        self.space.notify_one();
    }

    /// Ends the epoch and puts `eos` behind what every queue holds; gives how many there are. A
    /// reader says which epoch is its own; whoever ends it from outside does not.
    pub(super) fn finish(
        &self,
        epoch: Option<u64>,
        eos: impl Fn() -> Entry,
    ) -> Result<usize, Stale> {
        let mut state = self.lock();
        if state.flushing || epoch.is_some_and(|epoch| epoch != state.epoch) {
            return Err(Stale);
        }
        state.epoch += 1;
        state.put_all(eos);
        self.filled.notify_all();
        self.space.notify_one();
        Ok(state.queues.len())
    }

    /// Ends the epoch, empties all queues and frees whoever waits, until [`resume`](Self::resume).
    pub(super) fn flush(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.flushing = true;
        for queue in &mut state.queues {
            queue.clear();
            queue.closed = false;
        }
        self.filled.notify_all();
        self.space.notify_one();
    }

    /// Ends flushing and gives the epoch of the next reader.
    pub(super) fn resume(&self) -> u64 {
        let mut state = self.lock();
        state.flushing = false;
        state.epoch
    }

    fn current(&self, epoch: u64) -> Result<MutexGuard<'_, State>, Stale> {
        let state = self.lock();
        if state.flushing || state.epoch != epoch {
            return Err(Stale);
        }
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Multiqueue's rule: a full queue grows while another linked one is empty, since its pad may
    /// be waiting for just that other one; but not beyond what all may hold.
    fn has_room(&self, index: usize) -> bool {
        let queue = &self.queues[index];
        if queue.closed || queue.bytes < QUEUE_BYTES {
            return true;
        }
        let another_starves = self
            .queues
            .iter()
            .any(|other| other.linked && !other.closed && other.entries.is_empty());
        let bytes: usize = self.queues.iter().map(|queue| queue.bytes).sum();
        another_starves && bytes < QUEUES_BYTES_MAX
    }

    fn put_all(&mut self, entry: impl Fn() -> Entry) {
        self.queues.iter_mut().for_each(|queue| queue.put(entry()));
    }
}

impl Queue {
    fn put(&mut self, entry: Entry) {
        if !self.closed {
            self.bytes += entry.bytes();
            self.entries.push_back(entry);
        }
    }

    fn take(&mut self, samples_held: bool) -> Option<Entry> {
        if samples_held && !matches!(self.entries.front(), Some(Entry::Event(_))) {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.bytes();
        Some(entry)
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use bytes::Bytes;
    use kvs_media::{FrameData, TrackNumber};

    use super::*;

    fn sample(bytes: usize) -> Entry {
        Entry::Sample(Sample {
            frame: Frame {
                track: TrackNumber::new(1).expect("a track number"),
                time: ProducerTime::from_ms(0),
                decode_time: None,
                duration_ns: None,
                key: true,
                data: FrameData::from(Bytes::from(vec![0; bytes])),
            },
            fragment: Arc::new(crate::kvssrc::timeline::tests::fragment(1, 0, 0)),
            anchor: Arc::new(Anchor::fixed(
                ProducerTime::from_ms(0),
                gst::ClockTime::ZERO,
            )),
        })
    }

    fn pushed(queues: &Queues, queue: usize, entry: Entry) -> Option<Result<(), Stale>> {
        match pin!(queues.push(0, queue, entry)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_full_queue_waits_until_its_pad_takes_something() {
        let queues = Queues::new(false);
        assert_eq!(queues.add(0), Ok(0));
        assert_eq!(pushed(&queues, 0, sample(QUEUE_BYTES)), Some(Ok(())));
        assert_eq!(pushed(&queues, 0, sample(1)), None);
        assert!(matches!(queues.pop(0), Some(Entry::Sample(_))));
        assert_eq!(pushed(&queues, 0, sample(1)), Some(Ok(())));
    }

    #[test]
    fn a_full_queue_grows_for_an_empty_linked_one_up_to_the_bound() {
        let queues = Queues::new(false);
        let (video, audio) = (queues.add(0).expect("now"), queues.add(0).expect("now"));
        for _ in 0..QUEUES_BYTES_MAX / QUEUE_BYTES {
            assert_eq!(pushed(&queues, video, sample(QUEUE_BYTES)), Some(Ok(())));
        }
        assert_eq!(pushed(&queues, video, sample(1)), None);
        assert_eq!(pushed(&queues, audio, sample(1)), Some(Ok(())));
    }

    #[test]
    fn nothing_grows_for_a_pad_that_nobody_linked() {
        let queues = Queues::new(false);
        let (video, audio) = (queues.add(0).expect("now"), queues.add(0).expect("now"));
        queues.set_linked(audio, false);
        assert_eq!(pushed(&queues, video, sample(QUEUE_BYTES)), Some(Ok(())));
        assert_eq!(pushed(&queues, video, sample(1)), None);
    }

    #[test]
    fn an_earlier_epoch_gets_nothing_in() {
        let queues = Queues::new(false);
        queues.add(0).expect("now");
        queues.flush();
        assert_eq!(pushed(&queues, 0, sample(1)), Some(Err(Stale)));
        assert!(queues.pop(0).is_none());
        assert_eq!(queues.resume(), 1);
        assert_eq!(pushed(&queues, 0, sample(1)), Some(Err(Stale)));
        let eos = || Entry::Event(gst::event::Eos::new());
        assert_eq!(queues.finish(Some(0), eos), Err(Stale));
        assert_eq!(queues.finish(None, eos), Ok(1));
        assert_eq!(queues.push_all(1, eos), Err(Stale));
        assert!(matches!(queues.pop(0), Some(Entry::Event(_))));
    }

    #[test]
    fn an_end_that_comes_during_a_flush_is_not_found_after_it() {
        let queues = Queues::new(false);
        queues.add(0).expect("now");
        queues.flush();
        let eos = || Entry::Event(gst::event::Eos::new());
        assert_eq!(queues.finish(None, eos), Err(Stale));
        queues.resume();
        assert!(queues.lock().queues[0].entries.is_empty());
    }

    #[test]
    fn live_samples_wait_for_playing_but_events_do_not() {
        let queues = Queues::new(true);
        queues.add(0).expect("now");
        let flush = || Entry::Event(gst::event::FlushStop::new(false));
        queues.push_all(0, flush).expect("now");
        assert_eq!(pushed(&queues, 0, sample(1)), Some(Ok(())));
        assert!(matches!(queues.pop(0), Some(Entry::Event(_))));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queues.pop(0));
            queues.hold_samples(false);
            let entry = waiting.join().expect("the thread ends");
            assert!(matches!(entry, Some(Entry::Sample(_))));
        });
    }

    #[test]
    fn a_closed_queue_drops_what_comes() {
        let queues = Queues::new(false);
        queues.add(0).expect("now");
        queues.close(0);
        for _ in 0..3 {
            assert_eq!(pushed(&queues, 0, sample(QUEUE_BYTES)), Some(Ok(())));
        }
        queues.flush();
        queues.resume();
        assert_eq!(queues.lock().queues[0].bytes, 0);
    }
}

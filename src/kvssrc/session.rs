//! A session: everything that lives between READY→PAUSED and PAUSED→READY.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, mpsc};

use gst::glib;
use gst::prelude::*;
use kvs_client::{Extent, ServiceError, Timestamp};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::KvsSrc;
use super::latency::Latency;
use super::pad;
use super::progress::{Progress, State};
use super::queue::{Entry, Queues, Stale};
use super::reader::Reader;
use super::report;
use super::settings::Config;
use super::tracks::ExposedTrack;
use crate::lock::lock;

/// One session. The element, the tasks of the pads and the reader's task share it.
pub(super) struct Session {
    pub(super) config: Config,
    pub(super) queues: Queues,
    pub(super) progress: Progress,
    pub(super) latency: Latency,
    pub(super) group: gst::GroupId,
    /// What the range of the archive spans, once it is known.
    pub(super) extent: OnceLock<Extent>,
    pub(super) flows: Mutex<gst_base::UniqueFlowCombiner>,
    element: glib::WeakRef<KvsSrc>,
    runtime: Handle,
    reader: Arc<tokio::sync::Mutex<Reader>>,
    control: Mutex<Control>,
    /// Held during a seek: one at a time.
    pub(super) seeking: Mutex<Seeking>,
}

#[derive(Default)]
struct Control {
    tracks: Vec<ExposedTrack>,
    segment: Segment,
    reading: Option<Reading>,
}

/// The segment of the present epoch.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) segment: gst::FormattedSegment<gst::ClockTime>,
    pub(super) seqnum: gst::Seqnum,
    /// Whether it begins at the fragment that contains its start.
    pub(super) snaps: bool,
    /// Whether the pads were told.
    pub(super) announced: bool,
}

impl Default for Segment {
    fn default() -> Self {
        Self {
            segment: gst::FormattedSegment::new(),
            seqnum: gst::Seqnum::next(),
            snaps: false,
            announced: false,
        }
    }
}

impl Segment {
    pub(super) fn event(&self) -> gst::Event {
        gst::event::Segment::builder(&self.segment)
            .seqnum(self.seqnum)
            .build()
    }
}

/// What is known of seeks.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    pub(super) last: Option<gst::Seqnum>,
    pub(super) stopped: bool,
}

/// A reader's task. `finished` is closed once the task, and whatever it runs on other threads,
/// has ended.
struct Reading {
    task: AbortHandle,
    finished: mpsc::Receiver<()>,
}

impl Reading {
    fn cancel(self) {
        self.task.abort();
        let _closed_without_a_message = self.finished.recv();
    }
}

impl Session {
    /// Starts reading.
    pub(super) fn start(element: &KvsSrc, config: Config) -> io::Result<Arc<Self>> {
        let runtime = crate::runtime::handle()?;
        let session = Arc::new(Self {
            queues: Queues::new(config.is_live()),
            progress: Progress::default(),
            latency: Latency::default(),
            group: gst::GroupId::next(),
            extent: OnceLock::new(),
            flows: Mutex::default(),
            element: element.downgrade(),
            runtime,
            reader: Arc::new(tokio::sync::Mutex::new(Reader::new(&config))),
            control: Mutex::default(),
            seeking: Mutex::default(),
            config,
        });
        session.read(0, None);
        Ok(session)
    }

    /// Starts the reader of an epoch, at a time of the archive if one is given.
    pub(super) fn read(self: &Arc<Self>, epoch: u64, target: Option<Timestamp>) {
        let (alive, finished) = mpsc::channel();
        let run = Run {
            session: self.clone(),
            epoch,
            alive,
        };
        let reader = self.reader.clone();
        let task = self.runtime.spawn(async move {
            reader.lock().await.run(&run, target).await;
        });
        self.control().reading = Some(Reading {
            task: task.abort_handle(),
            finished,
        });
    }

    /// Ends the reader, and waits until it has ended.
    pub(super) fn cancel_reader(&self) {
        let reading = self.control().reading.take();
        if let Some(reading) = reading {
            reading.cancel();
        }
    }

    /// Ends everything and takes the pads away. Whoever waits is freed at once.
    pub(super) fn stop(&self, element: &KvsSrc) {
        self.lock_seeking().stopped = true;
        self.queues.flush();
        self.cancel_reader();
        let tracks = std::mem::take(&mut self.control().tracks);
        for track in tracks {
            let pad = &track.pad;
            if pad.set_active(false).and(pad.stop_task()).is_err() {
                gst::warning!(super::imp::CAT, obj = pad, "The pad does not stop");
            }
            let _gone_if_the_application_took_it = element.remove_pad(pad);
        }
    }

    /// Ends reading, with EOS behind what the pads have. Gives how many pads there are. A reader
    /// ends its own epoch only.
    pub(super) fn finish(&self, epoch: Option<u64>) -> Result<usize, Stale> {
        let seqnum = self.segment().seqnum;
        let eos = || Entry::Event(gst::event::Eos::builder().seqnum(seqnum).build());
        let pads = self.queues.finish(epoch, eos)?;
        if let Some(reading) = &self.control().reading {
            reading.task.abort();
        }
        Ok(pads)
    }

    /// Adds tracks; the tasks of their pads start.
    pub(super) fn add_tracks(self: &Arc<Self>, tracks: &[ExposedTrack]) {
        self.control().tracks.extend_from_slice(tracks);
        for track in tracks {
            self.flows().add_pad(&track.pad);
            pad::start_task(self, track);
        }
    }

    /// The tracks that have pads.
    pub(super) fn tracks(&self) -> Vec<ExposedTrack> {
        self.control().tracks.clone()
    }

    /// The caps of a track have changed.
    pub(super) fn set_caps(&self, queue: usize, caps: &gst::Caps) {
        for track in &mut self.control().tracks {
            if track.queue == queue {
                track.caps = caps.clone();
            }
        }
    }

    /// The segment of the present epoch.
    pub(super) fn segment(&self) -> Segment {
        self.control().segment.clone()
    }

    pub(super) fn set_segment(&self, segment: Segment) {
        self.control().segment = segment;
    }

    /// The running time of the pipeline, if it has a clock and plays.
    pub(super) fn running_time(&self) -> Option<gst::ClockTime> {
        self.element.upgrade()?.current_running_time()
    }

    /// The element, unless it is going away.
    pub(super) fn element(&self) -> Option<KvsSrc> {
        self.element.upgrade()
    }

    pub(super) fn flows(&self) -> MutexGuard<'_, gst_base::UniqueFlowCombiner> {
        lock(&self.flows)
    }

    pub(super) fn lock_seeking(&self) -> MutexGuard<'_, Seeking> {
        lock(&self.seeking)
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        lock(&self.control)
    }
}

/// One run of the reader: the session as the reader's task sees it.
pub(super) struct Run {
    pub(super) session: Arc<Session>,
    pub(super) epoch: u64,
    alive: mpsc::Sender<()>,
}

impl Run {
    /// Runs what may call the application (a pad appears, a message is posted) on a thread of
    /// GStreamer's pool, never on the runtime: a slow callback would stall every element.
    pub(super) async fn on_element<R: Send + 'static>(
        &self,
        call: impl FnOnce(&Arc<Session>, &KvsSrc) -> R + Send + 'static,
    ) -> Result<R, Stale> {
        let element = self.session.element.upgrade().ok_or(Stale)?;
        let session = self.session.clone();
        let alive = self.alive.clone();
        let called = element.call_async_future(move |element| {
            let result = call(&session, element);
            drop(alive);
            result
        });
        drop(element);
        Ok(called.await)
    }

    /// Tells a change of state; a state that stays is told once.
    pub(super) async fn set_state(
        &self,
        state: State,
        error: Option<ServiceError>,
    ) -> Result<(), Stale> {
        if !self.session.progress.set_state(state) || !self.session.config.post_messages {
            return Ok(());
        }
        self.on_element(move |_, element| report::state(element, state, error.as_ref()))
            .await
    }
}

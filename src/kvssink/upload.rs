//! One upload: from NULL→READY, or the first buffer behind an EOS, to its last confirmation.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gst::prelude::*;
use kvs_client::producer::{Producer, ProducerState, Stats, TooManyTracks, TrackFormat};
use kvs_client::{Service, ServiceError, SpoolError};
use kvs_media::{TrackKind, TrackNumber};

use super::report::Reports;
use super::settings::{MediaSettings, Settings};
use super::spool::OpenSpool;
use super::timeline::Timeline;
use crate::lock::lock;
use crate::report_thread::ReportThread;
use crate::runtime;

/// Why an upload did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// A property makes no sense; the text says which, and what to do.
    #[error("{0}")]
    Setting(#[from] ServiceError),
    /// The spool cannot be used.
    #[error("spool-path, spool-key-file: {0}")]
    Spool(#[from] SpoolError),
    /// The system gives no threads.
    #[error("cannot start the threads of the upload: {0}; raise the limit of processes")]
    Threads(#[from] io::Error),
}

/// A producer with what belongs to it.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) producer: Producer,
    pub(super) timeline: Timeline,
    pub(super) reports: Arc<Reports>,
    /// Whether audio outside its segment is left out.
    pub(super) clips: bool,
    /// Whether it uploads only what it is asked for.
    pub(super) on_trigger: bool,
    media: MediaSettings,
    has_video: AtomicBool,
    ending: AtomicBool,
}

impl Upload {
    /// Starts to connect in the background.
    pub(super) fn start(
        element: &super::KvsSink,
        settings: &Settings,
        spool: &Mutex<OpenSpool>,
    ) -> Result<Arc<Self>, StartError> {
        let service = Service::new(settings.connection.config()?);
        let config = settings.producer_config()?;
        let spooling = lock(spool).get(settings, service.stream().name())?;
        let on_trigger = config.on_trigger;
        let runtime = runtime::handle()?;
        let reports = Arc::new(Reports::new(
            element.downgrade(),
            ReportThread::get()?,
            settings.post_messages,
            settings.get_kvs_metrics,
        ));
        let on_event = {
            let reports = Arc::clone(&reports);
            move |event| reports.take(event)
        };
        let producer = Producer::start(service, config, spooling, &runtime, on_event);
        Ok(Arc::new(Self {
            producer,
            timeline: settings.timeline(),
            reports,
            clips: settings.clips(),
            on_trigger,
            media: settings.media.clone(),
            has_video: AtomicBool::new(false),
            ending: AtomicBool::new(false),
        }))
    }

    /// A track as it is declared: what was set wins over what its caps say.
    pub(super) fn declare(&self, track: TrackFormat) -> TrackFormat {
        self.media.declare(track)
    }

    /// Adds a track.
    pub(super) fn add_track(&self, format: TrackFormat) -> Result<TrackNumber, TooManyTracks> {
        if matches!(format.kind, TrackKind::Video(_)) {
            self.has_video.store(true, Ordering::Release);
        }
        self.producer.add_track(format)
    }

    /// Whether a video track decides where fragments start.
    pub(super) fn has_video(&self) -> bool {
        self.has_video.load(Ordering::Acquire)
    }

    /// No more frames come: what is left goes up, then EOS is posted with this number.
    pub(super) fn finish(&self, seqnum: gst::Seqnum) {
        if !self.ending.swap(true, Ordering::AcqRel) {
            self.reports.ends_with(seqnum);
            self.producer.finish();
        }
    }

    /// Whether [`finish`](Self::finish) was called.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Whether it cannot go on. The report thread has told why.
    pub(super) fn has_failed(&self) -> bool {
        self.producer.stats().state == ProducerState::Failed
    }

    /// Ends every wait at once. What is not confirmed by now is reported.
    pub(super) fn stop(&self) {
        self.reports.no_eos();
        self.producer.stop();
    }
}

/// The producer's figures as the property `stats` shows them.
pub(super) fn stats_structure(stats: &Stats) -> gst::Structure {
    let ms =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    gst::Structure::builder("kvs-stats")
        .field("state", stats.state.name())
        .field("frames", stats.frames_in)
        .field("frames-sent", stats.frames_sent)
        .field("frames-persisted", stats.frames_confirmed)
        .field("frames-dropped", stats.frames_dropped)
        .field("bytes", stats.bytes_in)
        .field("bytes-sent", stats.bytes_sent)
        .field("fragments-buffering", stats.fragments_buffering)
        .field("fragments-received", stats.fragments_received)
        .field("fragments-persisted", stats.fragments_persisted)
        .field("fragments-refused", stats.fragments_refused)
        .field("connections", stats.connections)
        .field("connections-lost", stats.losses)
        .field("buffered-frames", stats.buffered_frames)
        .field("buffered-bytes", stats.buffered_bytes)
        .field("buffered-ms", ms(stats.buffered_span))
        .field("spool-fragments", stats.spool_files)
        .field("spool-bytes", stats.spool_bytes)
        .field("ack-delay-p50-ms", ms(stats.ack_delay_p50))
        .field("ack-delay-p99-ms", ms(stats.ack_delay_p99))
        .build()
}

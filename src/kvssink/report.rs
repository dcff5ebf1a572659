//! What the producer tells, as messages on the bus.
//!
//! Posted by the report thread alone, since a message may run the application's code.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use kvs_client::FragmentNumber;
use kvs_client::producer::{
    AckKind, DropReason, Dropped, FailReason, FragmentAck, FrameSpan, Pressure, ProducerEvent,
    ProducerState, Warning,
};

use super::imp::CAT;
use super::{KvsSink, messages, signals};
use crate::lock::lock;
use crate::report_thread::ReportThread;

/// Events of one element that wait for the report thread. Acks come a few times a second, so this
/// is minutes of an application that does not return from its handler.
const WAITING_MAX: usize = 1024;

/// The way from a producer to the bus.
#[derive(Debug)]
pub(super) struct Reports {
    element: glib::WeakRef<KvsSink>,
    thread: ReportThread,
    post_messages: bool,
    emit_metrics: bool,
    waiting: AtomicUsize,
    ending: Mutex<Ending>,
}

/// What has to be known to end well.
#[derive(Debug, Default)]
struct Ending {
    is_playing: bool,
    /// Set by the last pad's EOS; taken away again if the upload is stopped.
    seqnum: Option<gst::Seqnum>,
    is_drained: bool,
    lost: Option<FrameSpan>,
    /// A failing connection has been reported, and no connection has worked since.
    is_outage_known: bool,
}

impl Ending {
    /// The EOS message is due: like a base class, only while PLAYING.
    fn eos(&self) -> Option<gst::Seqnum> {
        self.seqnum.filter(|_| self.is_playing && self.is_drained)
    }
}

impl Reports {
    pub(super) fn new(
        element: glib::WeakRef<KvsSink>,
        thread: ReportThread,
        post_messages: bool,
        emit_metrics: bool,
    ) -> Self {
        Self {
            element,
            thread,
            post_messages,
            emit_metrics,
            waiting: AtomicUsize::new(0),
            ending: Mutex::default(),
        }
    }

    /// Takes an event on any thread and returns at once.
    pub(super) fn take(self: &Arc<Self>, event: ProducerEvent) {
        let is_last = matches!(
            event,
            ProducerEvent::Drained { .. } | ProducerEvent::Failed { .. }
        );
        let is_told = matches!(event, ProducerEvent::Dropped(_));
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING_MAX && !is_last && !is_told {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            gst::warning!(
                CAT,
                "the application blocks its message handler: an event is lost"
            );
            return;
        }
        let reports = Arc::clone(self);
        self.thread.run(move || {
            if let Some(element) = reports.element.upgrade() {
                reports.report(&element, event);
            }
            reports.waiting.fetch_sub(1, Ordering::AcqRel);
        });
    }

    /// Every pad has ended; EOS is to be posted once all is confirmed.
    pub(super) fn ends_with(&self, seqnum: gst::Seqnum) {
        lock(&self.ending).seqnum = Some(seqnum);
    }

    /// EOS is not to be posted any more.
    pub(super) fn no_eos(&self) {
        lock(&self.ending).seqnum = None;
    }

    /// The element is PLAYING, or no longer.
    pub(super) fn set_playing(&self, element: &KvsSink, is_playing: bool) {
        let eos = {
            let mut ending = lock(&self.ending);
            ending.is_playing = is_playing;
            ending.eos()
        };
        if let Some(seqnum) = eos {
            post(element, messages::eos(element, seqnum));
        }
    }

    fn report(&self, element: &KvsSink, event: ProducerEvent) {
        match event {
            ProducerEvent::State(state) => self.state(element, state),
            ProducerEvent::Ack(ack) => self.ack(element, &ack),
            ProducerEvent::Dropped(dropped) => self.dropped(element, dropped),
            ProducerEvent::Pressure(pressure) => self.pressure(element, pressure),
            ProducerEvent::KeyFrameWanted { track } => element.imp().want_key_frame(track),
            ProducerEvent::Warning(warning) => self.warning(element, &warning),
            ProducerEvent::Drained { unconfirmed } => self.drained(element, unconfirmed),
            ProducerEvent::Failed { reason, message } => failed(element, reason, &message),
            _ => {}
        }
    }

    fn state(&self, element: &KvsSink, state: ProducerState) {
        gst::info!(CAT, obj = element, "the upload is {state}");
        if state == ProducerState::Streaming {
            lock(&self.ending).is_outage_known = false;
        }
        if self.post_messages {
            post(element, messages::state(element, state));
        }
    }

    fn ack(&self, element: &KvsSink, ack: &FragmentAck) {
        let number = ack.number.as_ref().map_or("", FragmentNumber::as_str);
        match ack.kind {
            AckKind::Error(error) => {
                gst::warning!(
                    CAT,
                    obj = element,
                    "the service refuses fragment {number}: {error}"
                );
                signals::stream_error(element, error.id(), &error.to_string());
            }
            kind => gst::log!(CAT, obj = element, "fragment {number}: {kind:?}"),
        }
        let structure = messages::fragment_ack(ack);
        signals::fragment_ack(element, &structure);
        if self.post_messages {
            post(element, messages::of_element(element, structure));
        }
        if self.emit_metrics
            && ack.kind == AckKind::Persisted
            && let Some(stats) = element.imp().stats()
        {
            signals::stream_client_metric(element, &stats);
        }
    }

    fn dropped(&self, element: &KvsSink, dropped: Dropped) {
        gst::warning!(
            CAT,
            obj = element,
            "lost: {}, since {}",
            dropped.span,
            dropped.why
        );
        // Nobody could decode what precedes the first key frame, so it is no loss.
        // What was not confirmed when the application stopped may well be stored.
        let is_loss = !matches!(
            dropped.why,
            DropReason::BeforeKeyFrame | DropReason::Stopped
        );
        if is_loss {
            let mut ending = lock(&self.ending);
            ending.lost = Some(FrameSpan::join(ending.lost, dropped.span));
        }
        if self.post_messages {
            post(element, messages::dropped(element, &dropped));
        }
        if dropped.why == DropReason::Stopped {
            gst::element_warning!(
                element,
                gst::ResourceError::Write,
                ("stopped before the service confirmed {}", dropped.span)
            );
        }
    }

    fn pressure(&self, element: &KvsSink, pressure: Pressure) {
        gst::warning!(CAT, obj = element, "{pressure}");
        if self.post_messages {
            post(element, messages::pressure(element, pressure));
        }
    }

    fn warning(&self, element: &KvsSink, warning: &Warning) {
        gst::warning!(CAT, obj = element, "{warning}");
        if matches!(warning, Warning::Retry { .. }) {
            // An outage may take hours: the bus hears of it once, the log each time.
            let was_known = std::mem::replace(&mut lock(&self.ending).is_outage_known, true);
            if was_known {
                return;
            }
        }
        gst::element_warning!(element, gst::ResourceError::Write, ("{warning}"));
    }

    fn drained(&self, element: &KvsSink, unconfirmed: Option<FrameSpan>) {
        if let Some(span) = unconfirmed {
            gst::element_warning!(
                element,
                gst::ResourceError::Write,
                ("the service did not confirm {span} in time; they may be lost. \
                     Raise stop-stream-timeout, or look at the service's log")
            );
        }
        let (eos, lost) = {
            let mut ending = lock(&self.ending);
            ending.is_drained = true;
            (ending.eos(), ending.lost.take())
        };
        if let Some(span) = lost {
            gst::element_error!(
                element,
                gst::ResourceError::Write,
                ("{span} were lost; the messages kvs-dropped before say why")
            );
        }
        if let Some(seqnum) = eos {
            post(element, messages::eos(element, seqnum));
        }
    }
}

fn failed(element: &KvsSink, reason: FailReason, message: &str) {
    let error = match reason {
        FailReason::NoStream => gst::ResourceError::NotFound,
        FailReason::Denied => gst::ResourceError::NotAuthorized,
        FailReason::Unreachable => gst::ResourceError::OpenWrite,
        _ => gst::ResourceError::Write,
    };
    signals::stream_error(element, 0, message);
    gst::element_error!(element, error, ("{message}"));
}

fn post(element: &KvsSink, message: gst::Message) {
    // Without a bus there is nobody to tell.
    let _no_bus = element.post_message(message);
}

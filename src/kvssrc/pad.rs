//! A pad: its events, its task, and the moment at which a frame becomes a buffer.

use std::sync::{Arc, Weak};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::buffer;
use super::imp;
use super::queue::{Entry, Sample};
use super::report;
use super::session::Session;
use super::tracks::{ExposedTrack, Family};
use super::{KvsSrc, imp::CAT};

/// Makes a pad that answers through its element.
pub(super) fn new(element: &KvsSrc, family: Family, name: &str) -> gst::Pad {
    let template = element
        .pad_template(family.template_name())
        .expect("the class has a template for each family");
    gst::Pad::builder_from_template(&template)
        .name(name)
        .query_function(|pad, parent, query| {
            imp::KvsSrc::catch_panic_pad_function(
                parent,
                || false,
                |imp| imp.answer(query) || gst::Pad::query_default(pad, Some(&*imp.obj()), query),
            )
        })
        .event_function(|pad, parent, event| {
            imp::KvsSrc::catch_panic_pad_function(
                parent,
                || false,
                |imp| match event.view() {
                    gst::EventView::Seek(seek) => imp.seek(seek),
                    _ => gst::Pad::event_default(pad, Some(&*imp.obj()), event),
                },
            )
        })
        .build()
}

/// Activates a pad and gives it what has to stand before its first buffer, all but the segment.
pub(super) fn prepare(track: &ExposedTrack, start: gst::Event, collection: &gst::StreamCollection) {
    let pad = &track.pad;
    pad.use_fixed_caps();
    if pad.set_active(true).is_err() {
        gst::error!(CAT, obj = pad, "The pad cannot be activated");
    }
    pad.push_event(start);
    pad.push_event(gst::event::Caps::new(&track.caps));
    pad.push_event(gst::event::StreamCollection::new(collection));
}

/// Starts the task that pushes what comes through the pad's queue.
pub(super) fn start_task(session: &Arc<Session>, track: &ExposedTrack) {
    let mut task = Task {
        session: Arc::downgrade(session),
        pad: track.pad.downgrade(),
        queue: track.queue,
        family: track.family,
        discont: true,
        linked: true,
    };
    let started = track.pad.start_task(move || {
        if task.step().is_none()
            && let Some(pad) = task.pad.upgrade()
        {
            let _stopped_meanwhile = pad.pause_task();
        }
    });
    if started.is_err() {
        gst::error!(CAT, obj = track.pad, "The task of the pad cannot start");
    }
}

struct Task {
    /// Not held: messages about the task's state hold the task, and may lie unread for long.
    session: Weak<Session>,
    pad: glib::WeakRef<gst::Pad>,
    queue: usize,
    family: Family,
    discont: bool,
    linked: bool,
}

impl Task {
    /// Pushes one entry; `None` if there is nothing more to push.
    fn step(&mut self) -> Option<()> {
        let pad = self.pad.upgrade()?;
        let session = self.session.upgrade()?;
        match session.queues.pop(self.queue)? {
            Entry::Event(event) => {
                let last = event.type_() == gst::EventType::Eos;
                self.discont |= event.type_() == gst::EventType::Segment;
                pad.push_event(event);
                (!last).then_some(())
            }
            Entry::Sample(sample) => self.push(&session, &pad, sample),
            Entry::Gap {
                anchor,
                from,
                until,
            } => {
                let pts = anchor.pts(from, || now(&session));
                let duration = gst::ClockTime::from_nseconds(until.saturating_ns_since(from));
                pad.push_event(gst::event::Gap::builder(pts).duration(duration).build());
                Some(())
            }
            Entry::FragmentEnd(end) => {
                if let Some(end) = Arc::into_inner(end) {
                    session.progress.fragment(&end);
                    if session.config.post_messages
                        && let Some(element) = session.element()
                    {
                        report::fragment(&element, &end);
                    }
                }
                Some(())
            }
        }
    }

    fn push(&mut self, session: &Session, pad: &gst::Pad, sample: Sample) -> Option<()> {
        let pts = sample.anchor.pts(sample.frame.time, || now(session));
        let mut flags = gst::BufferFlags::empty();
        flags.set(gst::BufferFlags::DISCONT, self.discont);
        let delta = self.family == Family::Video && !sample.frame.key;
        flags.set(gst::BufferFlags::DELTA_UNIT, delta);
        session.progress.frame(sample.frame.data.len(), pts);
        if session.config.is_live()
            && session
                .running_time()
                .is_some_and(|now| session.latency.note(now.saturating_sub(pts)))
            && let Some(element) = session.element()
        {
            report::latency_changed(&element);
        }
        let pushed = pad.push(buffer::of_sample(sample, pts, flags));
        // Whoever is linked late begins in the middle.
        self.discont = pushed == Err(gst::FlowError::NotLinked);
        self.flowed(session, pad, pushed)
    }

    /// Joins a pad's flow with those of the others.
    fn flowed(
        &mut self,
        session: &Session,
        pad: &gst::Pad,
        pushed: Result<gst::FlowSuccess, gst::FlowError>,
    ) -> Option<()> {
        let linked = pushed != Err(gst::FlowError::NotLinked);
        if linked != self.linked {
            self.linked = linked;
            session.queues.set_linked(self.queue, linked);
        }
        if pushed == Err(gst::FlowError::Eos) {
            session.queues.close(self.queue);
            pad.push_event(gst::event::Eos::new());
        }
        let joined = session.flows().update_pad_flow(pad, pushed);
        match joined {
            Ok(_) if pushed == Err(gst::FlowError::Eos) => None,
            Ok(_) => Some(()),
            Err(gst::FlowError::Flushing) => None,
            Err(gst::FlowError::Eos) => finish(session),
            Err(error) => {
                if let Some(element) = session.element() {
                    report::flow_error(&element, error);
                }
                finish(session)
            }
        }
    }
}

/// Ends the session for all pads; the task has nothing more to push.
fn finish(session: &Session) -> Option<()> {
    // During a flush there is nothing to end: the next epoch finds out by itself.
    let _pads = session.finish(None);
    None
}

/// Where a live timeline starts: now, and behind all that was given before.
fn now(session: &Session) -> gst::ClockTime {
    let last = session.progress.last_pts();
    session.running_time().unwrap_or(last).max(last)
}

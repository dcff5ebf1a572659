//! A sink pad: its events and buffers, on the streaming thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use kvs_client::producer::{PushOutcome, Sample, TooManyTracks, TrackFormat};
use kvs_media::{TrackKind, TrackNumber};

use super::codec::Codec;
use super::imp::{CAT, KvsSink};
use super::input::{Input, InputError, running_ns};
use super::metadata::{self, Metadata};
use super::templates;
use super::trigger;
use super::upload::Upload;
use crate::lock::lock;

/// The pad's state. Its mutex is never held while frames are handed over or messages posted.
#[derive(Debug, Default)]
pub struct KvsSinkPad {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    input: Input,
    format: Option<TrackFormat>,
    /// The tags that have become metadata.
    tags: BTreeMap<String, String>,
    track: Option<Track>,
    has_started: bool,
    eos: Option<gst::Seqnum>,
}

/// The pad's track in an upload.
#[derive(Clone, Debug)]
struct Track {
    upload: Arc<Upload>,
    number: TrackNumber,
}

#[glib::object_subclass]
impl ObjectSubclass for KvsSinkPad {
    const NAME: &'static str = "GstKvsSinkPadRs";
    type Type = super::KvsSinkPad;
    type ParentType = gst::Pad;
}

impl ObjectImpl for KvsSinkPad {}
impl GstObjectImpl for KvsSinkPad {}
impl PadImpl for KvsSinkPad {}

impl KvsSinkPad {
    /// A buffer arrives.
    pub(super) fn chain(
        &self,
        element: &KvsSink,
        buffer: &gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if lock(&self.state).eos.is_some() {
            return Err(gst::FlowError::Eos);
        }
        let upload = element.open_upload().ok_or(gst::FlowError::Flushing)?;
        let taken = lock(&self.state).input.push(buffer, upload.clips);
        match taken {
            Ok(()) => self.send(element, &upload),
            Err(error) => Err(self.refuse(element, &error)),
        }
    }

    fn refuse(&self, element: &KvsSink, error: &InputError) -> gst::FlowError {
        let pad = self.obj();
        match error {
            InputError::NoCaps => {
                gst::element_imp_error!(element, gst::CoreError::Negotiation, ("{error}"));
                gst::FlowError::NotNegotiated
            }
            _ => {
                let text = format!("{}: {error}", pad.name());
                gst::element_imp_error!(element, gst::StreamError::Format, ("{text}"));
                gst::FlowError::Error
            }
        }
    }

    /// Hands over what is complete; blocks while there is no room, if the source can wait.
    fn send(
        &self,
        element: &KvsSink,
        upload: &Arc<Upload>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        loop {
            let next = self.next_sample(element, upload);
            let (number, sample) = match next {
                Ok(Some(sample)) => sample,
                Ok(None) => return Ok(gst::FlowSuccess::Ok),
                Err(error) => {
                    gst::element_imp_error!(element, gst::StreamError::WrongType, ("{error}"));
                    return Err(gst::FlowError::Error);
                }
            };
            match upload.producer.push(number, sample) {
                PushOutcome::Accepted => {}
                PushOutcome::Flushing => return Err(gst::FlowError::Flushing),
                // The report thread posts the ERROR. Told of an error, the source would post one
                // of its own, which says nothing and may come first.
                PushOutcome::Failed => return Err(gst::FlowError::Eos),
            }
        }
    }

    fn next_sample(
        &self,
        element: &KvsSink,
        upload: &Arc<Upload>,
    ) -> Result<Option<(TrackNumber, Sample)>, TooManyTracks> {
        let mut state = lock(&self.state);
        while let Some(mut frame) = state.input.next_frame() {
            if let Some(format) = frame.format.take() {
                state.set_format(upload.declare(format));
            }
            let Some(number) = state.track(upload)? else {
                gst::warning!(
                    CAT,
                    obj = self.obj(),
                    "left out: no parameter set came before it"
                );
                continue;
            };
            let cuts = state.is_video() || !upload.has_video();
            let now = element.now();
            let sample = state.input.place(frame, &upload.timeline, cuts, now);
            return Ok(Some((number, sample)));
        }
        Ok(None)
    }

    /// An event arrives.
    pub(super) fn event(&self, element: &KvsSink, event: gst::Event) -> bool {
        let pad = self.obj();
        gst::log!(CAT, obj = pad, "{event:?}");
        match event.view() {
            gst::EventView::StreamStart(start) => {
                {
                    let mut state = lock(&self.state);
                    state.has_started = true;
                    state.eos = None;
                }
                element.stream_starts(event.seqnum(), start.group_id());
            }
            gst::EventView::Caps(caps) => return self.set_caps(element, caps.caps()),
            gst::EventView::Segment(segment) => {
                return self.set_segment(element, segment.segment());
            }
            gst::EventView::CustomDownstream(_) | gst::EventView::CustomDownstreamOob(_) => {
                if let Some(added) = event.structure().and_then(metadata::of_event) {
                    return self.add_metadata(element, added);
                }
                if let Some(trigger) = event.structure().and_then(trigger::of_event) {
                    return element.take_trigger(trigger);
                }
            }
            gst::EventView::Tag(tag) => self.tags(element, tag.tag()),
            gst::EventView::Gap(gap) => self.gap(element, gap),
            gst::EventView::Eos(_) => self.ends(element, event.seqnum()),
            gst::EventView::FlushStart(_) => self.set_flushing(true),
            gst::EventView::FlushStop(stop) => self.flush_stops(stop.resets_time()),
            _ => {}
        }
        gst::Pad::event_default(&*pad, Some(&*element.obj()), event)
    }

    fn set_caps(&self, element: &KvsSink, caps: &gst::CapsRef) -> bool {
        let Some(upload) = element.open_upload() else {
            return false;
        };
        let codec = match templates::is_data(&*self.obj()) {
            true => Codec::data(caps),
            false => Codec::from_caps(caps),
        };
        match codec {
            Ok(codec) => lock(&self.state).input.set_caps(codec, caps),
            Err(error) => {
                gst::error!(CAT, obj = self.obj(), "{error}");
                return false;
            }
        }
        // Frames of the old caps first, in their own format.
        if self.send(element, &upload).is_err() {
            return false;
        }
        let mut state = lock(&self.state);
        if let Some(format) = state.input.early_format() {
            state.set_format(upload.declare(format));
            return state.track(&upload).is_ok();
        }
        true
    }

    fn set_segment(&self, element: &KvsSink, segment: &gst::Segment) -> bool {
        let problem = match segment.downcast_ref::<gst::ClockTime>() {
            Some(time) if time.rate() > 0.0 => {
                lock(&self.state).input.segment = Some(time.clone());
                return true;
            }
            Some(_) => "media that is played backwards cannot be sent: seek with a rate above 0",
            None => "the segment is not in time format: put a parser before the element",
        };
        gst::element_imp_error!(element, gst::StreamError::Format, ("{problem}"));
        false
    }

    /// Nothing comes for a while: other tracks need not wait for this one.
    fn gap(&self, element: &KvsSink, gap: &gst::event::Gap) {
        let (position, duration) = gap.get();
        let until = position.saturating_add(duration.unwrap_or_default());
        let state = lock(&self.state);
        let segment = state.input.segment.as_ref();
        let running = segment.and_then(|segment| running_ns(segment, until));
        let Some(track) = &state.track else { return };
        let timeline = &track.upload.timeline;
        let position = i64::try_from(until.nseconds()).ok();
        if let Some(at_ns) = timeline.choose(position, running) {
            let until = timeline.time(at_ns, false, element.now());
            track.upload.producer.gap(track.number, until);
        }
    }

    /// Describes the fragment that is open; `false` if it cannot be described so.
    fn add_metadata(&self, element: &KvsSink, added: Result<Metadata, String>) -> bool {
        let Some(upload) = element.open_upload() else {
            return false;
        };
        let added = added.and_then(|metadata| {
            let Metadata {
                name,
                value,
                persist,
            } = metadata;
            let added = upload.producer.add_metadata(&name, &value, persist);
            added.map_err(|error| error.to_string())
        });
        if let Err(error) = &added {
            gst::element_imp_warning!(element, gst::StreamError::Failed, ("metadata: {error}"));
        }
        added.is_ok()
    }

    fn tags(&self, element: &KvsSink, tags: &gst::TagListRef) {
        let changed = metadata::changed(tags, &mut lock(&self.state).tags);
        for metadata in changed {
            self.add_metadata(element, Ok(metadata));
        }
    }

    fn ends(&self, element: &KvsSink, seqnum: gst::Seqnum) {
        if let Some(upload) = element.upload() {
            if lock(&self.state).input.finish().is_err() {
                gst::warning!(
                    CAT,
                    obj = self.obj(),
                    "the last picture is lost: it does not end"
                );
            }
            if self.send(element, &upload).is_err() {
                gst::debug!(
                    CAT,
                    obj = self.obj(),
                    "EOS while flushing or after a failure"
                );
            }
        }
        lock(&self.state).eos = Some(seqnum);
        element.pad_ended(seqnum);
    }

    /// Other tracks need not wait for this one any more.
    pub(super) fn end_track(&self) {
        let state = lock(&self.state);
        if let (Some(track), Some(_)) = (&state.track, state.eos) {
            track.upload.producer.end_track(track.number);
        }
    }

    pub(super) fn has_track(&self) -> bool {
        lock(&self.state).track.is_some()
    }

    fn set_flushing(&self, is_flushing: bool) {
        let track = lock(&self.state).track.clone();
        if let Some(track) = track {
            track
                .upload
                .producer
                .set_flushing(track.number, is_flushing);
        }
    }

    fn flush_stops(&self, resets_time: bool) {
        let track = {
            let mut state = lock(&self.state);
            state.input.flush();
            state.eos = None;
            state.track.clone()
        };
        self.set_flushing(false);
        if let Some(track) = track {
            track.upload.producer.discontinuity(track.number);
            if resets_time {
                track.upload.timeline.flushed();
            }
        }
    }

    /// The element goes back to READY, or the pad goes away.
    pub(super) fn reset(&self) {
        let state = std::mem::take(&mut *lock(&self.state));
        if let Some(track) = state.track {
            track.upload.producer.remove_track(track.number);
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        lock(&self.state).eos.is_some()
    }

    /// Whether STREAM_START has come since the last call.
    pub(super) fn has_started(&self) -> bool {
        lock(&self.state).has_started
    }

    pub(super) fn forget_start(&self) {
        lock(&self.state).has_started = false;
    }

    pub(super) fn is_track(&self, number: TrackNumber) -> bool {
        let state = lock(&self.state);
        state
            .track
            .as_ref()
            .is_some_and(|track| track.number == number)
    }
}

/// Wall time, ns since 1970.
pub(super) fn wall_ns() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |duration| {
        u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
    })
}

impl State {
    fn is_video(&self) -> bool {
        let kind = self.format.as_ref().map(|format| format.kind);
        matches!(kind, Some(TrackKind::Video(_)))
    }

    fn set_format(&mut self, format: TrackFormat) {
        if self.format.as_ref() == Some(&format) {
            return;
        }
        if let Some(track) = &self.track {
            track
                .upload
                .producer
                .set_format(track.number, format.clone());
        }
        self.format = Some(format);
    }

    /// The pad's track in this upload, which is added at the first call; `None` without a format.
    fn track(&mut self, upload: &Arc<Upload>) -> Result<Option<TrackNumber>, TooManyTracks> {
        if let Some(track) = &self.track
            && Arc::ptr_eq(&track.upload, upload)
        {
            return Ok(Some(track.number));
        }
        let Some(format) = &self.format else {
            return Ok(None);
        };
        let number = upload.add_track(format.clone())?;
        self.track = Some(Track {
            upload: Arc::clone(upload),
            number,
        });
        Ok(Some(number))
    }
}

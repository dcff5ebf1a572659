//! kvssink as GObject and GStreamer see it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use kvs_client::producer::TRACKS_MAX;
use kvs_media::TrackNumber;

use super::pad::wall_ns;
use super::settings::Settings;
use super::spool::OpenSpool;
use super::timeline::Now;
use super::trigger;
use super::upload::{Upload, stats_structure};
use super::{KvsSinkPad, signals, templates};
use crate::lock::lock;
use crate::property::{text, text_of};
use crate::uri;

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "kvssink",
        gst::DebugColorFlags::empty(),
        Some("Kinesis Video Streams sink"),
    )
});

/// The element's state. No lock is held while messages are posted or frames handed over.
#[derive(Default)]
#[allow(missing_debug_implementations, reason = "it holds secrets")]
pub struct KvsSink {
    settings: Mutex<Settings>,
    uploads: Mutex<Uploads>,
    spool: Mutex<OpenSpool>,
    /// What was wrong with the URI that was set last.
    wrong_uri: Mutex<Option<String>>,
    /// A setting was changed since the current upload began.
    is_changed: AtomicBool,
    is_playing: AtomicBool,
    key_frame_refused: AtomicBool,
}

#[derive(Default)]
struct Uploads {
    current: Option<Arc<Upload>>,
    /// Uploads that wait for their last confirmations while new media goes to the current one.
    ending: Vec<Arc<Upload>>,
    last_stats: Option<gst::Structure>,
}

#[glib::object_subclass]
impl ObjectSubclass for KvsSink {
    const NAME: &'static str = "GstKvsSinkRs";
    type Type = super::KvsSink;
    type ParentType = gst::Element;
    type Interfaces = (gst::URIHandler,);
}

impl URIHandlerImpl for KvsSink {
    const URI_TYPE: gst::URIType = gst::URIType::Sink;

    fn protocols() -> &'static [&'static str] {
        &[uri::SCHEME]
    }

    fn uri(&self) -> Option<String> {
        lock(&self.settings).connection.uri()
    }

    fn set_uri(&self, uri: &str) -> Result<(), glib::Error> {
        uri::apply(self.obj().upcast_ref(), uri)
    }
}

impl ObjectImpl for KvsSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let mut specs = Settings::param_specs().to_vec();
            specs.push(text(
                "uri",
                "URI",
                "The stream and properties in one: kvs://REGION/STREAM?PROPERTY=VALUE, without \
                 secrets",
            ));
            specs.push(
                glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                    .nick("Statistics")
                    .blurb(
                        "state, frames in, sent, persisted and dropped, bytes, fragments by ack, \
                         connections, what is buffered, delay to the last ack",
                    )
                    .read_only()
                    .build(),
            );
            specs
        });
        &PROPERTIES
    }

    fn signals() -> &'static [glib::subclass::Signal] {
        static SIGNALS: LazyLock<Vec<glib::subclass::Signal>> = LazyLock::new(signals::all);
        &SIGNALS
    }

    fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        if spec.name() == "uri" {
            return self.take_uri(value);
        }
        lock(&self.settings).set(spec.name(), value);
        if let Some(why) = Settings::has_no_effect(spec.name()) {
            gst::info!(CAT, imp = self, "{} has no effect: {why}", spec.name());
        }
        self.is_changed.store(true, Ordering::Release);
    }

    fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
        match spec.name() {
            "stats" => return self.stats().to_value(),
            "uri" => return self.uri().to_value(),
            _ => {}
        }
        let value = lock(&self.settings).get(spec.name());
        value.expect("GObject asks only for properties that are declared")
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_element_flags(gst::ElementFlags::SINK);
    }
}

impl GstObjectImpl for KvsSink {}

impl ElementImpl for KvsSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Kinesis Video Streams sink",
                "Sink/Video/Network",
                "Uploads H.264, H.265 or JPEG video, AAC, Opus or G.711 audio and any timed data \
                 to Amazon Kinesis Video Streams or to kvs-server, for example: \
                 videotestsrc is-live=true ! video/x-raw,format=I420 \
                 ! x264enc tune=zerolatency ! kvssink stream-name=cam \
                 endpoint=http://127.0.0.1:5600",
                "The gst-plugin-kvs authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(templates::all);
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let element = self.obj();
        let pads = element.sink_pads();
        if pads.len() >= TRACKS_MAX {
            gst::error!(
                CAT,
                imp = self,
                "the service takes {TRACKS_MAX} tracks at most"
            );
            return None;
        }
        let offered = templates::of_pad(template, name);
        let name = templates::pad_name(template, name, &pads)?;
        let pad: KvsSinkPad = gst::PadBuilder::from_template(&offered)
            .name(name)
            .chain_function(|pad: &KvsSinkPad, parent, buffer| {
                Self::catch_panic_pad_function(
                    parent,
                    || Err(gst::FlowError::Error),
                    |sink| pad.imp().chain(sink, &buffer),
                )
            })
            .event_function(|pad: &KvsSinkPad, parent, event| {
                Self::catch_panic_pad_function(
                    parent,
                    || false,
                    |sink| pad.imp().event(sink, event),
                )
            })
            .build();
        if element.current_state() >= gst::State::Paused {
            pad.set_active(true).ok()?;
        }
        element.add_pad(&pad).ok()?;
        self.expect_tracks();
        Some(pad.upcast())
    }

    fn release_pad(&self, pad: &gst::Pad) {
        // Failing means that it is not active, which is what is wanted.
        let _inactive = pad.set_active(false);
        if let Some(pad) = pad.downcast_ref::<KvsSinkPad>() {
            pad.imp().reset();
        }
        if self.obj().remove_pad(pad).is_ok() {
            self.expect_tracks();
            self.pad_ended(gst::Seqnum::next());
        }
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::NullToReady => self.start()?,
            gst::StateChange::ReadyToPaused => self.start_where_needed()?,
            gst::StateChange::PlayingToPaused => self.set_playing(false),
            // Before the parent deactivates the pads, which waits for their streaming threads.
            gst::StateChange::PausedToReady | gst::StateChange::ReadyToNull => self.stop(),
            _ => {}
        }
        let success = self.parent_change_state(transition)?;
        match transition {
            gst::StateChange::PausedToPlaying => self.set_playing(true),
            gst::StateChange::PausedToReady => self.forget(),
            gst::StateChange::ReadyToNull => {
                self.forget();
                lock(&self.spool).close();
            }
            _ => {}
        }
        Ok(success)
    }

    fn send_event(&self, event: gst::Event) -> bool {
        let pads = self.obj().sink_pads();
        // It concerns the element, not each of its pads.
        if let Some(trigger) = event.structure().and_then(trigger::of_event) {
            return self.take_trigger(trigger);
        }
        let is_upstream = event.is_upstream();
        let mut taken = pads.iter().map(|pad| {
            if is_upstream {
                pad.push_event(event.clone())
            } else {
                pad.send_event(event.clone())
            }
        });
        // Every pad gets it, also behind one that took it.
        taken.by_ref().fold(false, |any, taken| any | taken)
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Latency(latency) => self.fold_latency(latency),
            _ => self.parent_query(query),
        }
    }
}

impl KvsSink {
    /// Begins an upload; it connects in the background.
    fn start(&self) -> Result<(), gst::StateChangeError> {
        self.is_changed.store(false, Ordering::Release);
        let settings = lock(&self.settings).clone();
        if let Some(why) = lock(&self.wrong_uri).clone() {
            gst::element_imp_error!(self, gst::ResourceError::Settings, ("uri: {why}"));
            return Err(gst::StateChangeError);
        }
        if !settings.connection.names_a_stream() {
            let name = settings.connection.stream_name();
            gst::warning!(CAT, imp = self, "stream-name is not set: {name} is taken");
        }
        match Upload::start(&self.obj(), &settings, &self.spool) {
            Ok(upload) => {
                lock(&self.uploads).current = Some(upload);
                self.expect_tracks();
                Ok(())
            }
            Err(error) => {
                gst::element_imp_error!(self, gst::ResourceError::Settings, ("{error}"));
                Err(gst::StateChangeError)
            }
        }
    }

    /// A URI that is wrong is an error at READY: a property cannot be refused.
    fn take_uri(&self, value: &glib::Value) {
        let result = match text_of(value) {
            Some(uri) => self.set_uri(&uri),
            None => Ok(()),
        };
        *lock(&self.wrong_uri) = result.err().map(|error| error.message().to_owned());
    }

    /// Begins an upload where there is none that can be used: it was stopped, it has failed, or
    /// it began with other settings.
    fn start_where_needed(&self) -> Result<(), gst::StateChangeError> {
        let is_changed = self.is_changed.load(Ordering::Acquire);
        match self.upload() {
            Some(upload) if !is_changed && !upload.has_failed() => Ok(()),
            _ => {
                self.stop();
                self.forget();
                self.start()
            }
        }
    }

    /// Frees whoever waits, in a push or for the end.
    fn stop(&self) {
        let all: Vec<_> = {
            let uploads = lock(&self.uploads);
            uploads
                .ending
                .iter()
                .chain(&uploads.current)
                .cloned()
                .collect()
        };
        // With a spool this may take a moment.
        all.iter().for_each(|upload| upload.stop());
    }

    fn forget(&self) {
        for pad in self.pads() {
            pad.imp().reset();
        }
        let mut uploads = lock(&self.uploads);
        uploads.ending.clear();
        if let Some(upload) = uploads.current.take() {
            uploads.last_stats = Some(stats_structure(&upload.producer.stats()));
        }
    }

    fn set_playing(&self, is_playing: bool) {
        self.is_playing.store(is_playing, Ordering::Release);
        let Some(upload) = self.upload() else {
            return;
        };
        // A pipeline may have no clock at all: then its running time never tells anything.
        if is_playing && self.obj().clock().is_some() {
            upload.timeline.clock_starts();
        }
        upload.reports.set_playing(&self.obj(), is_playing);
    }

    /// The upload under way, or the one that waits for its end; `None` in NULL, and once stopped.
    pub(super) fn upload(&self) -> Option<Arc<Upload>> {
        lock(&self.uploads).current.clone()
    }

    /// The upload that takes frames; `None` in NULL, and once stopped.
    ///
    /// Media behind EOS (a seek back, the next item of a playlist) begins another upload, while
    /// the one before it waits for its last confirmations.
    pub(super) fn open_upload(&self) -> Option<Arc<Upload>> {
        let current = self.upload()?;
        if !current.is_ending() {
            return Some(current);
        }
        let settings = lock(&self.settings).clone();
        let next = match Upload::start(&self.obj(), &settings, &self.spool) {
            Ok(next) => next,
            Err(error) => {
                gst::element_imp_error!(self, gst::ResourceError::Settings, ("{error}"));
                return None;
            }
        };
        let opened = {
            let mut uploads = lock(&self.uploads);
            match uploads.current.as_mut() {
                // Another pad was faster, or the element is being stopped.
                Some(other) if !other.is_ending() => other.clone(),
                None => return None,
                Some(current) => {
                    let old = std::mem::replace(current, Arc::clone(&next));
                    old.reports.no_eos();
                    uploads.ending.push(old);
                    next
                }
            }
        };
        let is_playing = self.is_playing.load(Ordering::Acquire);
        opened.reports.set_playing(&self.obj(), is_playing);
        self.expect_tracks();
        Some(opened)
    }

    /// Tells the producer how many tracks there will be: one for each pad, but for those that
    /// ended without a frame.
    fn expect_tracks(&self) {
        let pads = self.pads();
        let comes = |pad: &&KvsSinkPad| pad.imp().has_track() || !pad.imp().has_ended();
        if let Some(upload) = self.upload() {
            let count = pads.iter().filter(comes).count();
            upload.producer.expect_tracks(count);
        }
    }

    /// What the clocks say.
    pub(super) fn now(&self) -> Now {
        let running = || self.obj().current_running_time();
        Now {
            wall_ns: wall_ns(),
            running_ns: self
                .is_playing
                .load(Ordering::Acquire)
                .then(running)
                .flatten()
                .and_then(|time| i64::try_from(time.nseconds()).ok()),
        }
    }

    /// A pad has its EOS, or is gone. After the last one the upload ends.
    pub(super) fn pad_ended(&self, seqnum: gst::Seqnum) {
        let pads = self.pads();
        if pads.is_empty() {
            return;
        }
        if !pads.iter().all(|pad| pad.imp().has_ended()) {
            self.expect_tracks();
            // The producer ends with its last track: not before it knows them all.
            if pads.iter().all(|pad| pad.imp().has_track()) {
                pads.iter().for_each(|pad| pad.imp().end_track());
            }
            return;
        }
        if let Some(upload) = self.upload() {
            gst::debug!(CAT, imp = self, "all pads have ended");
            upload.finish(seqnum);
        }
    }

    /// A pad has a new stream. Once all have, the application is told, as a base class does.
    pub(super) fn stream_starts(&self, seqnum: gst::Seqnum, group_id: Option<gst::GroupId>) {
        let pads = self.pads();
        if !pads.iter().all(|pad| pad.imp().has_started()) {
            return;
        }
        pads.iter().for_each(|pad| pad.imp().forget_start());
        let mut message = gst::message::StreamStart::builder()
            .src(&*self.obj())
            .seqnum(seqnum);
        if let Some(group_id) = group_id {
            message = message.group_id(group_id);
        }
        // Without a bus there is nobody to tell.
        let _no_bus = self.obj().post_message(message.build());
    }

    /// Asks the source of a track for a key frame.
    pub(super) fn want_key_frame(&self, track: TrackNumber) {
        let pads = self.pads();
        let Some(pad) = pads.iter().find(|pad| pad.imp().is_track(track)) else {
            return;
        };
        let event = gst_video::UpstreamForceKeyUnitEvent::builder()
            .all_headers(true)
            .build();
        if !pad.push_event(event) && !self.key_frame_refused.swap(true, Ordering::Relaxed) {
            gst::warning!(
                CAT,
                obj = pad,
                "the source makes no key frames on demand: let it make one every 10 s at least"
            );
        }
    }

    /// The figures of the upload under way, or of the last one.
    pub(super) fn stats(&self) -> Option<gst::Structure> {
        let upload = {
            let uploads = lock(&self.uploads);
            match &uploads.current {
                Some(upload) => Arc::clone(upload),
                None => return uploads.last_stats.clone(),
            }
        };
        Some(stats_structure(&upload.producer.stats()))
    }

    pub(super) fn pads(&self) -> Vec<KvsSinkPad> {
        let pads = self.obj().sink_pads();
        pads.into_iter()
            .filter_map(|pad| pad.downcast().ok())
            .collect()
    }
}

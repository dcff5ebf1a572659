//! The GObject of `kvssrc`: its class, its state changes, and what it answers.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::progress::State;
use super::session::Session;
use super::settings::{Config, Settings};
use super::tracks::Family;
use super::{caps, properties, report, seek};
use crate::lock::lock;

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "kvssrc",
        gst::DebugColorFlags::empty(),
        Some("Source of Amazon Kinesis Video Streams"),
    )
});

/// The element's private half.
#[derive(Default)]
#[allow(missing_debug_implementations, reason = "it holds secrets")]
pub struct KvsSrc {
    settings: Mutex<Settings>,
    session: Mutex<Option<Arc<Session>>>,
}

#[glib::object_subclass]
impl ObjectSubclass for KvsSrc {
    const NAME: &'static str = "GstKvsSrc";
    type Type = super::KvsSrc;
    type ParentType = gst::Element;
}

impl ObjectImpl for KvsSrc {
    fn properties() -> &'static [glib::ParamSpec] {
        &properties::SPECS
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.settings().set(pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let session = self.session();
        match pspec.name() {
            "stats" => session
                .map_or_else(
                    || super::progress::Progress::default().stats(),
                    |s| s.progress.stats(),
                )
                .to_value(),
            "continuation-token" => session
                .and_then(|session| session.progress.continuation())
                .or_else(|| self.settings().continuation_token.clone())
                .to_value(),
            name => self
                .settings()
                .get(name)
                .unwrap_or_else(|| pspec.default_value().clone()),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_element_flags(gst::ElementFlags::SOURCE);
    }
}

impl GstObjectImpl for KvsSrc {}

impl ElementImpl for KvsSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Kinesis Video Streams source",
                "Source/Video/Network",
                "Reads video, audio and data from Amazon Kinesis Video Streams, live or from \
                 the archive",
                "The gst-plugin-kvs authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            Family::ALL
                .into_iter()
                .map(|family| {
                    gst::PadTemplate::new(
                        family.template_name(),
                        gst::PadDirection::Src,
                        gst::PadPresence::Sometimes,
                        &match family {
                            Family::Video => caps::video_template(),
                            Family::Audio => caps::audio_template(),
                            Family::Data => gst::Caps::new_any(),
                        },
                    )
                    .expect("name, direction, presence and caps are valid")
                })
                .collect()
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::NullToReady => {
                self.resolve()?;
            }
            gst::StateChange::ReadyToPaused => self.start(self.resolve()?)?,
            gst::StateChange::PausedToPlaying => self.hold_samples(false),
            gst::StateChange::PlayingToPaused => self.hold_samples(true),
            gst::StateChange::PausedToReady => self.stop(),
            _ => {}
        }
        let live = self.is_live();
        let success = self.parent_change_state(transition)?;
        Ok(match transition {
            gst::StateChange::ReadyToPaused | gst::StateChange::PlayingToPaused if live => {
                gst::StateChangeSuccess::NoPreroll
            }
            _ => success,
        })
    }

    fn send_event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Seek(seek) => self.seek(seek),
            gst::EventView::Eos(_) => self.end(),
            _ => self.parent_send_event(event),
        }
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        self.answer(query) || self.parent_query(query)
    }
}

impl KvsSrc {
    /// Seeks; false if the seek is refused.
    pub(super) fn seek(&self, event: &gst::event::Seek) -> bool {
        self.session()
            .is_some_and(|session| seek::seek(&session, event))
    }

    /// Answers a query that is about the stream as a whole; false if it is not, or cannot be yet.
    pub(super) fn answer(&self, query: &mut gst::QueryRef) -> bool {
        let Some(session) = self.session() else {
            return false;
        };
        let live = session.config.is_live();
        let duration = session.extent.get().map(|extent| {
            gst::ClockTime::from_mseconds(extent.end.as_ms().saturating_sub(extent.start.as_ms()))
        });
        match query.view_mut() {
            gst::QueryViewMut::Latency(latency) => {
                latency.set(live, session.latency.min(), gst::ClockTime::NONE);
                true
            }
            gst::QueryViewMut::Position(position) => {
                let known = position.format() == gst::Format::Time && !session.tracks().is_empty();
                if known {
                    let segment = session.segment().segment;
                    position.set(segment.to_stream_time(session.progress.last_pts()));
                }
                known
            }
            gst::QueryViewMut::Duration(answer) => match duration {
                Some(duration) if answer.format() == gst::Format::Time => {
                    answer.set(duration);
                    true
                }
                _ => false,
            },
            gst::QueryViewMut::Seeking(seeking) => {
                if seeking.format() != gst::Format::Time {
                    return false;
                }
                seeking.set(duration.is_some(), gst::ClockTime::ZERO, duration);
                true
            }
            _ => false,
        }
    }

    /// Checks the properties; a bus ERROR names the one that makes no sense.
    fn resolve(&self) -> Result<Config, gst::StateChangeError> {
        self.settings().resolve().map_err(|invalid| {
            gst::element_imp_error!(self, gst::ResourceError::Settings, ("{invalid}"));
            gst::StateChangeError
        })
    }

    fn start(&self, config: Config) -> Result<(), gst::StateChangeError> {
        let session = Session::start(&self.obj(), config).map_err(|error| {
            gst::element_imp_error!(
                self,
                gst::ResourceError::NoSpaceLeft,
                ("The system gives no more threads or descriptors: {error}")
            );
            gst::StateChangeError
        })?;
        *self.lock_session() = Some(session);
        Ok(())
    }

    fn stop(&self) {
        let session = self.lock_session().take();
        if let Some(session) = session {
            session.stop(&self.obj());
        }
    }

    /// Ends at the user's wish: EOS behind what the pads have.
    fn end(&self) -> bool {
        let Some(session) = self.session() else {
            return false;
        };
        // A seek that is under way comes to its end first, so that it does not flush the EOS.
        let seeking = session.lock_seeking();
        let pads = session.finish(None);
        drop(seeking);
        match pads {
            Ok(0) => {
                session.progress.set_state(State::Failed);
                report::ended_without_pads(&self.obj(), &session.config);
            }
            Ok(_) if session.progress.set_state(State::Ended) && session.config.post_messages => {
                report::state(&self.obj(), State::Ended, None);
            }
            Ok(_) => {}
            Err(_stopped) => return false,
        }
        true
    }

    fn hold_samples(&self, held: bool) {
        if let Some(session) = self.session().filter(|session| session.config.is_live()) {
            session.queues.hold_samples(held);
        }
    }

    fn is_live(&self) -> bool {
        self.session()
            .is_some_and(|session| session.config.is_live())
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.settings)
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.lock_session().clone()
    }

    fn lock_session(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        lock(&self.session)
    }
}

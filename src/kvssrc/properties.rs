//! The properties of `kvssrc`: their definitions, and how they are set and read.

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;

use super::settings::Settings;
use super::{Mode, Start, TimeBase};
use crate::connection_settings::ConnectionSettings;
use crate::property::{take, text, text_of};

/// All properties.
pub(super) static SPECS: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
    let mut specs = ConnectionSettings::param_specs();
    specs.extend(range_specs());
    specs.extend(time_specs());
    specs.extend(report_specs());
    specs
});

fn range_specs() -> [glib::ParamSpec; 4] {
    [
        glib::ParamSpecEnum::builder_with_default("mode", Mode::default())
            .nick("Mode")
            .blurb("live goes on for ever; archive is a finite range, seekable, that ends with EOS")
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("start", Start::default())
            .nick("Start")
            .blurb("Where reading starts")
            .mutable_ready()
            .build(),
        text(
            "start-fragment",
            "Start fragment",
            "Number of the fragment after which to start",
        ),
        text(
            "continuation-token",
            "Continuation token",
            "Where to go on; reads back as the token behind the last fragment that has left all \
             pads",
        ),
    ]
}

fn time_specs() -> [glib::ParamSpec; 3] {
    [
        text(
            "start-time",
            "Start time",
            "RFC 3339 or seconds since 1970, by time-base; output starts at the fragment that \
             contains it",
        ),
        text(
            "stop-time",
            "Stop time",
            "RFC 3339 or seconds since 1970, by time-base; output ends there with EOS",
        ),
        glib::ParamSpecEnum::builder_with_default("time-base", TimeBase::default())
            .nick("Time base")
            .blurb("Which clock times, the order of the archive and its duration mean")
            .mutable_ready()
            .build(),
    ]
}

fn report_specs() -> [glib::ParamSpec; 3] {
    [
        glib::ParamSpecUInt::builder("retry-attempts")
            .nick("Retry attempts")
            .blurb(
                "After so many failures without a frame in between give up; 0 never does once \
                 the service has answered",
            )
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("post-messages")
            .nick("Post messages")
            .blurb("Post the element messages kvs-fragment and kvs-state")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("frames, bytes, fragments, reconnects, millis-behind, state")
            .read_only()
            .build(),
    ]
}

impl Settings {
    /// Takes a property over.
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) {
        match name {
            "mode" => take(&mut self.mode, value),
            "start" => take(&mut self.start, value),
            "time-base" => take(&mut self.time_base, value),
            "retry-attempts" => take(&mut self.retry_attempts, value),
            "post-messages" => take(&mut self.post_messages, value),
            "start-time" => self.start_time = text_of(value),
            "stop-time" => self.stop_time = text_of(value),
            "start-fragment" => self.start_fragment = text_of(value),
            "continuation-token" => self.continuation_token = text_of(value),
            _ => {
                self.connection.set(name, value);
            }
        }
    }

    /// Reads back what was said; null for secrets.
    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "mode" => self.mode.to_value(),
            "start" => self.start.to_value(),
            "time-base" => self.time_base.to_value(),
            "retry-attempts" => self.retry_attempts.to_value(),
            "post-messages" => self.post_messages.to_value(),
            "start-time" => self.start_time.to_value(),
            "stop-time" => self.stop_time.to_value(),
            "start-fragment" => self.start_fragment.to_value(),
            "continuation-token" => self.continuation_token.to_value(),
            _ => return self.connection.get(name),
        })
    }
}

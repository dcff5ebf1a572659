//! Properties of AWS's element that mean nothing here: they are kept, and have no effect.

use gst::glib;
use gst::prelude::*;

use crate::property::{number, switch, take, text_of};

const DEFAULT_FRAMERATE: u32 = 25;
const DEFAULT_BANDWIDTH_BPS: u32 = 4_194_304;
const DEFAULT_LOG_CONFIG: &str = "../kvs_log_configuration";

#[derive(Clone)]
pub(super) struct UnusedSettings {
    framerate: u32,
    avg_bandwidth_bps: u32,
    recalculate_metrics: bool,
    log_config: Option<String>,
}

impl Default for UnusedSettings {
    fn default() -> Self {
        Self {
            framerate: DEFAULT_FRAMERATE,
            avg_bandwidth_bps: DEFAULT_BANDWIDTH_BPS,
            recalculate_metrics: true,
            log_config: None,
        }
    }
}

/// Why a property has no effect, and what to use instead; `None` of those that have one.
pub(super) fn why(name: &str) -> Option<&'static str> {
    match name {
        "framerate" | "avg-bandwidth-bps" => Some("storage-size alone bounds the buffer"),
        "recalculate-metrics" => Some("the figures in stats are always those of now"),
        "log-config" => Some("GST_DEBUG=kvssink:5,kvsclient:5 shows the log"),
        _ => None,
    }
}

impl UnusedSettings {
    pub(super) fn specs() -> Vec<glib::ParamSpec> {
        vec![
            number(
                "framerate",
                "Frame rate",
                "No effect: storage-size alone bounds the buffer (frames/s)",
                0..=u32::MAX,
                DEFAULT_FRAMERATE,
            ),
            number(
                "avg-bandwidth-bps",
                "Average bandwidth",
                "No effect: storage-size alone bounds the buffer (bit/s)",
                0..=u32::MAX,
                DEFAULT_BANDWIDTH_BPS,
            ),
            switch(
                "recalculate-metrics",
                "Recalculate metrics",
                "No effect: the figures in stats are always those of now",
                true,
            ),
            glib::ParamSpecString::builder("log-config")
                .nick("Log configuration")
                .blurb("No effect: GST_DEBUG=kvssink:5,kvsclient:5 shows the log")
                .default_value(DEFAULT_LOG_CONFIG)
                .mutable_ready()
                .build(),
        ]
    }

    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "framerate" => take(&mut self.framerate, value),
            "avg-bandwidth-bps" => take(&mut self.avg_bandwidth_bps, value),
            "recalculate-metrics" => take(&mut self.recalculate_metrics, value),
            "log-config" => self.log_config = text_of(value),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "framerate" => self.framerate.to_value(),
            "avg-bandwidth-bps" => self.avg_bandwidth_bps.to_value(),
            "recalculate-metrics" => self.recalculate_metrics.to_value(),
            "log-config" => self
                .log_config
                .as_deref()
                .unwrap_or(DEFAULT_LOG_CONFIG)
                .to_value(),
            _ => return None,
        })
    }
}

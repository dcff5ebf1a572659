//! What waits for its confirmation: how much, and what goes when it is too much.

use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use kvs_client::producer::{ProducerConfig, Streaming};

use crate::kvssink::{Leaky, StreamingType, UploadMode};
use crate::property::{number, take};

const DEFAULT_STORAGE_MB: u32 = 128;
const DEFAULT_BUFFER_DURATION_S: u32 = 120;
const DEFAULT_REPLAY_DURATION_S: u32 = 40;
const DEFAULT_MAX_LATENCY_S: u32 = 60;

#[derive(Clone)]
pub(super) struct BufferSettings {
    storage_mb: u32,
    duration_s: u32,
    replay_duration_s: u32,
    max_latency_s: u32,
    leaky: Leaky,
    upload: UploadMode,
}

impl Default for BufferSettings {
    fn default() -> Self {
        Self {
            storage_mb: DEFAULT_STORAGE_MB,
            duration_s: DEFAULT_BUFFER_DURATION_S,
            replay_duration_s: DEFAULT_REPLAY_DURATION_S,
            max_latency_s: DEFAULT_MAX_LATENCY_S,
            leaky: Leaky::Auto,
            upload: UploadMode::Continuous,
        }
    }
}

impl BufferSettings {
    pub(super) fn specs() -> Vec<glib::ParamSpec> {
        vec![
            number(
                "storage-size",
                "Storage size",
                "Media that waits for its confirmation at most (MB)",
                1..=u32::MAX,
                DEFAULT_STORAGE_MB,
            ),
            number(
                "buffer-duration",
                "Buffer duration",
                "How much time the waiting media spans at most (s)",
                1..=u32::MAX,
                DEFAULT_BUFFER_DURATION_S,
            ),
            glib::ParamSpecEnum::builder_with_default("leaky", Leaky::Auto)
                .nick("Leaky")
                .blurb(
                    "What a full buffer does; auto: with streaming-type=offline it holds the \
                     source back, else it drops its oldest fragment",
                )
                .mutable_ready()
                .build(),
            glib::ParamSpecEnum::builder_with_default("upload", UploadMode::Continuous)
                .nick("Upload")
                .blurb(
                    "When media is uploaded; on-trigger: the last buffer-duration is kept, and \
                     the signal or event kvs-trigger says what of it goes up",
                )
                .mutable_ready()
                .build(),
            number(
                "replay-duration",
                "Replay duration",
                "How far back a new connection goes in what was sent and not confirmed (s)",
                0..=u32::MAX,
                DEFAULT_REPLAY_DURATION_S,
            ),
            number(
                "max-latency",
                "Maximum latency",
                "A confirmation that takes longer is told by kvs-pressure (s); 0: never",
                0..=u32::MAX,
                DEFAULT_MAX_LATENCY_S,
            ),
        ]
    }

    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "storage-size" => take(&mut self.storage_mb, value),
            "buffer-duration" => take(&mut self.duration_s, value),
            "leaky" => take(&mut self.leaky, value),
            "upload" => take(&mut self.upload, value),
            "replay-duration" => take(&mut self.replay_duration_s, value),
            "max-latency" => take(&mut self.max_latency_s, value),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "storage-size" => self.storage_mb.to_value(),
            "buffer-duration" => self.duration_s.to_value(),
            "leaky" => self.leaky.to_value(),
            "upload" => self.upload.to_value(),
            "replay-duration" => self.replay_duration_s.to_value(),
            "max-latency" => self.max_latency_s.to_value(),
            _ => return None,
        })
    }

    pub(super) fn apply(&self, streaming_type: StreamingType, config: &mut ProducerConfig) {
        config.streaming = match (self.leaky, streaming_type) {
            (Leaky::No, _) | (Leaky::Auto, StreamingType::Offline) => Streaming::Offline,
            (Leaky::Downstream, _) | (Leaky::Auto, _) => Streaming::Realtime,
        };
        config.on_trigger = self.upload == UploadMode::OnTrigger;
        config.storage_bytes_max = (self.storage_mb as usize).saturating_mul(1 << 20);
        config.buffer_duration = Duration::from_secs(self.duration_s.into());
        config.replay_duration = Duration::from_secs(self.replay_duration_s.into());
        config.latency_max = Duration::from_secs(self.max_latency_s.into());
    }
}

//! What kvssink's properties say, as they were set; resolved once when the upload starts.

use std::sync::LazyLock;
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use kvs_client::NewStream;
use kvs_client::producer::{ProducerConfig, Streaming};

use super::StreamingType;
use crate::connection_settings::ConnectionSettings;
use crate::property::take;

const DEFAULT_RETENTION_HOURS: u32 = 2;
const DEFAULT_STORAGE_MB: u32 = 128;
const DEFAULT_BUFFER_DURATION_S: u32 = 120;
const DEFAULT_FRAGMENT_DURATION_MS: u32 = 2000;
const DEFAULT_STOP_TIMEOUT_S: u32 = 120;

/// CreateStream takes ten years at most.
const RETENTION_HOURS_MAX: u32 = 87_600;
/// The service refuses longer fragments.
const FRAGMENT_DURATION_MS_MAX: u32 = 20_000;
/// Attempts that `restart-on-error=false` allows.
const ATTEMPTS_WITHOUT_RESTART: u32 = 1;
/// Attempts that `restart-on-error=true` allows: any number.
const ATTEMPTS_UNLIMITED: u32 = 0;

/// The properties. Secrets are in it, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) connection: ConnectionSettings,
    pub(super) streaming_type: StreamingType,
    /// Seconds since 1970; 0: when the first frame comes.
    pub(super) file_start_time_s: u64,
    pub(super) post_messages: bool,
    retention_hours: u32,
    storage_mb: u32,
    buffer_duration_s: u32,
    fragment_duration_ms: u32,
    key_frame_fragmentation: bool,
    stop_timeout_s: u32,
    retry_attempts: u32,
    allow_create_stream: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connection: ConnectionSettings::default(),
            streaming_type: StreamingType::Realtime,
            file_start_time_s: 0,
            post_messages: true,
            retention_hours: DEFAULT_RETENTION_HOURS,
            storage_mb: DEFAULT_STORAGE_MB,
            buffer_duration_s: DEFAULT_BUFFER_DURATION_S,
            fragment_duration_ms: DEFAULT_FRAGMENT_DURATION_MS,
            key_frame_fragmentation: true,
            stop_timeout_s: DEFAULT_STOP_TIMEOUT_S,
            retry_attempts: ATTEMPTS_UNLIMITED,
            allow_create_stream: true,
        }
    }
}

impl Settings {
    /// All properties of the element but `stats`, which is no setting.
    pub(super) fn param_specs() -> &'static [glib::ParamSpec] {
        static SPECS: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let mut specs = ConnectionSettings::param_specs();
            specs.extend(stream_specs());
            specs.extend(buffer_specs());
            specs.extend(session_specs());
            specs
        });
        &SPECS
    }

    /// Takes a property over. The value has the property's type: GObject has checked it.
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) {
        if self.connection.set(name, value) {
            return;
        }
        match name {
            "streaming-type" => take(&mut self.streaming_type, value),
            "retention-period" => take(&mut self.retention_hours, value),
            "storage-size" => take(&mut self.storage_mb, value),
            "buffer-duration" => take(&mut self.buffer_duration_s, value),
            "fragment-duration" => take(&mut self.fragment_duration_ms, value),
            "key-frame-fragmentation" => take(&mut self.key_frame_fragmentation, value),
            "file-start-time" => take(&mut self.file_start_time_s, value),
            "stop-stream-timeout" => take(&mut self.stop_timeout_s, value),
            "retry-attempts" => take(&mut self.retry_attempts, value),
            "restart-on-error" => {
                let restart = value.get().unwrap_or(true);
                self.retry_attempts = if restart {
                    ATTEMPTS_UNLIMITED
                } else {
                    ATTEMPTS_WITHOUT_RESTART
                };
            }
            "allow-create-stream" => take(&mut self.allow_create_stream, value),
            "post-messages" => take(&mut self.post_messages, value),
            _ => {}
        }
    }

    /// Reads a property back; `None` if there is none of that name.
    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "streaming-type" => self.streaming_type.to_value(),
            "retention-period" => self.retention_hours.to_value(),
            "storage-size" => self.storage_mb.to_value(),
            "buffer-duration" => self.buffer_duration_s.to_value(),
            "fragment-duration" => self.fragment_duration_ms.to_value(),
            "key-frame-fragmentation" => self.key_frame_fragmentation.to_value(),
            "file-start-time" => self.file_start_time_s.to_value(),
            "stop-stream-timeout" => self.stop_timeout_s.to_value(),
            "retry-attempts" => self.retry_attempts.to_value(),
            "restart-on-error" => (self.retry_attempts != ATTEMPTS_WITHOUT_RESTART).to_value(),
            "allow-create-stream" => self.allow_create_stream.to_value(),
            "post-messages" => self.post_messages.to_value(),
            _ => return self.connection.get(name),
        })
    }

    /// What the producer is told.
    pub(super) fn producer_config(&self) -> ProducerConfig {
        ProducerConfig {
            streaming: match self.streaming_type {
                StreamingType::Realtime | StreamingType::NearRealtime => Streaming::Realtime,
                StreamingType::Offline => Streaming::Offline,
            },
            create: self.allow_create_stream.then(|| NewStream {
                retention_hours: self.retention_hours,
                ..NewStream::default()
            }),
            key_frame_fragmentation: self.key_frame_fragmentation,
            fragment_duration: Duration::from_millis(self.fragment_duration_ms.into()),
            storage_bytes_max: (self.storage_mb as usize).saturating_mul(1 << 20),
            buffer_duration: Duration::from_secs(self.buffer_duration_s.into()),
            stop_timeout: Duration::from_secs(self.stop_timeout_s.into()),
            retry_attempts: self.retry_attempts,
            ..ProducerConfig::default()
        }
    }
}

fn stream_specs() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("streaming-type", StreamingType::Realtime)
            .nick("Streaming type")
            .blurb("Whether the source can wait: offline holds it back, the others drop")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("allow-create-stream")
            .nick("Allow creating the stream")
            .blurb("Create the stream if it does not exist")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("retention-period")
            .nick("Retention period")
            .blurb("How long a stream that is created here keeps its data (hours); 0: not at all")
            .maximum(RETENTION_HOURS_MAX)
            .default_value(DEFAULT_RETENTION_HOURS)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt64::builder("file-start-time")
            .nick("File start time")
            .blurb(
                "With streaming-type=offline: the producer time of running time 0 \
                 (s since 1970); 0: when the first frame comes",
            )
            .maximum(u64::MAX / 1_000_000_000)
            .mutable_ready()
            .build(),
    ]
}

fn buffer_specs() -> Vec<glib::ParamSpec> {
    vec![
        number(
            "storage-size",
            "Storage size",
            "Media that waits for its confirmation at most (MB)",
            u32::MAX,
            DEFAULT_STORAGE_MB,
        ),
        number(
            "buffer-duration",
            "Buffer duration",
            "How much time the waiting media spans at most (s)",
            u32::MAX,
            DEFAULT_BUFFER_DURATION_S,
        ),
        number(
            "fragment-duration",
            "Fragment duration",
            "How long a fragment is where no key frame decides (ms)",
            FRAGMENT_DURATION_MS_MAX,
            DEFAULT_FRAGMENT_DURATION_MS,
        ),
        glib::ParamSpecBoolean::builder("key-frame-fragmentation")
            .nick("Key-frame fragmentation")
            .blurb("Start a fragment at each key frame; else after each fragment-duration")
            .default_value(true)
            .mutable_ready()
            .build(),
    ]
}

fn session_specs() -> Vec<glib::ParamSpec> {
    vec![
        number(
            "stop-stream-timeout",
            "Stop timeout",
            "How long EOS waits for the last confirmation (s)",
            u32::MAX,
            DEFAULT_STOP_TIMEOUT_S,
        ),
        glib::ParamSpecUInt::builder("retry-attempts")
            .nick("Retry attempts")
            .blurb("Failed attempts in a row after which the upload fails; 0: retry for ever")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("restart-on-error")
            .nick("Restart on error")
            .blurb("true sets retry-attempts to 0, false to 1")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("post-messages")
            .nick("Post messages")
            .blurb("Post kvs-state, kvs-fragment-ack and kvs-dropped on the bus")
            .default_value(true)
            .mutable_ready()
            .build(),
    ]
}

fn number(name: &str, nick: &str, blurb: &str, max: u32, default: u32) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .nick(nick)
        .blurb(blurb)
        .minimum(1)
        .maximum(max)
        .default_value(default)
        .mutable_ready()
        .build()
}

//! What kvssink's properties say, as they were set; resolved once when the upload starts.

mod buffer;
mod media;
mod session;
mod spool;
mod stream;
mod time;
mod unused;

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;
use kvs_client::producer::{ProducerConfig, SpoolLimits};
use kvs_client::{ServiceError, SpoolConfig};

use super::timeline::Timeline;
use crate::connection_settings::ConnectionSettings;
use crate::property::{switch, take};
use buffer::BufferSettings;
pub(super) use media::MediaSettings;
use session::SessionSettings;
use spool::SpoolSettings;
use stream::StreamSettings;
use time::TimeSettings;
use unused::UnusedSettings;

/// The properties, by theme. Secrets are in it, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) connection: ConnectionSettings,
    stream: StreamSettings,
    pub(super) media: MediaSettings,
    time: TimeSettings,
    buffer: BufferSettings,
    spool: SpoolSettings,
    session: SessionSettings,
    unused: UnusedSettings,
    pub(super) post_messages: bool,
    /// Emits `stream-client-metric`.
    pub(super) get_kvs_metrics: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connection: ConnectionSettings::default(),
            stream: StreamSettings::default(),
            media: MediaSettings::default(),
            time: TimeSettings::default(),
            buffer: BufferSettings::default(),
            spool: SpoolSettings::default(),
            session: SessionSettings::default(),
            unused: UnusedSettings::default(),
            post_messages: true,
            get_kvs_metrics: false,
        }
    }
}

impl Settings {
    /// All properties of the element but `stats`, which is no setting.
    pub(super) fn param_specs() -> &'static [glib::ParamSpec] {
        static SPECS: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let mut specs = ConnectionSettings::param_specs();
            specs.extend(StreamSettings::specs());
            specs.extend(MediaSettings::specs());
            specs.extend(TimeSettings::specs());
            specs.extend(BufferSettings::specs());
            specs.extend(SpoolSettings::specs());
            specs.extend(SessionSettings::specs());
            specs.extend(UnusedSettings::specs());
            specs.push(switch(
                "post-messages",
                "Post messages",
                "Post kvs-state, kvs-fragment-ack, kvs-pressure and kvs-dropped on the bus",
                true,
            ));
            specs.push(switch(
                "get-kvs-metrics",
                "Get KVS metrics",
                "Emit stream-client-metric, with the structure of stats, for each stored fragment",
                false,
            ));
            specs
        });
        &SPECS
    }

    /// Takes a property over. The value has the property's type: GObject has checked it.
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) {
        let taken = self.connection.set(name, value)
            || self.stream.set(name, value)
            || self.media.set(name, value)
            || self.time.set(name, value)
            || self.buffer.set(name, value)
            || self.spool.set(name, value)
            || self.session.set(name, value)
            || self.unused.set(name, value);
        match name {
            _ if taken => {}
            "post-messages" => take(&mut self.post_messages, value),
            "get-kvs-metrics" => take(&mut self.get_kvs_metrics, value),
            _ => {}
        }
    }

    /// Why a property has no effect, if it has none.
    pub(super) fn has_no_effect(name: &str) -> Option<&'static str> {
        unused::why(name)
    }

    /// Reads a property back; `None` if there is none of that name.
    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        match name {
            "post-messages" => return Some(self.post_messages.to_value()),
            "get-kvs-metrics" => return Some(self.get_kvs_metrics.to_value()),
            _ => {}
        }
        { self.connection.get(name) }
            .or_else(|| self.stream.get(name))
            .or_else(|| self.media.get(name))
            .or_else(|| self.time.get(name))
            .or_else(|| self.buffer.get(name))
            .or_else(|| self.spool.get(name))
            .or_else(|| self.session.get(name))
            .or_else(|| self.unused.get(name))
    }

    /// What the producer is told.
    ///
    /// # Errors
    /// A property makes no sense; the text names it and says what to do.
    pub(super) fn producer_config(&self) -> Result<ProducerConfig, ServiceError> {
        let mut config = ProducerConfig {
            create: self.stream.new_stream()?,
            tags: self.stream.tags()?,
            ..ProducerConfig::default()
        };
        self.media.apply(&mut config);
        self.time.apply(&mut config);
        self.buffer.apply(self.time.streaming_type, &mut config);
        self.session.apply(&mut config);
        Ok(config)
    }

    /// Where the spool is, if there is to be one.
    pub(super) fn spool_config(&self) -> Option<SpoolConfig> {
        self.spool.config()
    }

    /// How much it may hold.
    pub(super) fn spool_limits(&self) -> SpoolLimits {
        self.spool.limits()
    }

    /// How running time becomes producer time.
    pub(super) fn timeline(&self) -> Timeline {
        self.time.timeline()
    }

    /// Whether audio outside its segment is left out.
    pub(super) fn clips(&self) -> bool {
        self.time.clips()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kvs_client::producer::Streaming;

    use super::*;
    use crate::kvssink::{Leaky, StreamingType};

    fn config(set: &[(&str, glib::Value)]) -> ProducerConfig {
        let mut settings = Settings::default();
        for (name, value) in set {
            settings.set(name, value);
            let read = settings.get(name).expect("it is there");
            assert_eq!(read.type_(), value.type_(), "{name}");
        }
        settings.producer_config().expect("it makes sense")
    }

    #[test]
    fn durations_are_taken_in_their_units() {
        let config = config(&[
            ("fragment-duration", 1500_u32.to_value()),
            ("timecode-scale", 10_u32.to_value()),
            ("buffer-duration", 11_u32.to_value()),
            ("replay-duration", 12_u32.to_value()),
            ("max-latency", 13_u32.to_value()),
            ("connection-staleness", 14_u32.to_value()),
            ("rotation-period", 15_u32.to_value()),
            ("stop-stream-timeout", 16_u32.to_value()),
            ("storage-size", 17_u32.to_value()),
        ]);
        assert_eq!(config.fragment_duration, Duration::from_millis(1500));
        assert_eq!(config.timecode_scale, Duration::from_millis(10));
        assert_eq!(config.buffer_duration, Duration::from_secs(11));
        assert_eq!(config.replay_duration, Duration::from_secs(12));
        assert_eq!(config.latency_max, Duration::from_secs(13));
        assert_eq!(config.connection_staleness, Duration::from_secs(14));
        assert_eq!(config.rotation_period, Duration::from_secs(15));
        assert_eq!(config.stop_timeout, Duration::from_secs(16));
        assert_eq!(config.storage_bytes_max, 17 << 20);
    }

    #[test]
    fn a_source_waits_where_leaky_or_the_streaming_type_says_so() {
        use Leaky::{Auto, Downstream, No};
        use StreamingType::{NearRealtime, Offline, Realtime};
        for (streaming_type, leaky, waits) in [
            (Realtime, Auto, false),
            (NearRealtime, Auto, false),
            (Offline, Auto, true),
            (Realtime, No, true),
            (Offline, Downstream, false),
        ] {
            let config = config(&[
                ("streaming-type", streaming_type.to_value()),
                ("leaky", leaky.to_value()),
            ]);
            let expected = if waits {
                Streaming::Offline
            } else {
                Streaming::Realtime
            };
            assert_eq!(config.streaming, expected, "{streaming_type:?}, {leaky:?}");
        }
    }

    #[test]
    fn a_stream_that_may_not_be_made_keeps_its_tags() {
        let tags = gst::Structure::builder("stream-tags").field("site", "north");
        let config = config(&[
            ("allow-create-stream", false.to_value()),
            ("stream-tags", Some(tags.build()).to_value()),
        ]);
        assert_eq!(config.create, None);
        assert_eq!(
            config.tags,
            [("site".to_owned(), "north".to_owned())].into()
        );
    }
}

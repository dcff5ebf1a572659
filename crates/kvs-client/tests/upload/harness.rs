//! A server, a producer whose events are a channel, and frames to send.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use kvs_client::producer::{
    Producer, ProducerConfig, ProducerEvent, PushOutcome, Sample, TrackFormat,
};
use kvs_client::{ConnectionConfig, NewStream, Service};
use kvs_media::{AudioFormat, ProducerTime, TrackKind, TrackNumber, VideoFormat};
use kvs_server::{Config, Handle, Server};
use tokio::sync::mpsc;

/// Longer than anything here takes, shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(60);
/// When the first frame was taken.
pub(crate) const START: ProducerTime = ProducerTime::from_ms(1_767_225_600_000);
/// 25 frames a second.
pub(crate) const FRAME_NS: u64 = 40_000_000;

/// A server with everything in memory.
pub(crate) async fn server() -> Handle {
    server_at(SocketAddr::from(([127, 0, 0, 1], 0)), None).await
}

/// A server on that address, with its store in that folder.
pub(crate) async fn server_at(listen: SocketAddr, data: Option<std::path::PathBuf>) -> Handle {
    let config = Config {
        listen,
        data,
        ..Config::default()
    };
    Server::start(config).await.expect("a server starts")
}

/// A producer and what it says.
pub(crate) struct Upload {
    pub(crate) producer: Producer,
    events: mpsc::UnboundedReceiver<ProducerEvent>,
}

impl Upload {
    pub(crate) fn start(connection: ConnectionConfig, config: ProducerConfig) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Handle::current();
        let tell = move |event| drop(sender.send(event));
        Self {
            producer: Producer::start(Service::new(connection), config, None, &runtime, tell),
            events,
        }
    }

    /// The next event that `wanted` takes; the others are left out.
    pub(crate) async fn until<T>(
        &mut self,
        mut wanted: impl FnMut(&ProducerEvent) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("an event comes");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .expect("the event comes in time")
    }

    /// Waits for the good end, without any loss on the way.
    pub(crate) async fn drained(&mut self) {
        let unconfirmed = self
            .until(|event| match event {
                ProducerEvent::Drained { unconfirmed } => Some(*unconfirmed),
                ProducerEvent::Dropped(dropped) => panic!("{dropped:?}"),
                ProducerEvent::Failed { message, .. } => panic!("{message}"),
                _ => None,
            })
            .await;
        assert_eq!(unconfirmed, None);
    }

    pub(crate) fn video(&self) -> TrackNumber {
        let track = self.producer.add_track(TrackFormat {
            kind: TrackKind::Video(VideoFormat {
                width: 640,
                height: 360,
            }),
            name: Some("video".to_owned()),
            codec_id: "V_MPEG4/ISO/AVC".to_owned(),
            codec_private: Some(Bytes::from_static(&[1, 66, 0, 30, 255, 225, 0, 0, 0])),
        });
        track.expect("there is room for a track")
    }

    pub(crate) fn audio(&self) -> TrackNumber {
        let track = self.producer.add_track(TrackFormat {
            kind: TrackKind::Audio(AudioFormat {
                sample_rate: 48_000.0,
                channels: 2,
                bit_depth: None,
            }),
            name: Some("audio".to_owned()),
            codec_id: "A_AAC".to_owned(),
            codec_private: Some(Bytes::from_static(&[0x11, 0x90])),
        });
        track.expect("there is room for a track")
    }

    pub(crate) fn push(&self, track: TrackNumber, sample: Sample) {
        assert_eq!(self.producer.push(track, sample), PushOutcome::Accepted);
    }
}

/// The video's frame of that index: a key frame each second, each with bytes of its own.
pub(crate) fn picture(index: u64) -> Sample {
    sample(
        START.saturating_add_ns(index * FRAME_NS),
        index.is_multiple_of(25),
        index,
    )
}

/// The audio's packet of that index: AAC at 48 kHz.
pub(crate) fn packet(index: u64) -> Sample {
    let time = START.saturating_add_ns(index * 1024 * 1_000_000_000 / 48_000);
    sample(time, true, index)
}

fn sample(time: ProducerTime, key: bool, index: u64) -> Sample {
    let len = 100 + (index as usize * 37) % 900;
    let mut data = index.to_be_bytes().to_vec();
    data.resize(len, index as u8);
    Sample {
        time,
        decode_time: None,
        duration_ns: None,
        key,
        data: Bytes::from(data).into(),
    }
}

/// A stream that keeps a day.
pub(crate) fn config() -> ProducerConfig {
    ProducerConfig {
        create: Some(NewStream {
            retention_hours: 24,
            ..NewStream::default()
        }),
        ..ProducerConfig::default()
    }
}

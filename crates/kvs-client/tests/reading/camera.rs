//! A camera: a server to send to, and PutMedia over a plain socket, fragment by fragment.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use kvs_client::{NewStream, Service};
use kvs_media::mkv::{Muxer, MuxerSettings, Tag};
use kvs_media::{Frame, FrameData, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat};
use kvs_server::store::StoreError;
use kvs_server::{Config, Handle, Server, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connection::connection;

/// Longer than anything here takes, shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(60);
/// When the first frame was taken.
pub(crate) const START_MS: u64 = 1_767_225_600_000;
/// A fragment has ten frames, and the next one follows at once.
pub(crate) const FRAGMENT_MS: u64 = 400;

/// A server that ends an idle GetMedia soon.
pub(crate) async fn server(listen: Option<SocketAddr>, data: Option<&Path>) -> Handle {
    let config = Config {
        listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        data: data.map(Path::to_path_buf),
        get_media_idle: Some(Duration::from_millis(300)),
        ..Config::default()
    };
    // A store is free again when the last task of the server before has let it go.
    let started = async {
        loop {
            match Server::start(config.clone()).await {
                Err(StartError::Store(StoreError::InUse(_))) => tokio::task::yield_now().await,
                other => return other.expect("a server starts"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, started)
        .await
        .expect("a free store in time")
}

/// The stream `cam` of that server.
pub(crate) fn service(url: &str) -> Service {
    Service::new(connection(url))
}

pub(crate) async fn create(service: &Service) -> String {
    let new = NewStream {
        retention_hours: 24,
        ..NewStream::default()
    };
    service.create_stream(&new).await.expect("a stream")
}

/// The fragment of that index: ten frames, each with bytes of its own.
pub(crate) fn fragment(index: u64) -> Vec<Frame> {
    let frame = |at: u64| Frame {
        track: TrackNumber::new(1).expect("a track"),
        time: ProducerTime::from_ms(START_MS + index * FRAGMENT_MS + at * 40),
        decode_time: None,
        duration_ns: None,
        key: at == 0,
        data: FrameData::from(Bytes::from(vec![
            (index * 10 + at) as u8;
            200 + at as usize
        ])),
    };
    (0..10).map(frame).collect()
}

pub(crate) fn fragments(indices: impl IntoIterator<Item = u64>) -> Vec<Frame> {
    indices.into_iter().flat_map(fragment).collect()
}

/// An open PutMedia.
pub(crate) struct Camera {
    socket: TcpStream,
    muxer: Muxer,
    /// What the server said and has not been looked at.
    heard: String,
}

impl Camera {
    pub(crate) async fn connect(server: SocketAddr) -> Self {
        let mut socket = TcpStream::connect(server)
            .await
            .expect("the server listens");
        let head = format!(
            "POST /putMedia HTTP/1.1\r\nHost: {server}\r\nx-amzn-stream-name: cam\r\n\
             x-amzn-fragment-timecode-type: ABSOLUTE\r\n\
             x-amzn-producer-start-timestamp: 1767225600.000\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.expect("written");
        let track = Track {
            number: TrackNumber::new(1).expect("a track"),
            kind: TrackKind::Video(VideoFormat {
                width: 64,
                height: 48,
            }),
            name: None,
            codec_id: "V_MPEG4/ISO/AVC".to_owned(),
            codec_private: Some(Bytes::from_static(&[1, 66, 0, 30, 255, 225, 0, 0, 0])),
        };
        let muxer = Muxer::new(&[track], &MuxerSettings::default()).expect("one track");
        let mut camera = Self {
            socket,
            muxer,
            heard: String::new(),
        };
        let header = camera.muxer.header();
        camera.write(vec![header]).await;
        camera
    }

    /// Begins a fragment with these frames of it.
    pub(crate) async fn begin(&mut self, frames: &[Frame]) {
        let mut pieces = Vec::new();
        self.muxer.begin_cluster(frames[0].time, &mut pieces);
        self.write(pieces).await;
        self.go_on(frames).await;
    }

    /// Goes on with the fragment.
    pub(crate) async fn go_on(&mut self, frames: &[Frame]) {
        let mut pieces = Vec::new();
        for frame in frames {
            self.muxer
                .frame(frame, &mut pieces)
                .expect("a frame of the cluster");
        }
        self.write(pieces).await;
    }

    /// Ends the fragment, with metadata, and waits until it is kept.
    pub(crate) async fn end(&mut self) {
        let mut pieces = Vec::new();
        self.muxer.tags(&[Tag::new("place", "door")], &mut pieces);
        self.muxer.end_of_fragment(&mut pieces);
        self.write(pieces).await;
        let persisted = async {
            while !self.heard.contains("PERSISTED") {
                let mut buffer = [0; 1024];
                let len = self.socket.read(&mut buffer).await.expect("acks");
                assert!(len > 0, "the server hung up: {}", self.heard);
                self.heard
                    .push_str(&String::from_utf8_lossy(&buffer[..len]));
                assert!(!self.heard.contains("ERROR"), "{}", self.heard);
            }
        };
        tokio::time::timeout(PATIENCE, persisted)
            .await
            .expect("an ack in time");
        self.heard.clear();
    }

    /// Sends whole fragments.
    pub(crate) async fn send(&mut self, indices: impl IntoIterator<Item = u64>) {
        for index in indices {
            self.begin(&fragment(index)).await;
            self.end().await;
        }
    }

    async fn write(&mut self, pieces: Vec<Bytes>) {
        let body = pieces.concat();
        let mut chunk = format!("{:x}\r\n", body.len()).into_bytes();
        chunk.extend_from_slice(&body);
        chunk.extend_from_slice(b"\r\n");
        self.socket.write_all(&chunk).await.expect("written");
    }
}

/// Waits, but not for ever.
pub(crate) async fn in_time<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event)
        .await
        .expect("it happens in time")
}

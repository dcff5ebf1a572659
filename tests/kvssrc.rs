//! `kvssrc` against a real server in process.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use gst::prelude::*;
use kvs_media::mkv::Tag;

use crate::harness;

mod camera;
pub(crate) mod viewer;

use camera::{Camera, audio, frame, payload, video};
use viewer::{Seen, Viewer, bytes};

/// When the first frame of the tests was captured.
const T0: u64 = 1_700_000_000_000;

/// Where the reader's request ends while nothing arrives; a user's server takes 3 s.
const IDLE: Duration = Duration::from_millis(200);

/// A server of its own for each test.
struct Server {
    inner: harness::Server,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start() -> Self {
        Self::with(kvs_server::Config::default())
    }

    /// A server that never ends a GetMedia.
    fn patient() -> Self {
        Self::of(kvs_server::Config {
            get_media_idle: None,
            ..kvs_server::Config::default()
        })
    }

    /// A server that can be started again with what it has stored.
    fn on_disk(data: &Path) -> Self {
        Self::with(kvs_server::Config {
            data: Some(data.to_owned()),
            ..kvs_server::Config::default()
        })
    }

    fn with(config: kvs_server::Config) -> Self {
        Self::of(kvs_server::Config {
            get_media_idle: Some(IDLE),
            ..config
        })
    }

    fn of(config: kvs_server::Config) -> Self {
        harness::init();
        let inner = harness::Server::start_with(config);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        Self { inner, runtime }
    }

    fn url(&self) -> String {
        self.inner.url().to_owned()
    }

    fn address(&self) -> SocketAddr {
        let address = self.inner.url().trim_start_matches("http://");
        address.parse().expect("the server's URL holds its address")
    }

    fn create(&self, stream: &str) {
        let mut config = kvs_client::ConnectionConfig::new(stream.parse().expect("a name"));
        config.endpoint = Some(self.url());
        let new = kvs_client::NewStream {
            retention_hours: 1,
            ..kvs_client::NewStream::default()
        };
        let service = kvs_client::Service::new(config);
        self.runtime
            .block_on(service.create_stream(&new))
            .expect("a new stream");
    }

    /// A stream with `fragments` of one second, ten frames of video in each.
    fn recorded(&self, stream: &str, fragments: u64) -> Camera {
        self.create(stream);
        let mut camera = Camera::open(self.address(), stream, &[video()]);
        for n in 0..fragments {
            camera.fragment(&second_of_video(n));
        }
        camera.end_of_fragment();
        camera
    }
}

/// Ten frames; the first is a key frame.
fn second_of_video(n: u64) -> Vec<kvs_media::Frame> {
    let start = T0 + 1000 * n;
    (0..10).map(|i| frame(1, start + 100 * i, i == 0)).collect()
}

/// What the seconds from..to of video carry.
fn video_payloads(seconds: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    seconds
        .flat_map(second_of_video)
        .map(|frame| frame.data.to_bytes().to_vec())
        .collect()
}

fn payloads(frames: &[(String, gst::Buffer)]) -> Vec<Vec<u8>> {
    frames.iter().map(|(_, buffer)| bytes(buffer)).collect()
}

fn pts_ms(buffer: &gst::Buffer) -> u64 {
    buffer
        .pts()
        .expect("every buffer has a timestamp")
        .mseconds()
}

mod archive;
mod bus;
mod ends;
mod live;
mod state;
mod storms;

//! What tests of pipelines share: a server, a pipeline with its messages, and the way back.

#![allow(dead_code, reason = "no test uses all of it")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use gst::prelude::*;
use kvs_client::{ArchiveReader, ConnectionConfig, FragmentInfo, Item, Range, RangeClock, Service};
use kvs_media::mkv::Tag;
use kvs_media::{Frame, Track, TrackKind};
use kvs_server::{Config, Handle};
use tokio::runtime::Runtime;

/// A test that waits longer hangs.
const HANG: Duration = Duration::from_secs(120);

/// Initialises GStreamer and registers the plugin; every test begins with it.
pub(crate) fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().expect("GStreamer initialises");
        gstkvs::plugin_register_static().expect("the plugin registers");
    });
}

/// Whether all seeds are wanted, not a sample.
pub(crate) fn long() -> bool {
    std::env::var_os("KVS_LONG_TESTS").is_some()
}

/// A file of the repository.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A real server, on a free port, on threads of its own.
pub(crate) struct Server {
    running: Option<(Runtime, Handle)>,
    config: Config,
    url: String,
}

impl Server {
    /// A server that keeps everything in memory.
    pub(crate) fn start() -> Self {
        Self::start_with(Config::default())
    }

    /// A server of a given configuration.
    pub(crate) fn start_with(mut config: Config) -> Self {
        let runtime = threads();
        let server = kvs_server::Server::start(config.clone());
        let handle = runtime.block_on(server).expect("the server starts");
        config.listen = handle.address();
        Self {
            url: handle.url().to_owned(),
            running: Some((runtime, handle)),
            config,
        }
    }

    /// The base URL, for the property `endpoint`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How many connections it has, by the system's own list.
    pub(crate) fn connections(&self) -> usize {
        const ESTABLISHED: &str = "01";
        let port = self.url.rsplit(':').next().expect("a port");
        let port: u16 = port.parse().expect("a number");
        let local = format!(":{port:04X}");
        let list = std::fs::read_to_string("/proc/self/net/tcp").expect("Linux has it");
        let is_ours = |line: &&str| {
            let mut fields = line.split_whitespace().skip(1);
            let address = fields.next();
            address.is_some_and(|address| address.ends_with(&local))
                && fields.nth(1) == Some(ESTABLISHED)
        };
        list.lines().filter(is_ours).count()
    }

    /// Waits until nobody is connected any more.
    pub(crate) fn wait_until_left(&self) {
        let begin = Instant::now();
        while self.connections() > 0 {
            let left = self.connections();
            assert!(begin.elapsed() < HANG, "{left} connections are left");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Stops it in good order. What is in memory is gone.
    pub(crate) fn stop(&mut self) {
        if let Some((runtime, handle)) = self.running.take() {
            runtime.block_on(handle.stop());
            runtime.shutdown_timeout(HANG);
        }
    }

    /// Ends it as a crash would: every task is gone, wherever it was.
    pub(crate) fn crash(&mut self) {
        if let Some((runtime, handle)) = self.running.take() {
            drop(handle);
            runtime.shutdown_timeout(HANG);
        }
    }

    /// Starts it again, at the same address and on the same data.
    pub(crate) fn start_again(&mut self) {
        *self = Self::start_with(self.config.clone());
    }

    /// What a call of the control plane answers.
    pub(crate) fn call(&self, path: &str, request: &serde_json::Value) -> serde_json::Value {
        self.request("POST", path, &request.to_string())
    }

    /// What is found at a path.
    pub(crate) fn get(&self, path: &str) -> serde_json::Value {
        self.request("GET", path, "")
    }

    fn request(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let address = self.url.trim_start_matches("http://");
        let mut connection = TcpStream::connect(address).expect("the server listens");
        let length = body.len();
        write!(
            connection,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("it takes a request");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).expect("JSON")
    }

    /// Everything that is stored of a stream.
    pub(crate) fn read_back(&self, stream: &str) -> Recording {
        threads().block_on(Recording::read(self.url(), stream, RangeClock::Server))
    }

    /// A stream as it is played: in the order of the producer's clock, by which a fragment replaces
    /// another of the same time.
    pub(crate) fn play_back(&self, stream: &str) -> Recording {
        threads().block_on(Recording::read(self.url(), stream, RangeClock::Producer))
    }
}

fn threads() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// What a stream holds.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub(crate) tracks: Vec<Track>,
    pub(crate) fragments: Vec<Arc<FragmentInfo>>,
    /// The metadata of each fragment, `name=value` with blanks between.
    pub(crate) metadata: Vec<String>,
    pub(crate) frames: Vec<Frame>,
}

impl Recording {
    async fn read(url: &str, stream: &str, clock: RangeClock) -> Self {
        let mut config = ConnectionConfig::new(stream.parse().expect("a stream's name"));
        config.endpoint = Some(url.to_owned());
        let everything = Range {
            clock,
            ..Range::default()
        };
        let mut reader = ArchiveReader::new(Service::new(config), everything);
        let mut recording = Self::default();
        loop {
            match reader.next().await.expect("the archive can be read") {
                Item::Tracks(tracks) => recording.tracks = tracks.to_vec(),
                Item::Fragment(fragment) => recording.fragments.push(fragment),
                Item::FragmentEnd(end) => {
                    let shown = |tag: &Tag| format!("{}={}", tag.name, tag.value);
                    let tags: Vec<String> = end.tags.iter().map(shown).collect();
                    recording.metadata.push(tags.join(" "));
                }
                Item::Frame { frame, .. } => recording.frames.push(frame),
                Item::Lost { fragment, why } => panic!("{} is lost: {why}", fragment.number),
                Item::End => return recording,
                _ => {}
            }
        }
    }

    /// The one video track.
    pub(crate) fn video(&self) -> &Track {
        self.track(|kind| matches!(kind, TrackKind::Video(_)))
    }

    /// The one audio track.
    pub(crate) fn audio(&self) -> &Track {
        self.track(|kind| matches!(kind, TrackKind::Audio(_)))
    }

    /// The frames of a track, in order.
    pub(crate) fn frames_of<'a>(&'a self, track: &'a Track) -> impl Iterator<Item = &'a Frame> {
        self.frames
            .iter()
            .filter(|frame| frame.track == track.number)
    }

    fn track(&self, is_wanted: impl Fn(&TrackKind) -> bool) -> &Track {
        let mut tracks = self.tracks.iter().filter(|track| is_wanted(&track.kind));
        let track = tracks.next().expect("the track is there");
        assert!(tracks.next().is_none(), "one such track: {:?}", self.tracks);
        track
    }
}

/// The numbers of all fragments that are stored.
pub(crate) fn stored_fragments(url: &str, stream: &str) -> BTreeSet<String> {
    let recording = threads().block_on(Recording::read(url, stream, RangeClock::Server));
    let numbers = recording.fragments.iter();
    numbers
        .map(|fragment| fragment.number.to_string())
        .collect()
}

/// A pipeline whose messages all come through one channel, in order.
pub(crate) struct Run {
    pub(crate) pipeline: gst::Pipeline,
    messages: Receiver<gst::Message>,
    seen: Vec<String>,
}

impl Run {
    /// A pipeline that does nothing yet.
    pub(crate) fn new(description: &str) -> Self {
        init();
        let pipeline = gst::parse::launch(description)
            .expect("the description is valid")
            .downcast::<gst::Pipeline>()
            .expect("more than one element");
        let (sender, messages) = mpsc::channel();
        let bus = pipeline.bus().expect("a pipeline has a bus");
        bus.set_sync_handler(move |_, message| {
            // The receiver is gone once the test is over.
            let _ = sender.send(message.clone());
            gst::BusSyncReply::Drop
        });
        Self {
            pipeline,
            messages,
            seen: Vec::new(),
        }
    }

    /// A pipeline that plays.
    pub(crate) fn play(description: &str) -> Self {
        let run = Self::new(description);
        run.set_state(gst::State::Playing);
        run
    }

    /// Plays a pipeline to its EOS.
    pub(crate) fn to_end(description: &str) -> Self {
        let mut run = Self::play(description);
        run.wait_for_eos();
        run
    }

    pub(crate) fn set_state(&self, state: gst::State) {
        self.pipeline
            .set_state(state)
            .expect("the state can change");
    }

    /// An element by its name.
    pub(crate) fn element(&self, name: &str) -> gst::Element {
        self.pipeline.by_name(name).expect("the element is there")
    }

    /// Waits for the first message that `wanted` takes; an ERROR that it does not take fails.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&gst::Message) -> Option<T>,
    ) -> T {
        loop {
            let message = match self.messages.recv_timeout(HANG) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no {what} came after:\n{}", self.seen.join("\n"))
                }
            };
            self.seen.push(format!("{message:?}"));
            if let Some(found) = wanted(&message) {
                return found;
            }
            if let gst::MessageView::Error(error) = message.view() {
                panic!("{what} wanted, got {}: {:?}", error.error(), error.debug());
            }
        }
    }

    pub(crate) fn wait_for_eos(&mut self) {
        self.wait_for("EOS", |message| {
            matches!(message.view(), gst::MessageView::Eos(_)).then_some(())
        });
    }

    /// Waits for an ERROR; gives its text.
    pub(crate) fn wait_for_error(&mut self) -> gst::glib::Error {
        self.wait_for("ERROR", |message| match message.view() {
            gst::MessageView::Error(error) => Some(error.error()),
            _ => None,
        })
    }

    /// Waits for an element message of that name.
    pub(crate) fn wait_for_structure(&mut self, name: &str) -> gst::Structure {
        self.wait_for(name, |message| {
            let structure = message.structure()?;
            structure.has_name(name).then(|| structure.to_owned())
        })
    }

    /// Waits until kvssink says that it is in a state.
    pub(crate) fn wait_for_state(&mut self, state: &str) {
        self.wait_for(state, |message| {
            let structure = message.structure()?;
            let is_state = structure.has_name("kvs-state");
            (is_state && structure.get::<&str>("state") == Ok(state)).then_some(())
        });
    }

    /// The messages that have come and were not waited for.
    pub(crate) fn pending(&mut self) -> Vec<gst::Message> {
        self.messages.try_iter().collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A test that has failed already shall show its own failure.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Plays a pipeline to its EOS and stops it; an ERROR fails.
pub(crate) fn run_to_end(pipeline: &gst::Pipeline) {
    pipeline
        .set_state(gst::State::Playing)
        .expect("the pipeline starts");
    wait_for_end(pipeline);
    pipeline
        .set_state(gst::State::Null)
        .expect("the pipeline stops");
}

/// Waits for the EOS of a pipeline that plays; an ERROR fails.
pub(crate) fn wait_for_end(pipeline: &gst::Pipeline) {
    let bus = pipeline.bus().expect("a pipeline has a bus");
    let hang = gst::ClockTime::try_from(HANG).expect("two minutes");
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(hang, &ends).expect("an end in time");
    if let gst::MessageView::Error(error) = message.view() {
        panic!("{}: {:?}", error.error(), error.debug());
    }
}

/// Collects the numbers of the fragments that kvssink is told are PERSISTED.
pub(crate) fn persisted_fragments(pipeline: &gst::Pipeline) -> Arc<Mutex<BTreeSet<String>>> {
    let numbers = Arc::new(Mutex::new(BTreeSet::new()));
    let collected = Arc::clone(&numbers);
    let bus = pipeline.bus().expect("a pipeline has a bus");
    bus.set_sync_handler(move |_, message| {
        if let Some(ack) = message.structure()
            && ack.has_name("kvs-fragment-ack")
            && ack.get::<&str>("type") == Ok("persisted")
            && let Ok(number) = ack.get::<String>("fragment-number")
        {
            collected
                .lock()
                .expect("nobody panics with it")
                .insert(number);
        }
        gst::BusSyncReply::Pass
    });
    numbers
}

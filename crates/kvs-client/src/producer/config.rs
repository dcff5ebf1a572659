//! What a producer is told before it starts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::NewStream;

/// How a producer is to upload. Every value is valid: there is nothing to check afterwards.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// What happens when the buffer is full, and how tracks wait for each other.
    pub streaming: Streaming,
    /// What the stream is made with where it does not exist; `None` never makes it.
    pub create: Option<NewStream>,
    /// Starts a fragment at each key frame of the video; else after each `fragment_duration`.
    pub key_frame_fragmentation: bool,
    /// How long a fragment is where no key frame decides.
    pub fragment_duration: Duration,
    /// Sends nothing until [`Producer::trigger`](super::Producer::trigger), and then only what that
    /// asks for. The buffer keeps the last `buffer_duration`.
    pub on_trigger: bool,
    /// Sends times since 1970; else since the origin of each connection, which its head names.
    pub absolute_times: bool,
    /// Asks for acknowledgements. Without them a fragment counts as stored once it was sent.
    pub acks: bool,
    /// Tags that the stream is to have; one that exists is given those that it lacks.
    pub tags: BTreeMap<String, String>,
    /// A confirmation that takes longer is told; 0 never is.
    pub latency_max: Duration,
    /// The unit of Matroska's timecodes. At least 1 ns; the service's tools expect 1 ms.
    pub timecode_scale: Duration,
    /// How many bytes of frames wait for their PERSISTED at most.
    pub storage_bytes_max: usize,
    /// How much time the waiting frames may span at most.
    pub buffer_duration: Duration,
    /// How far back a reconnect goes among the fragments that were sent before.
    pub replay_duration: Duration,
    /// A connection without any ack for so long, while some are due, is given up.
    pub connection_staleness: Duration,
    /// A connection of that age is replaced; [`ROTATION_MAX`] at most.
    pub rotation_period: Duration,
    /// How long the end of the stream waits for the last acks.
    pub stop_timeout: Duration,
    /// Failures in a row, without a new ack, after which the producer gives up; 0 never does.
    pub retry_attempts: u32,
    /// How long the service may stay out of reach before the first answer ever came.
    pub first_contact: Duration,
    /// The title in the header of each session.
    pub title: String,
    /// The program's name in the header of each session.
    pub writing_app: String,
}

/// The service ends a connection after 45 minutes; we are ahead of it.
pub const ROTATION_MAX: Duration = Duration::from_secs(40 * 60);

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            streaming: Streaming::Realtime,
            create: Some(NewStream {
                retention_hours: 2,
                ..NewStream::default()
            }),
            key_frame_fragmentation: true,
            fragment_duration: Duration::from_secs(2),
            on_trigger: false,
            absolute_times: true,
            acks: true,
            tags: BTreeMap::new(),
            latency_max: Duration::from_secs(60),
            timecode_scale: Duration::from_millis(1),
            storage_bytes_max: 128 << 20,
            buffer_duration: Duration::from_secs(120),
            replay_duration: Duration::from_secs(40),
            connection_staleness: Duration::from_secs(60),
            rotation_period: ROTATION_MAX,
            stop_timeout: Duration::from_secs(120),
            retry_attempts: 0,
            first_contact: Duration::from_secs(30),
            title: "gst-plugin-kvs".to_owned(),
            writing_app: concat!("gst-plugin-kvs ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Whether the source can wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streaming {
    /// The source cannot wait: a full buffer drops its oldest whole fragment, and says so.
    #[default]
    Realtime,
    /// The source waits: a full buffer holds back [`Producer::push`](super::Producer::push).
    Offline,
}

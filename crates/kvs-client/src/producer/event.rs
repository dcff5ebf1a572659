//! What a producer tells its owner.

use std::fmt;
use std::time::Duration;

use kvs_media::{ProducerTime, TrackNumber};
use kvs_protocol::{AckError, FragmentNumber};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProducerEvent {
    /// The producer is in another state.
    State(ProducerState),
    /// The service acknowledged a fragment.
    Ack(FragmentAck),
    /// Frames are lost; nothing is ever lost without this.
    Dropped(Dropped),
    /// Nothing is lost yet, and soon may be.
    Pressure(Pressure),
    /// The source should make a key frame now.
    KeyFrameWanted {
        /// The track that cuts the fragments.
        track: TrackNumber,
    },
    /// Something that the user should know; the upload goes on.
    Warning(Warning),
    /// Every frame was offered and no more acks are awaited. The last event of a good end.
    Drained {
        /// What was not confirmed in time.
        unconfirmed: Option<FrameSpan>,
    },
    /// The upload cannot go on. The last event of a bad end.
    Failed {
        /// What kind of failure it is.
        reason: FailReason,
        /// One line for the user: what failed and what to do.
        message: String,
    },
}

/// Where the producer is; `docs/upload.md` draws the ways between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProducerState {
    /// Not started.
    #[default]
    Idle,
    /// Asks whether the stream exists.
    Describing,
    /// Makes the stream.
    Creating,
    /// Asks where to send.
    Locating,
    /// Waits for the first fragment.
    Ready,
    /// Opens a connection.
    Connecting,
    /// Sends.
    Streaming,
    /// Waits before the next attempt.
    Backoff,
    /// Everything is sent; the last acks are awaited.
    Draining,
    /// The good end.
    Drained,
    /// The bad end.
    Failed,
}

impl ProducerState {
    /// A short name in lower case, for logs and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Describing => "describing",
            Self::Creating => "creating",
            Self::Locating => "locating",
            Self::Ready => "ready",
            Self::Connecting => "connecting",
            Self::Streaming => "streaming",
            Self::Backoff => "backoff",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for ProducerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An acknowledgement, in the producer's own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentAck {
    /// What the service says of the fragment.
    pub kind: AckKind,
    /// The service's number for it, where it gave one.
    pub number: Option<FragmentNumber>,
    /// The fragment's timecode on the wire, in units of the timecode scale.
    pub timecode: Option<u64>,
}

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckKind {
    /// Its first byte arrived.
    Buffering,
    /// All of it arrived.
    Received,
    /// It is stored.
    Persisted,
    /// It, or the session, is refused.
    Error(AckError),
    /// The service waits for more.
    Idle,
}

/// How many frames, and from when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSpan {
    /// How many frames.
    pub frames: u64,
    /// The earliest one's time.
    pub from: ProducerTime,
    /// The latest one's time.
    pub to: ProducerTime,
}

impl FrameSpan {
    /// The span of one frame.
    pub(super) const fn one(time: ProducerTime) -> Self {
        Self {
            frames: 1,
            from: time,
            to: time,
        }
    }

    /// The span of both; `None` has no frame.
    pub fn join(span: Option<Self>, other: Self) -> Self {
        let Some(span) = span else { return other };
        Self {
            frames: span.frames + other.frames,
            from: span.from.min(other.from),
            to: span.to.max(other.to),
        }
    }
}

impl fmt::Display for FrameSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} frames from {} to {}",
            self.frames, self.from, self.to
        )
    }
}

/// A loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// What is lost.
    pub span: FrameSpan,
    /// Why.
    pub why: DropReason,
}

/// Why frames are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// The buffer was full, and the source cannot wait.
    BufferFull,
    /// They came before the first key frame, so that nobody could decode them.
    BeforeKeyFrame,
    /// They were sent, the connection broke, and they lie before the replay duration.
    BeyondReplay,
    /// The service refuses their fragment.
    Refused(AckError),
    /// The muxer cannot express them.
    Unmuxable,
    /// The spool was full.
    SpoolFull,
    /// They were older than the spool keeps.
    SpoolTooOld,
    /// Their file in the spool cannot be read.
    SpoolDamaged,
    /// The producer was stopped before they were confirmed.
    Stopped,
    /// The producer has failed.
    Failed,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferFull => f.write_str("the buffer is full"),
            Self::BeforeKeyFrame => f.write_str("they precede the first key frame"),
            Self::BeyondReplay => f.write_str("they lie before the replay duration"),
            Self::Refused(error) => write!(f, "the service refuses them: {error}"),
            Self::Unmuxable => f.write_str("they do not fit into the container"),
            Self::SpoolFull => f.write_str("the spool is full"),
            Self::SpoolTooOld => f.write_str("they are older than the spool keeps"),
            Self::SpoolDamaged => f.write_str("their file in the spool cannot be read"),
            Self::Stopped => f.write_str("the upload was stopped"),
            Self::Failed => f.write_str("the upload failed"),
        }
    }
}

/// What may soon cost frames. Each is told when it begins, not as long as it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pressure {
    /// So much of the buffer waits for its confirmation: 50, 80 or 95 %.
    Buffer {
        /// The mark that was passed.
        percent: u8,
    },
    /// The oldest fragment waits for its confirmation for longer than it should.
    Latency {
        /// How long it has waited.
        waited: Duration,
    },
}

impl fmt::Display for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer { percent } => write!(f, "{percent} % of the buffer wait for the service"),
            Self::Latency { waited } => write!(
                f,
                "the service has not confirmed a fragment for {} s",
                waited.as_secs()
            ),
        }
    }
}

/// Something that the user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Frames came after their fragment was closed; they carry the start of the next one.
    Late {
        /// The track they belong to.
        track: TrackNumber,
        /// How many, and the times they came with.
        span: FrameSpan,
    },
    /// A fragment was cut without a key frame, since none came in time.
    ForcedCut {
        /// Where the fragment after it starts.
        at: ProducerTime,
    },
    /// The spool cannot be written or read.
    SpoolFails {
        /// What failed.
        message: String,
    },
    /// At the end, frames wait in the spool.
    Spooled {
        /// What waits.
        span: FrameSpan,
    },
    /// The stream does not have the tags that it was to have.
    Untagged {
        /// What failed.
        message: String,
    },
    /// A fragment has as much metadata as the service takes.
    TooMuchMetadata {
        /// What is left out.
        name: String,
    },
    /// The service refuses the metadata of a fragment, which is sent without it.
    MetadataRefused {
        /// What is left out.
        names: Vec<String>,
    },
    /// An attempt failed; another follows.
    Retry {
        /// What failed.
        message: String,
        /// How long the producer waits.
        delay_ms: u64,
        /// How long it goes on trying, where that is bounded: the service has never answered.
        up_to_s: Option<u64>,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { track, span } => write!(
                f,
                "track {track} is late: {span} were moved to the start of the next fragment"
            ),
            Self::ForcedCut { at } => write!(
                f,
                "no key frame came in time: the fragment at {at} starts without one"
            ),
            Self::TooMuchMetadata { name } => write!(
                f,
                "a fragment has nine metadata at most: {name:?} is left out"
            ),
            Self::MetadataRefused { names } => write!(
                f,
                "the service refuses the metadata {names:?} of a fragment, which is sent without"
            ),
            Self::SpoolFails { message } => write!(f, "the spool fails: {message}"),
            Self::Spooled { span } => {
                write!(f, "{span} wait in the spool and go up at the next start")
            }
            Self::Untagged { message } => {
                write!(f, "the stream did not get its tags: {message}")
            }
            Self::Retry {
                message,
                up_to_s: Some(seconds),
                ..
            } => write!(f, "{message}; trying again for up to {seconds} s"),
            Self::Retry {
                message, delay_ms, ..
            } => write!(f, "{message}; trying again in {delay_ms} ms"),
        }
    }
}

/// Why an upload cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailReason {
    /// The stream does not exist, and may not be made.
    NoStream,
    /// The service refuses the credentials.
    Denied,
    /// The service cannot be reached.
    Unreachable,
    /// The service refuses what we send.
    Refused,
}

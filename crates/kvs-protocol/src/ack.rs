//! Acknowledgements of fragments: what PutMedia's response body says line by line.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::FragmentNumber;

mod parser;

pub use parser::{ACK_BYTES_MAX, AckParser, MalformedAck};

/// One acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ack {
    /// The first byte of the fragment arrived.
    Buffering(AckedFragment),
    /// The whole fragment arrived. The last word where nothing is retained.
    Received(AckedFragment),
    /// The fragment is stored. The last word where the stream has a retention period.
    Persisted(AckedFragment),
    /// Something is wrong; the server closes the connection after it.
    Error {
        /// What is wrong.
        error: AckError,
        /// The fragment's timecode, as in [`AckedFragment::timecode`], where one is to blame.
        timecode: Option<u64>,
        /// The fragment's number, where one is to blame.
        number: Option<FragmentNumber>,
    },
    /// Nothing arrived for a while.
    Idle,
}

/// Which fragment an acknowledgement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckedFragment {
    /// The Timecode element of its cluster as the producer wrote it: in units of TimecodeScale,
    /// and relative where the session is.
    pub timecode: u64,
    /// The number that the server gave it.
    pub number: FragmentNumber,
}

impl Ack {
    /// The line as it goes on the wire, with CR LF at its end.
    ///
    /// AWS's own readers take at most 1024 bytes a write: one HTTP chunk holds one line.
    pub fn to_line(&self) -> String {
        let fragment = |event, AckedFragment { timecode, number }: &AckedFragment| {
            format!(
                "{{\"EventType\":\"{event}\",\"FragmentTimecode\":{timecode},\
                 \"FragmentNumber\":\"{number}\"}}\r\n"
            )
        };
        match self {
            Self::Buffering(acked) => fragment("BUFFERING", acked),
            Self::Received(acked) => fragment("RECEIVED", acked),
            Self::Persisted(acked) => fragment("PERSISTED", acked),
            Self::Error {
                error,
                timecode,
                number,
            } => error_line(*error, *timecode, number.as_ref()),
            Self::Idle => "{\"EventType\":\"IDLE\"}\r\n".to_owned(),
        }
    }
}

fn error_line(error: AckError, timecode: Option<u64>, number: Option<&FragmentNumber>) -> String {
    let mut line = String::from("{\"EventType\":\"ERROR\"");
    // Writing to a String cannot fail.
    if let Some(timecode) = timecode {
        let _ = write!(line, ",\"FragmentTimecode\":{timecode}");
    }
    if let Some(number) = number {
        let _ = write!(line, ",\"FragmentNumber\":\"{number}\"");
    }
    let (code, id) = (error.code(), error.id());
    let _ = write!(line, ",\"ErrorCode\":\"{code}\",\"ErrorId\":{id}}}\r\n");
    line
}

macro_rules! ack_errors {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $code:literal;)+) => {
        /// What is wrong, in an [`Ack::Error`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum AckError {
            $($(#[$doc])* $name,)+
            /// Too many tracks. It shares its number with
            /// [`InvalidFragmentMetadata`](Self::InvalidFragmentMetadata), which is what clients
            /// of today read, and has the name that clients of before 2020 read.
            TooManyTracks,
            /// An id that this crate does not know.
            Unknown(u32),
        }

        impl AckError {
            /// Every error that has a number of its own.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The error of that number.
            pub const fn from_id(id: u32) -> Self {
                match id { $($id => Self::$name,)+ _ => Self::Unknown(id) }
            }

            /// The number, `ErrorId` on the wire.
            pub const fn id(self) -> u32 {
                match self {
                    $(Self::$name => $id,)+
                    Self::TooManyTracks => 4012,
                    Self::Unknown(id) => id,
                }
            }

            /// The name, `ErrorCode` on the wire.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                    Self::TooManyTracks => "MORE_THAN_ALLOWED_TRACKS_FOUND",
                    Self::Unknown(_) => "UNKNOWN",
                }
            }
        }
    };
}

ack_errors! {
    /// The body could not be read.
    StreamReadError = 4000, "STREAM_READ_ERROR";
    /// More than 50 MB.
    MaxFragmentSizeReached = 4001, "MAX_FRAGMENT_SIZE_REACHED";
    /// Longer than 20 seconds.
    MaxFragmentDurationReached = 4002, "MAX_FRAGMENT_DURATION_REACHED";
    /// The connection is older than 45 minutes.
    MaxConnectionDurationReached = 4003, "MAX_CONNECTION_DURATION_REACHED";
    /// It does not begin after the end of the fragment before.
    FragmentTimecodeLesserThanPrevious = 4004, "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS";
    /// Too many tracks, as servers of before 2020 say it.
    MoreThanAllowedTracksFound = 4005, "MORE_THAN_ALLOWED_TRACKS_FOUND";
    /// Not Matroska, or an element that may not be there.
    InvalidMkvData = 4006, "INVALID_MKV_DATA";
    /// A time before 1970.
    InvalidProducerTimestamp = 4007, "INVALID_PRODUCER_TIMESTAMP";
    /// The stream was deleted, or is not active any more.
    StreamNotActive = 4008, "STREAM_NOT_ACTIVE";
    /// More than 10 tags, or a tag that is too long.
    FragmentMetadataLimitReached = 4009, "FRAGMENT_METADATA_LIMIT_REACHED";
    /// A frame of a track that was not declared.
    TrackNumberMismatch = 4010, "TRACK_NUMBER_MISMATCH";
    /// A declared track without a frame.
    FramesMissingForTrack = 4011, "FRAMES_MISSING_FOR_TRACK";
    /// A tag with a reserved name.
    InvalidFragmentMetadata = 4012, "INVALID_FRAGMENT_METADATA";
    /// The stream's key may not be used.
    KmsKeyAccessDenied = 4500, "KMS_KEY_ACCESS_DENIED";
    /// The stream's key is disabled.
    KmsKeyDisabled = 4501, "KMS_KEY_DISABLED";
    /// The stream's key is not valid.
    KmsKeyValidationError = 4502, "KMS_KEY_VALIDATION_ERROR";
    /// The key service does not answer.
    KmsKeyUnavailable = 4503, "KMS_KEY_UNAVAILABLE";
    /// The stream's key is of the wrong kind.
    KmsKeyInvalidUsage = 4504, "KMS_KEY_INVALID_USAGE";
    /// The stream's key is in the wrong state.
    KmsKeyInvalidState = 4505, "KMS_KEY_INVALID_STATE";
    /// The stream's key does not exist.
    KmsKeyNotFound = 4506, "KMS_KEY_NOT_FOUND";
    /// The stream was deleted.
    StreamDeleted = 4507, "STREAM_DELETED";
    /// The server failed.
    InternalError = 5000, "INTERNAL_ERROR";
    /// The fragment could not be stored.
    ArchivalError = 5001, "ARCHIVAL_ERROR";
}

impl std::fmt::Display for AckError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.code(), self.id())
    }
}

/// The members of any acknowledgement. Unknown ones are skipped, a repeated one is an error.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    event_type: String,
    fragment_timecode: Option<u64>,
    fragment_number: Option<String>,
    error_id: Option<ErrorId>,
}

/// A bare integer on the wire; AWS's documentation prints it as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorId {
    Number(u32),
    Text(String),
}

/// Reads one JSON object; `Ok(None)` if it is of a type that this crate does not know.
fn read(object: &[u8]) -> Option<Option<Ack>> {
    let members: Members = serde_json::from_slice(object).ok()?;
    let number = match members.fragment_number {
        Some(digits) => Some(digits.parse().ok()?),
        None => None,
    };
    let timecode = members.fragment_timecode;
    let fragment = |number: Option<FragmentNumber>| {
        Some(AckedFragment {
            timecode: timecode?,
            number: number?,
        })
    };
    Some(Some(match members.event_type.as_str() {
        "BUFFERING" => Ack::Buffering(fragment(number)?),
        "RECEIVED" => Ack::Received(fragment(number)?),
        "PERSISTED" => Ack::Persisted(fragment(number)?),
        "ERROR" => {
            let id = match members.error_id? {
                ErrorId::Number(id) => id,
                ErrorId::Text(digits) => digits.parse().ok()?,
            };
            Ack::Error {
                error: AckError::from_id(id),
                timecode,
                number,
            }
        }
        "IDLE" => Ack::Idle,
        _ => return Some(None),
    }))
}

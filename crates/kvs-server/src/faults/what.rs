//! What a fault does: one variant a kind, with the members that it alone has.

use kvs_protocol::ErrorKind;
use serde::{Deserialize, Serialize};

use super::acks::Event;
use super::disk::DiskCall;
use super::shape::Direction;
use super::wire::How;

/// No client waits longer than this for anything, 45 minutes being the age of a session.
const MS_MAX: u64 = 60 * 60 * 1000;
/// A hundred years: from today to 1970 and as far beyond.
const STEP_MS_MAX: u64 = 100 * 365 * 24 * 60 * 60 * 1000;
/// Longer than any message of the service.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Longer than any exception's name.
const NAME_BYTES_MAX: usize = 128;
/// The service's ids have four digits.
const ACK_ERROR_ID_MAX: u32 = 9999;

/// The kind and its members.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum What {
    /// A request is answered like this, and does nothing.
    Answer {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A request waits before it is looked at.
    Delay { delay_ms: u64 },
    /// A connection ends before anything is read from it.
    Refuse {},
    /// A request's connection ends: after a time, at a byte of a body, or else at once.
    Cut {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_ms: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_bytes: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<Direction>,
        #[serde(default)]
        how: How,
    },
    /// A body goes no further than this byte.
    Stall {
        direction: Direction,
        #[serde(default)]
        at_bytes: u64,
    },
    /// A body goes slowly.
    Throttle {
        direction: Direction,
        bytes_per_second: u64,
    },
    /// An ack does not come; without an event any ack.
    AckDrop {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<Event>,
    },
    /// An ack comes late.
    AckDelay {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<Event>,
        delay_ms: u64,
    },
    /// A fragment ends its session with this error: the n-th of it, or without a number any.
    AckError {
        id: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fragment: Option<u64>,
    },
    /// The disk has no room.
    DiskFull {},
    /// A call of the disk fails.
    DiskError { call: DiskCall },
    /// A call of the disk takes so much longer.
    DiskDelay { call: DiskCall, delay_ms: u64 },
    /// The wall clock is so far off as long as the fault is there.
    ClockStep { by_ms: i64 },
}

/// What a kind is about, and so which members of [`Scope`](super::scope::Scope) it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A request: both.
    Request,
    /// A PutMedia: the stream.
    Acks,
    /// The server: none.
    Server,
}

impl What {
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Answer { .. }
            | Self::Delay { .. }
            | Self::Cut { .. }
            | Self::Stall { .. }
            | Self::Throttle { .. } => Place::Request,
            Self::AckDrop { .. } | Self::AckDelay { .. } | Self::AckError { .. } => Place::Acks,
            Self::Refuse {}
            | Self::DiskFull {}
            | Self::DiskError { .. }
            | Self::DiskDelay { .. }
            | Self::ClockStep { .. } => Place::Server,
        }
    }

    /// What makes no sense, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Answer {
                status,
                name,
                message,
            } => answer(*status, name.as_deref(), message.as_deref()),
            Self::Delay { delay_ms }
            | Self::AckDelay { delay_ms, .. }
            | Self::DiskDelay { delay_ms, .. } => ms("delay_ms", *delay_ms),
            Self::ClockStep { by_ms } if by_ms.unsigned_abs() > STEP_MS_MAX => {
                Err(format!("by_ms is from -{STEP_MS_MAX} to {STEP_MS_MAX}"))
            }
            Self::Cut {
                at_ms,
                at_bytes,
                direction,
                ..
            } => match (at_ms, at_bytes, direction) {
                (Some(at_ms), None, None) => ms("at_ms", *at_ms),
                (None, Some(_), Some(_)) | (None, None, None) => Ok(()),
                _ => Err("cut takes at_ms, or at_bytes and direction, or none of them".into()),
            },
            Self::Throttle {
                bytes_per_second: 0,
                ..
            } => Err("bytes_per_second is at least 1; a stall lets nothing through".into()),
            Self::AckError { id, .. } if !(1..=ACK_ERROR_ID_MAX).contains(id) => {
                Err(format!("id is from 1 to {ACK_ERROR_ID_MAX}"))
            }
            Self::AckError {
                fragment: Some(0), ..
            } => Err("fragment counts from 1".into()),
            Self::Stall { .. }
            | Self::Throttle { .. }
            | Self::Refuse {}
            | Self::AckDrop { .. }
            | Self::AckError { .. }
            | Self::DiskFull {}
            | Self::DiskError { .. }
            | Self::ClockStep { .. } => Ok(()),
        }
    }
}

fn answer(status: Option<u16>, name: Option<&str>, message: Option<&str>) -> Result<(), String> {
    if status.is_some_and(|status| !(200..600).contains(&status)) {
        return Err("status is from 200 to 599".into());
    }
    if status.is_none() && name.is_none() {
        return Err("answer needs a status, the name of an exception, or both".into());
    }
    let letters = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric());
    if name.is_some_and(|name| name.is_empty() || name.len() > NAME_BYTES_MAX || !letters(name)) {
        return Err(format!("name has 1 to {NAME_BYTES_MAX} letters and digits"));
    }
    if let (None, Some(name)) = (status, name)
        && ErrorKind::from_name(name).is_none()
    {
        return Err(format!(
            "the service has no exception {name}: spell it as docs/api.md does, or give a status"
        ));
    }
    if message.is_some_and(|message| message.len() > MESSAGE_BYTES_MAX) {
        return Err(format!("message has at most {MESSAGE_BYTES_MAX} bytes"));
    }
    Ok(())
}

fn ms(member: &str, value: u64) -> Result<(), String> {
    match value <= MS_MAX {
        true => Ok(()),
        false => Err(format!("{member} is at most {MS_MAX}")),
    }
}

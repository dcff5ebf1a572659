//! What a fault does: one variant a kind, with the members that it alone has.

use serde::{Deserialize, Serialize};

/// No client waits longer than this for anything, 45 minutes being the age of a session.
const MS_MAX: u64 = 60 * 60 * 1000;
/// Longer than any message of the service.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Longer than any exception's name.
const NAME_BYTES_MAX: usize = 128;

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
}

impl What {
    /// What makes no sense, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Answer {
                status,
                name,
                message,
            } => answer(*status, name.as_deref(), message.as_deref()),
            Self::Delay { delay_ms } => ms("delay_ms", *delay_ms),
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

//! Why a session cannot go on.

use kvs_protocol::ack::AckError;

/// The id for the producer, the reason for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Refused {
    /// What the ERROR ack says.
    pub(crate) id: AckError,
    /// What was found, and where.
    pub(crate) why: String,
}

impl Refused {
    pub(crate) fn new(id: AckError, why: impl Into<String>) -> Self {
        Self {
            id,
            why: why.into(),
        }
    }
}

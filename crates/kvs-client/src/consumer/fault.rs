//! Error chunks: what the service says inside a response that has begun.

use crate::service_error::{ErrorKind, ServiceError, advice};

/// What an error chunk says (GetMedia's API reference lists the ids).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// `AWS_KINESISVIDEO_ERROR_ID`; 0 where it is no number.
    pub(super) id: u32,
    /// `AWS_KINESISVIDEO_ERROR_CODE`.
    pub(super) code: String,
}

impl Fault {
    /// The error that a reader acts on.
    pub(super) fn into_error(self, operation: &str) -> ServiceError {
        let kind = match self.id {
            // 3000 has been seen for fragments that were there on the next try.
            3000 | 4000 => ErrorKind::FragmentNotFound,
            // The key service may be unavailable for a while; a key that is refused stays so.
            4503 => ErrorKind::Unavailable,
            4500..=4599 => ErrorKind::Key,
            _ => ErrorKind::Unavailable,
        };
        let Self { id, code } = self;
        let message = format!("{operation} stopped with error {id} {code}{}", advice(kind));
        ServiceError::new(kind, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_is_final_and_the_rest_is_not() {
        let retryable = |id| {
            let fault = Fault {
                id,
                code: "CODE".into(),
            };
            fault.into_error("GetMedia").is_retryable()
        };
        for id in [0, 3000, 3002, 4000, 4503, 5000, 9999] {
            assert!(retryable(id), "{id}");
        }
        for id in [4500, 4501, 4502, 4504, 4505, 4506] {
            assert!(!retryable(id), "{id}");
        }
    }
}

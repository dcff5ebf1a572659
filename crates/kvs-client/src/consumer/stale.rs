//! What a failed request makes stale, and whether another one may then succeed.

use crate::service_error::{ErrorKind, ServiceError};

/// What is to be forgotten before the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stale {
    pub(super) endpoint: bool,
    pub(super) credentials: bool,
}

/// What has gone stale since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Staleness {
    stale: Stale,
    /// The credentials were refused, and fetched again since; nothing has been read with them.
    credentials_renewed: bool,
}

impl Staleness {
    /// A request failed: whether the same one may succeed, with another endpoint or with new
    /// credentials if need be. Credentials that are refused twice are wrong.
    pub(super) fn may_try_again(&mut self, error: &ServiceError) -> bool {
        match error.kind() {
            ErrorKind::NotAuthorized => {
                self.stale.credentials = true;
                !std::mem::replace(&mut self.credentials_renewed, true)
            }
            ErrorKind::InvalidEndpoint | ErrorKind::Network | ErrorKind::Timeout => {
                self.stale.endpoint = true;
                true
            }
            _ => error.is_retryable(),
        }
    }

    /// Something was read: all that is known is good.
    pub(super) fn reset(&mut self) {
        self.credentials_renewed = false;
    }

    /// What is to be forgotten; told once.
    pub(super) fn take(&mut self) -> Stale {
        std::mem::take(&mut self.stale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind) -> ServiceError {
        ServiceError::new(kind, String::new())
    }

    #[test]
    fn credentials_are_renewed_once_until_something_was_read() {
        let mut staleness = Staleness::default();
        let refused = error(ErrorKind::NotAuthorized);
        let renew = Stale {
            credentials: true,
            endpoint: false,
        };
        assert!(staleness.may_try_again(&refused));
        assert_eq!(staleness.take(), renew);
        assert_eq!(staleness.take(), Stale::default());
        assert!(!staleness.may_try_again(&refused));
        staleness.reset();
        assert!(staleness.may_try_again(&refused));
    }

    #[test]
    fn an_endpoint_that_cannot_be_reached_is_asked_for_again() {
        for kind in [
            ErrorKind::InvalidEndpoint,
            ErrorKind::Network,
            ErrorKind::Timeout,
        ] {
            let mut staleness = Staleness::default();
            assert!(staleness.may_try_again(&error(kind)));
            assert!(staleness.take().endpoint, "{kind:?}");
        }
        let mut staleness = Staleness::default();
        assert!(staleness.may_try_again(&error(ErrorKind::RateLimit)));
        assert!(!staleness.may_try_again(&error(ErrorKind::NotFound)));
        assert_eq!(staleness.take(), Stale::default());
    }
}

//! Credentials in use, fetched again shortly before they expire.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;

/// How long before their expiry credentials are fetched again: a request signed now must still be
/// valid when it arrives, and the provider may need a few tries.
pub(crate) const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// The credentials fetched last.
#[derive(Debug, Default)]
pub(crate) struct CachedCredentials(Option<Credentials>);

impl CachedCredentials {
    /// The credentials, if there are some that stay valid for a while after `now`.
    pub(crate) fn get(&self, now: SystemTime) -> Option<Credentials> {
        self.0
            .as_ref()
            .filter(|held| held.expiry().is_none_or(|at| now + RENEW_BEFORE < at))
            .cloned()
    }

    /// Keeps what was fetched.
    pub(crate) fn put(&mut self, fetched: Credentials) {
        self.0 = Some(fetched);
    }

    /// Forgets them, because the service refused them.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiring_credentials_are_not_given_out() {
        let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let mut cache = CachedCredentials::default();
        assert!(cache.get(SystemTime::UNIX_EPOCH).is_none());
        cache.put(Credentials::new("a", "b", None, Some(expiry), "test"));
        assert!(cache.get(expiry - Duration::from_secs(61)).is_some());
        assert!(cache.get(expiry - Duration::from_secs(60)).is_none());
        cache.put(Credentials::new("a", "b", None, None, "test"));
        assert!(cache.get(expiry).is_some());
        cache.clear();
        assert!(cache.get(expiry).is_none());
    }
}

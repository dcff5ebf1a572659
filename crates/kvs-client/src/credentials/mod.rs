//! Credentials: where they come from, and how they are kept from being shown.

mod cache;
mod chain;
mod file;
mod iot;

use std::path::PathBuf;

pub use kvs_protocol::sigv4::Secret;

pub use iot::IotCertificate;

pub(crate) use cache::{CachedCredentials, RENEW_BEFORE};
pub(crate) use chain::{Chain, Placeholder};

/// Credentials given outright.
#[derive(Clone, Debug)]
pub struct StaticCredentials {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: Secret,
    /// The session token of temporary credentials.
    pub session_token: Option<Secret>,
}

/// Where credentials come from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum CredentialSource {
    /// As every AWS tool looks for them: environment, profile, web identity, and, where the
    /// endpoint is AWS's own, the metadata of the container or of the EC2 instance.
    #[default]
    Default,
    /// Given outright.
    Static(StaticCredentials),
    /// A file of one line: `CREDENTIALS access secret`, or
    /// `CREDENTIALS access expiry secret session`, read again before they expire.
    File(PathBuf),
    /// A device's certificate, exchanged by AWS IoT Core; again before they expire.
    Iot(Box<IotCertificate>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let source = CredentialSource::Static(StaticCredentials {
            access_key: "AKIDEXAMPLE".into(),
            secret_key: Secret::new("wJalrXUtnFEMI"),
            session_token: Some(Secret::new("tokentoken")),
        });
        let shown = format!("{source:?}");
        assert!(
            !shown.contains("wJalr") && !shown.contains("tokentoken"),
            "{shown}"
        );
        assert!(shown.contains("AKIDEXAMPLE"));
    }
}

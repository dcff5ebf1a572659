//! How the tests reach a server.

use kvs_client::{ConnectionConfig, CredentialSource, Secret, StaticCredentials};

/// The stream `cam` of that server.
pub(crate) fn connection(url: &str) -> ConnectionConfig {
    let mut config = ConnectionConfig::new("cam".parse().expect("a name"));
    config.endpoint = Some(url.to_owned());
    config.region = Some("us-west-2".to_owned());
    config.credentials = CredentialSource::Static(StaticCredentials {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret_key: Secret::new("not a secret"),
        session_token: None,
    });
    config
}

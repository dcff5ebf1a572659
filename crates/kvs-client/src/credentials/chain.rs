//! The provider behind a credential source.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError};
use zeroize::Zeroizing;

use super::{CredentialSource, IotCertificate, file};
use crate::service_error::{ErrorKind, ServiceError};

/// Whether a request is signed with made-up credentials where none are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// The endpoint is not AWS's: a local server takes any signature.
    Allowed,
    /// The endpoint is AWS's.
    Refused,
}

/// What fetches credentials. It keeps none.
#[derive(Debug)]
pub(crate) struct Chain {
    source: Source,
    placeholder: Placeholder,
}

#[derive(Debug)]
enum Source {
    Given(Credentials),
    File(PathBuf),
    Iot(Box<IotCertificate>),
    Looked(CredentialsProviderChain),
}

impl Chain {
    /// The provider of a source. `config` has the HTTP client and the region for the sources that
    /// ask somebody.
    pub(crate) fn new(
        source: &CredentialSource,
        config: &ProviderConfig,
        placeholder: Placeholder,
    ) -> Self {
        let source = match source {
            CredentialSource::Static(given) => Source::Given(Credentials::new(
                &given.access_key,
                given.secret_key.expose(),
                given
                    .session_token
                    .as_ref()
                    .map(|token| token.expose().to_owned()),
                None,
                "settings",
            )),
            CredentialSource::File(path) => Source::File(path.clone()),
            CredentialSource::Iot(iot) => Source::Iot(iot.clone()),
            CredentialSource::Default => Source::Looked(default_chain(config, placeholder)),
        };
        Self {
            source,
            placeholder,
        }
    }

    /// Fetches credentials.
    pub(crate) async fn fetch(&self) -> Result<Credentials, ServiceError> {
        match &self.source {
            Source::Given(credentials) => Ok(credentials.clone()),
            Source::File(path) => read_file(path).await.map_err(|why| {
                let message = format!(
                    "the credential file {} cannot be used: {why}",
                    path.display()
                );
                ServiceError::new(ErrorKind::Credentials, message)
            }),
            Source::Iot(iot) => iot.fetch().await,
            Source::Looked(chain) => self.look(chain).await,
        }
    }

    async fn look(&self, chain: &CredentialsProviderChain) -> Result<Credentials, ServiceError> {
        match chain.provide_credentials().await {
            Ok(credentials) => Ok(credentials),
            Err(CredentialsError::CredentialsNotLoaded(_))
                if self.placeholder == Placeholder::Allowed =>
            {
                let what = "signing with placeholders, as the endpoint is not AWS's";
                tracing::info!("no credentials found: {what}");
                Ok(Credentials::new(
                    "placeholder",
                    "placeholder",
                    None,
                    None,
                    "placeholder",
                ))
            }
            Err(error) => {
                let kind = match &error {
                    CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_) => {
                        ErrorKind::CredentialsUnavailable
                    }
                    _ => ErrorKind::Credentials,
                };
                let message = "no usable AWS credentials found: set access-key and secret-key, \
                               AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile";
                Err(ServiceError::new(kind, message.to_owned()).caused_by(error))
            }
        }
    }
}

/// Environment, profile and web identity; the metadata services only for AWS itself, since a local
/// start must not wait until nobody has answered.
fn default_chain(config: &ProviderConfig, placeholder: Placeholder) -> CredentialsProviderChain {
    let chain = CredentialsProviderChain::first_try(
        "Environment",
        EnvironmentVariableCredentialsProvider::new(),
    )
    .or_else(
        "Profile",
        ProfileFileCredentialsProvider::builder()
            .configure(config)
            .build(),
    )
    .or_else(
        "WebIdentityToken",
        WebIdentityTokenCredentialsProvider::builder()
            .configure(config)
            .build(),
    );
    match placeholder {
        Placeholder::Allowed => chain,
        Placeholder::Refused => chain
            .or_else(
                "EcsContainer",
                EcsCredentialsProvider::builder().configure(config).build(),
            )
            .or_else(
                "Ec2InstanceMetadata",
                ImdsCredentialsProvider::builder().configure(config).build(),
            ),
    }
}

async fn read_file(path: &Path) -> Result<Credentials, String> {
    let path = path.to_owned();
    let read = move || {
        let mut text = Zeroizing::new(String::new());
        File::open(path)?
            .take(file::FILE_BYTES_MAX)
            .read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    file::parse(&text).map_err(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fetch(path: &Path) -> Result<Credentials, ServiceError> {
        let source = CredentialSource::File(path.to_owned());
        let config = ProviderConfig::empty();
        let chain = Chain::new(&source, &config, Placeholder::Refused);
        chain.fetch().await
    }

    #[tokio::test]
    async fn a_credential_file_is_read_each_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("credential");
        for key in ["AKIDONE", "AKIDTWO"] {
            let line = format!("CREDENTIALS {key} not-a-secret\n");
            std::fs::write(&path, line).expect("written");
            let credentials = fetch(&path).await.expect("a valid file");
            assert_eq!(credentials.access_key_id(), key);
        }
    }

    #[tokio::test]
    async fn a_credential_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("credential");
        let error = fetch(&path).await.expect_err("no such file");
        assert_eq!(error.kind(), ErrorKind::Credentials);
        std::fs::write(&path, "AKIDEXAMPLE not-a-secret").expect("written");
        let error = fetch(&path).await.expect_err("the word is missing");
        let said = error.to_string();
        assert!(
            said.contains("credential") && !said.contains("AKID"),
            "{said}"
        );
    }
}

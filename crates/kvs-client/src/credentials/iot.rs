//! Credentials for a device that has a certificate: AWS IoT Core's credentials provider gives them
//! over mutual TLS.
//!
//! <https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html>

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

use crate::http::dial;
use crate::service_error::{ErrorKind, ServiceError};
use crate::task::OwnedTask;

/// The header that names the device.
const THING_NAME_HEADER: &str = "x-amzn-iot-thingname";
/// An answer is a session token and two keys: some 2 KiB.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A device's certificate, and where it is exchanged for credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IotCertificate {
    /// The host of the account's credentials provider, with a port where it is not 443.
    pub endpoint: String,
    /// The device's certificate, PEM.
    pub cert_path: PathBuf,
    /// Its private key, PEM.
    pub key_path: PathBuf,
    /// The certificates that the provider's is checked by, PEM.
    pub ca_path: PathBuf,
    /// The role alias that says what the device may do.
    pub role_alias: String,
    /// The device's name.
    pub thing_name: String,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How long the whole exchange may take.
    pub completion_timeout: Duration,
}

#[derive(Deserialize)]
struct Answer {
    credentials: Given,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

impl IotCertificate {
    /// Exchanges the certificate. The files are read each time, so that they may be renewed.
    pub(super) async fn fetch(&self) -> Result<Credentials, ServiceError> {
        let exchange = tokio::time::timeout(self.completion_timeout, self.exchange());
        let late = |_| Err(self.unavailable(&"it gives no answer in time"));
        exchange.await.unwrap_or_else(late)
    }

    async fn exchange(&self) -> Result<Credentials, ServiceError> {
        let files = self.clone();
        let config = tokio::task::spawn_blocking(move || files.tls()).await;
        let config = config.map_err(|error| self.unavailable(&error))??;
        let path = format!("/role-aliases/{}/credentials", self.role_alias);
        let uri: Uri = format!("https://{}{path}", self.endpoint)
            .parse()
            .map_err(|_| self.wrong("endpoint", &"it is no host name"))?;
        let dialled = tokio::time::timeout(self.connect_timeout, dial(&uri, Some(config)));
        let stream = dialled
            .await
            .map_err(|_| self.unavailable(&"connecting takes too long"))?
            .map_err(|error| self.unavailable(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unavailable(&error))?;
        let _connection = OwnedTask::spawn(async move {
            // Whoever waits for the answer hears of the error there.
            let _ = connection.await;
        });
        let request = Request::get(path)
            .header(header::HOST, &self.endpoint)
            .header(THING_NAME_HEADER, &self.thing_name)
            .body(Empty::<Bytes>::new())
            .map_err(|error| self.wrong("iot-thing-name", &error))?;
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| self.unavailable(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
        let body = body.await.map_err(|error| self.unavailable(&error))?;
        self.read(status, &body.to_bytes())
    }

    /// What an answer says. Its body goes into no error: it may hold secrets.
    fn read(&self, status: StatusCode, body: &[u8]) -> Result<Credentials, ServiceError> {
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(self.unavailable(&status));
        }
        if status != StatusCode::OK {
            let message = format!(
                "{} gives no credentials ({status}): check role-aliases, iot-thing-name, the \
                 certificate and its policy (iot:AssumeRoleWithCertificate)",
                self.endpoint
            );
            return Err(ServiceError::new(ErrorKind::Credentials, message));
        }
        let unknown = || self.unavailable(&"its answer is not what it should be");
        let answer: Answer = serde_json::from_slice(body).map_err(|_| unknown())?;
        let Given {
            access_key_id,
            secret_access_key,
            session_token,
            expiration,
        } = answer.credentials;
        let expires = DateTime::from_str(&expiration, Format::DateTime).ok();
        let expires = expires.and_then(|expires| SystemTime::try_from(expires).ok());
        Ok(Credentials::new(
            access_key_id,
            secret_access_key,
            Some(session_token),
            Some(expires.ok_or_else(unknown)?),
            "IoT certificate",
        ))
    }

    /// TLS with the device's certificate, which trusts nobody but `ca_path`.
    fn tls(&self) -> Result<Arc<ClientConfig>, ServiceError> {
        let certificates = |field, path: &Path| {
            let read = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| self.wrong_file(field, path, &error))?;
            match read.is_empty() {
                true => Err(self.wrong_file(field, path, &"it holds no certificate")),
                false => Ok(read),
            }
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates("ca-path", &self.ca_path)? {
            let added = roots.add(certificate);
            added.map_err(|error| self.wrong_file("ca-path", &self.ca_path, &error))?;
        }
        let chain = certificates("cert-path", &self.cert_path)?;
        let key = PrivateKeyDer::from_pem_file(&self.key_path)
            .map_err(|error| self.wrong_file("key-path", &self.key_path, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unavailable(&error))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|error| self.wrong_file("cert-path", &self.cert_path, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn unavailable(&self, why: &dyn Display) -> ServiceError {
        let message = format!("the IoT credentials provider {}: {why}", self.endpoint);
        ServiceError::new(ErrorKind::CredentialsUnavailable, message)
    }

    fn wrong(&self, field: &str, why: &dyn Display) -> ServiceError {
        ServiceError::config(format!("iot-certificate: {field}: {why}"))
    }

    fn wrong_file(&self, field: &str, path: &Path, why: &dyn Display) -> ServiceError {
        self.wrong(field, &format!("{} cannot be used: {why}", path.display()))
    }
}

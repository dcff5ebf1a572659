//! HTTP and TLS: one set of trusted certificates for the SDK's calls and for our own connections.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::service_error::{ErrorKind, ServiceError};

mod any_thread;

use any_thread::AnyThread;

/// A connection to the service, plain or TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Stream for T {}

/// What makes connections. Certificates are loaded when the first TLS connection needs them, so
/// that a local server costs none of that.
#[derive(Debug)]
pub struct Http {
    extra: Vec<CertificateDer<'static>>,
    plain: OnceLock<SharedHttpClient>,
    secure: SharedHttpClient,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// The SDK's TLS client, made with its first connection.
#[derive(Debug)]
struct SecureClient {
    extra_pem: Option<Vec<u8>>,
    made: OnceLock<SharedHttpClient>,
}

impl HttpClient for SecureClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.made
            .get_or_init(|| self.make())
            .http_connector(settings, components)
    }
}

impl SecureClient {
    fn make(&self) -> SharedHttpClient {
        // The SDK asserts that there are native roots, where they are asked for.
        let any_native = !native_roots().is_empty();
        let mut store = TrustStore::empty().with_native_roots(any_native);
        if let Some(pem) = &self.extra_pem {
            store = store.with_pem_certificate(pem.clone());
        }
        let context = TlsContext::builder().with_trust_store(store).build();
        aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.expect("its certificates were checked when they were read"))
            .build_https()
    }
}

impl Http {
    /// Trusts the system's certificates, and those in `ca_file`.
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, ServiceError> {
        let (extra_pem, extra) = match ca_file {
            None => (None, Vec::new()),
            Some(path) => {
                let (pem, certificates) = read_pem(path)?;
                (Some(pem), certificates)
            }
        };
        let made = OnceLock::new();
        let secure = SharedHttpClient::new(SecureClient { extra_pem, made });
        Ok(Self {
            extra,
            plain: OnceLock::new(),
            secure: SharedHttpClient::new(AnyThread(secure)),
            tls: OnceLock::new(),
        })
    }

    /// The SDK's HTTP client for a base URL; `None` is AWS's own endpoint.
    pub(crate) fn client(&self, base_url: Option<&str>) -> SharedHttpClient {
        if base_url.is_some_and(|url| url.starts_with("http:")) {
            let plain = || aws_smithy_http_client::Builder::new().build_http();
            let plain = || SharedHttpClient::new(AnyThread(plain()));
            return self.plain.get_or_init(plain).clone();
        }
        self.secure.clone()
    }

    /// Connects to the host of a URL within `timeout`, TLS included, and without Nagle's delay:
    /// every write is a whole piece of media.
    pub async fn connect(
        &self,
        url: &http::Uri,
        timeout: Duration,
    ) -> Result<Box<dyn Stream>, ServiceError> {
        tokio::time::timeout(timeout, self.connect_now(url))
            .await
            .unwrap_or_else(|_| Err(ServiceError::timeout("Connecting")))
            .map_err(|error| error.at(&place(url)))
    }

    async fn connect_now(&self, url: &http::Uri) -> Result<Box<dyn Stream>, ServiceError> {
        let tls = match url.scheme_str() {
            Some("https") => Some(self.tls_config()?),
            _ => None,
        };
        dial(url, tls).await
    }

    /// What our own TLS connections are made with.
    fn tls_config(&self) -> Result<Arc<ClientConfig>, ServiceError> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(native_roots().iter().cloned());
        roots.add_parsable_certificates(self.extra.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                let message = "TLS cannot be set up".to_owned();
                ServiceError::new(ErrorKind::Tls, message).caused_by(error)
            })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }
}

/// Connects to the host of a URL, by TLS where it is given.
pub(crate) async fn dial(
    url: &http::Uri,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Box<dyn Stream>, ServiceError> {
    let host = url.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = url
        .port_u16()
        .unwrap_or(if tls.is_some() { 443 } else { 80 });
    let failed = |error| ServiceError::from_connect("Connecting", error);
    let tcp = TcpStream::connect((bare, port)).await.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    let Some(tls) = tls else {
        return Ok(Box::new(tcp));
    };
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
        ServiceError::config(format!("{host:?} is not a host name that TLS can check"))
    })?;
    let connected = TlsConnector::from(tls).connect(name, tcp).await;
    Ok(Box::new(connected.map_err(failed)?))
}

/// A URL without its path, for errors.
fn place(url: &http::Uri) -> String {
    let scheme = url.scheme_str().unwrap_or_default();
    let authority = url.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}")
}

/// The system's certificates, read once in a process.
fn native_roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let loaded = rustls_native_certs::load_native_certs();
        for error in &loaded.errors {
            tracing::warn!(%error, "a certificate of the system cannot be read");
        }
        loaded.certs
    })
}

/// Reads and checks a file of certificates, so that a wrong one is an error of its setting.
fn read_pem(path: &Path) -> Result<(Vec<u8>, Vec<CertificateDer<'static>>), ServiceError> {
    let wrong = |why: String| {
        ServiceError::config(format!(
            "the ca-file {} cannot be used: {why}",
            path.display()
        ))
    };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(format!("it is not PEM ({error})")))?;
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store
            .add(certificate.clone())
            .map_err(|error| wrong(error.to_string()))?;
    }
    Ok((pem, certificates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_ca_file_is_an_error_of_the_setting() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        for text in [
            "",
            "not PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&path, text).expect("written");
            let error = Http::new(Some(&path)).expect_err("must be refused");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("ca-file"), "{error}");
        }
        assert!(Http::new(Some(&folder.path().join("none.pem"))).is_err());
    }

    #[tokio::test]
    async fn nobody_listening_is_a_network_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let addr = listener.local_addr().expect("an address");
        drop(listener);
        let url = format!("http://{addr}").parse().expect("a URL");
        let http = Http::new(None).expect("no file");
        let error = http
            .connect(&url, Duration::from_secs(5))
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.to_string().starts_with(&format!("http://{addr}: ")));
        assert!(error.is_retryable());
    }

    #[tokio::test]
    async fn tls_to_a_plain_server_is_a_tls_error() {
        use tokio::io::AsyncWriteExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let addr = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.expect("a client");
            peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .expect("written");
            peer
        });
        let url = format!("https://{addr}").parse().expect("a URL");
        let http = Http::new(None).expect("no file");
        let error = http
            .connect(&url, Duration::from_secs(5))
            .await
            .expect_err("no TLS");
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        drop(server.await);
    }
}

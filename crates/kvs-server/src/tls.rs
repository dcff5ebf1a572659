//! TLS: a certificate and its key become an acceptor, now and whenever they are read again.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;
use crate::lock::{read, write};
use crate::start_error::StartError;

/// What new connections are taken with.
pub(crate) struct Tls {
    files: TlsFiles,
    acceptor: RwLock<TlsAcceptor>,
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// A file cannot be read, holds no PEM of its kind, or the key is not the certificate's.
    pub(crate) fn open(files: &TlsFiles) -> Result<Self, StartError> {
        Ok(Self {
            files: files.clone(),
            acceptor: RwLock::new(acceptor(files)?),
        })
    }

    /// The acceptor of the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        read(&self.acceptor).clone()
    }

    /// Reads both files again. Open connections keep what they have.
    ///
    /// # Errors
    /// As [`open`](Self::open); then all stays as it was.
    pub(crate) fn reload(&self) -> Result<(), StartError> {
        *write(&self.acceptor) = acceptor(&self.files)?;
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish()
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, StartError> {
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&files.cert, &error))?;
    if chain.is_empty() {
        return Err(wrong(&files.cert, &"holds no certificate in PEM form"));
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(&files.cert, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> StartError {
    StartError::Tls {
        path: path.into(),
        what: error.to_string(),
    }
}

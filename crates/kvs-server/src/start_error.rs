//! What keeps a server from starting.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::store::StoreError;

/// Why a server did not start. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}; choose another --listen")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// An open server would be reachable from other machines.
    #[error(
        "refusing to listen on {0} without --credentials: anybody could read and write; \
         give --credentials FILE, or listen on 127.0.0.1"
    )]
    OpenToNetwork(SocketAddr),
    /// The credentials file is unusable.
    #[error("--credentials {path}: {what}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where. Never a secret.
        what: String,
    },
    /// A TLS file is unusable.
    #[error("TLS file {path}: {what}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A file to begin with is unusable.
    #[error("--seed {path}: {what}")]
    Seed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A flag makes no sense.
    #[error("--{flag} {value}: {what}")]
    Flag {
        /// The flag's name.
        flag: &'static str,
        /// What was given.
        value: String,
        /// What is wrong, and what to give instead.
        what: &'static str,
    },
}

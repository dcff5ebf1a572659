//! Producer and consumer of Kinesis Video Streams.
//!
//! Everything that talks to the service lives here: credentials, the control plane, uploading
//! (PutMedia) and reading (GetMedia and the archive). AWS and `kvs-server` are reached by the same
//! code; only the endpoint differs.

mod clock;
pub mod connection;
pub mod control;
pub mod credentials;
pub mod http;
pub mod producer;
pub mod service;
pub mod service_error;

pub use connection::{ConnectionConfig, StreamId};
pub use control::{DataApi, NewStream, StreamDescription};
pub use credentials::{CredentialSource, Secret, StaticCredentials};
pub use service::Service;
pub use service_error::{ErrorKind, ServiceError};

//! Producer and consumer of Kinesis Video Streams.
//!
//! Everything that talks to the service lives here: credentials, the control plane, uploading
//! (PutMedia) and reading (GetMedia and the archive). AWS and `kvs-server` are reached by the same
//! code; only the endpoint differs.

mod backoff;
mod clock;
pub mod connection;
pub mod consumer;
pub mod control;
pub mod credentials;
pub mod http;
mod jitter;
pub mod producer;
mod random;
pub mod service;
pub mod service_error;
mod spool;
mod task;

pub use connection::{ConnectionConfig, StreamId};
pub use consumer::{
    ArchiveReader, Extent, FragmentEnd, FragmentInfo, Item, LiveConfig, LiveReader, Range,
    RangeClock, Start,
};
pub use control::{DataApi, NewStream, StreamDescription};
pub use credentials::{CredentialSource, IotCertificate, Secret, StaticCredentials};
pub use kvs_protocol::{FragmentNumber, Timestamp};
pub use service::Service;
pub use service_error::{ErrorKind, ServiceError};
pub use spool::{Spool, SpoolConfig, SpoolError};

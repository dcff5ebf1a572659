//! A Kinesis Video Streams server with durable storage, for one machine.
//!
//! The binary is this library behind flags; tests start it in process:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kvs_server::StartError> {
//! let server = kvs_server::Server::start(kvs_server::Config::default()).await?;
//! println!("AWS_ENDPOINT_URL={}", server.url());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```

mod access;
mod api;
mod app;
mod ask;
mod auth;
mod backup_socket;
pub mod clock;
mod config;
mod connection;
mod cors;
mod faults;
mod host;
mod ids;
mod ingest;
mod live;
mod lock;
mod metrics;
mod quotas;
mod reader;
mod router;
mod seed;
mod server;
mod start_error;
mod stopping;
pub mod store;
mod stored;
mod tls;

pub use config::{ACCOUNT_ID, Config, GET_MEDIA_IDLE, REGION, TlsFiles};
pub use seed::Seed;
pub use server::{Handle, Server};
pub use start_error::StartError;

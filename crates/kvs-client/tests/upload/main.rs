//! Upload and reading back, against a real server in this process.

#[path = "../connection/mod.rs"]
mod connection;
mod harness;
mod outage;
mod refusal;
mod roundtrip;

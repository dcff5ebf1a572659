//! Upload and reading back, against a real server in this process.

mod harness;
mod outage;
mod refusal;
mod roundtrip;

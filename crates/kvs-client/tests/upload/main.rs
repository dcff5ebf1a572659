//! Upload and reading back, against a real server in this process.

mod harness;
mod roundtrip;

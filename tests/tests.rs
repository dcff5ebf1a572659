//! The elements in real pipelines, against a real server in this process.
//!
//! One test binary: a test of something that users see goes here, into the module of its element;
//! a test of one part stands beside that part.

mod data_tracks;
mod durable;
mod frame_exact;
mod harness;
mod kvssink;
mod kvssrc;
mod matroska;
mod recipes;
mod server_process;
mod spool_kill;
mod tidy;

//! The control plane and both readers against a real server.

mod archive;
mod camera;
#[path = "../connection/mod.rs"]
mod connection;
mod control;
mod dropped;
mod live;

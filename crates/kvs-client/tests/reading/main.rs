//! The control plane and both readers against a real server.

mod archive;
mod camera;
mod control;
mod dropped;
mod live;

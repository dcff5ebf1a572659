//! A Kinesis Video Streams server with durable storage, for one machine.

pub mod clock;

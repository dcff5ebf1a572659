//! Producer and consumer of Kinesis Video Streams.

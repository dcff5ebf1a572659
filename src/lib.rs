//! GStreamer elements for Amazon Kinesis Video Streams.

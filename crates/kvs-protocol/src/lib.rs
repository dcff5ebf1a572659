//! The words of the Kinesis Video Streams API: names, acks, errors, requests, signatures.

//! Requests as AWS's own kvssink sent them: their signatures verify, and they are understood.

use std::fs;

use crate::recorded::{Recorded, all, captured, recordings};
use kvs_protocol::api::{
    CreateStream, DescribeStream, GetDataEndpoint, Operation, ProducerTimecodes, PutMedia,
};
use kvs_protocol::{Ack, AckError, AckParser};

#[test]
fn all_signatures_verify() {
    for request in all() {
        let Recorded { name, .. } = &request;
        assert_eq!(request.verify().as_deref(), Ok("AKIDEXAMPLE"), "{name}");
    }
}

#[test]
fn there_are_21_captured_requests() {
    let count = captured().len();
    assert!(count == 0 || count == 21, "{count} requests");
}

#[test]
fn every_request_is_read() {
    for request in captured() {
        let Recorded {
            name, body, path, ..
        } = &request;
        match Operation::from_path(path) {
            Some(Operation::DescribeStream) => {
                assert!(DescribeStream::parse(body).is_ok(), "{name}");
            }
            Some(Operation::CreateStream) => assert!(CreateStream::parse(body).is_ok(), "{name}"),
            Some(Operation::GetDataEndpoint) => {
                assert!(GetDataEndpoint::parse(body).is_ok(), "{name}");
            }
            Some(Operation::PutMedia) => {
                let request = PutMedia::parse(|header| request.header(header)).expect(name);
                assert_eq!(request.timecodes, ProducerTimecodes::Absolute, "{name}");
                assert!(request.acks, "{name}");
            }
            _ => assert_eq!(path, "/tagStream", "{name}"),
        }
    }
}

#[test]
fn every_ack_that_their_client_took_is_read() {
    for path in recordings("acks") {
        let bytes = fs::read(&path).expect("acks");
        let mut parser = AckParser::new();
        let mut persisted = 0;
        for piece in bytes.chunks(7) {
            parser.push(piece);
            while let Some(ack) = parser.next_ack().expect("an ack") {
                match ack {
                    Ack::Persisted(_) => persisted += 1,
                    Ack::Error { error, .. } => assert_eq!(error, AckError::KmsKeyAccessDenied),
                    _ => {}
                }
            }
        }
        assert!(persisted > 0, "{}", path.display());
    }
}

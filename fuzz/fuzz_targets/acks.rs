//! Acknowledgements: what parses, cut anywhere, is written and read again the same.
#![no_main]

use kvs_protocol::{Ack, AckParser};
use libfuzzer_sys::fuzz_target;

fn parse(pieces: &[&[u8]]) -> Vec<Ack> {
    let mut parser = AckParser::new();
    let mut acks = Vec::new();
    for piece in pieces {
        parser.push(piece);
        while let Ok(Some(ack)) = parser.next_ack() {
            acks.push(ack);
        }
    }
    acks
}

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (bytes, at) = input;
    let whole = parse(&[&bytes]);
    let (front, back) = bytes.split_at(at.min(bytes.len()));
    assert_eq!(parse(&[front, back]), whole);
    let lines: String = whole.iter().map(Ack::to_line).collect();
    assert_eq!(parse(&[lines.as_bytes()]), whole);
});

//! Matroska in pieces: the first byte is the size of the pieces, and no cut changes what is found.
#![no_main]

use bytes::Bytes;
use kvs_media::mkv::{DemuxError, Demuxer, Event, Limits};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    header_bytes_max: 4096,
    tags_bytes_max: 4096,
    frame_bytes_max: 4096,
};

fn demux(bytes: &[u8], size: usize) -> (Vec<Event>, Option<DemuxError>) {
    let mut demuxer = Demuxer::new(LIMITS);
    let mut events = Vec::new();
    for piece in bytes.chunks(size) {
        demuxer.push(Bytes::copy_from_slice(piece));
        loop {
            match demuxer.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
        assert!(demuxer.buffered() <= 4096 + size as u64);
    }
    loop {
        match demuxer.finish() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None),
            Err(error) => return (events, Some(error)),
        }
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    assert_eq!(
        demux(bytes, usize::from(size) + 1),
        demux(bytes, bytes.len().max(1))
    );
});

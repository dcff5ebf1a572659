//! An H.264 byte stream in pieces: no cut changes the access units.
#![no_main]

use bytes::Bytes;
use kvs_media::codec::h264::{AccessUnit, Alignment, Assembler, length_prefixed};
use libfuzzer_sys::fuzz_target;

fn assemble(bytes: &[u8], size: usize) -> Vec<Bytes> {
    let mut assembler = Assembler::<()>::new(Alignment::Unknown);
    let mut units: Vec<AccessUnit<()>> = Vec::new();
    let mut failed = false;
    for piece in bytes.chunks(size) {
        failed |= assembler.push(piece, None, false, &mut units).is_err();
    }
    failed |= assembler.flush(&mut units).is_err();
    if failed {
        return Vec::new();
    }
    units.into_iter().map(|unit| unit.data).collect()
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let units = assemble(bytes, usize::from(size) + 1);
    assert_eq!(units, assemble(bytes, bytes.len().max(1)));
    for unit in units {
        assert!(length_prefixed(&unit, 4).all(|nal| nal.is_ok()));
    }
});

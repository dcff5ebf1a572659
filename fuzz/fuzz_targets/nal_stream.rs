//! A byte stream of H.264 or H.265 in pieces: no cut changes the access units.
#![no_main]

use bytes::Bytes;
use kvs_media::codec::h264::H264;
use kvs_media::codec::h265::H265;
use kvs_media::codec::nal::{AccessUnit, Alignment, Assembler, NalCodec, length_prefixed};
use libfuzzer_sys::fuzz_target;

fn assemble<C: NalCodec>(bytes: &[u8], size: usize) -> Vec<Bytes> {
    let mut assembler = Assembler::<C, ()>::new(Alignment::Unknown);
    let mut units: Vec<AccessUnit<C::Config, ()>> = Vec::new();
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

fn check<C: NalCodec>(bytes: &[u8], size: usize) {
    let units = assemble::<C>(bytes, size);
    assert_eq!(units, assemble::<C>(bytes, bytes.len().max(1)));
    for unit in units {
        assert!(length_prefixed(&unit, 4).all(|nal| nal.is_ok()));
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let size = usize::from(size) + 1;
    check::<H264>(bytes, size);
    check::<H265>(bytes, size);
});

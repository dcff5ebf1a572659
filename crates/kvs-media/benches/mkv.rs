//! How fast frames become Matroska and Matroska frames: bytes of a 1080p stream per second.
//!
//! `mux` and `demux` alone do not touch a payload; the figures "with copy" add the one copy that a
//! socket costs on that side, as a measure of what is left to gain.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kvs_media::mkv::{Demuxer, Event, Limits, Muxer, MuxerSettings};
use kvs_media::{Frame, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat};

/// What a socket gives at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// 4 Mb/s at 30 frames a second.
const FRAME_BYTES: usize = 17_000;
const KEY_FRAME_BYTES: usize = 120_000;
const FRAMES_PER_FRAGMENT: u64 = 60;
const FRAGMENTS: u64 = 20;

fn track() -> Track {
    Track {
        number: TrackNumber::new(1).expect("1 is a number"),
        kind: TrackKind::Video(VideoFormat {
            width: 1920,
            height: 1080,
        }),
        name: None,
        codec_id: "V_MPEG4/ISO/AVC".to_owned(),
        codec_private: None,
    }
}

/// Fragments of frames, key frames of `key` bytes and others of `other`.
fn stream(key: usize, other: usize) -> Vec<Vec<Frame>> {
    let (key, other) = (Bytes::from(vec![0x55; key]), Bytes::from(vec![0xAA; other]));
    let frame = |at: u64| Frame {
        track: track().number,
        time: ProducerTime::from_ms(1_700_000_000_000 + at * 1000 / 30),
        decode_time: None,
        duration_ns: None,
        key: at.is_multiple_of(FRAMES_PER_FRAGMENT),
        data: match at % FRAMES_PER_FRAGMENT {
            0 => key.clone(),
            _ => other.clone(),
        }
        .into(),
    };
    (0..FRAGMENTS)
        .map(|at| {
            (at * FRAMES_PER_FRAGMENT..(at + 1) * FRAMES_PER_FRAGMENT)
                .map(frame)
                .collect()
        })
        .collect()
}

fn mux(fragments: &[Vec<Frame>], out: &mut Vec<Bytes>) {
    let mut muxer = Muxer::new(&[track()], &MuxerSettings::default()).expect("one track");
    out.push(muxer.header());
    for frames in fragments {
        muxer.begin_cluster(frames[0].time, out);
        for frame in frames {
            muxer.frame(frame, out).expect("fits");
        }
    }
}

fn demux(chunks: impl IntoIterator<Item = Bytes>) -> usize {
    let mut demuxer = Demuxer::new(Limits::default());
    let mut bytes = 0;
    for chunk in chunks {
        demuxer.push(chunk);
        while let Some(event) = demuxer.next().expect("valid") {
            if let Event::Frame(frame) = event {
                bytes += black_box(frame).data.len();
            }
        }
    }
    bytes
}

fn benchmark(criterion: &mut Criterion) {
    for (name, key) in [("1080p", KEY_FRAME_BYTES), ("17 KB frames", FRAME_BYTES)] {
        let fragments = stream(key, FRAME_BYTES);
        let mut pieces = Vec::new();
        mux(&fragments, &mut pieces);
        let document = Bytes::from(pieces.concat());
        let chunks: Vec<Bytes> = document
            .chunks(CHUNK_BYTES)
            .map(Bytes::copy_from_slice)
            .collect();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function("mux", |bencher| {
            bencher.iter_batched_ref(
                || Vec::with_capacity(pieces.len()),
                |out| mux(black_box(&fragments), out),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("demux", |bencher| {
            bencher.iter_batched(|| chunks.clone(), demux, BatchSize::SmallInput);
        });
        group.bench_function("mux with copy", |bencher| {
            let mut socket = Vec::with_capacity(document.len());
            bencher.iter(|| {
                let mut out = Vec::with_capacity(pieces.len());
                mux(black_box(&fragments), &mut out);
                socket.clear();
                out.iter().for_each(|piece| socket.extend_from_slice(piece));
                black_box(&socket).len()
            });
        });
        group.bench_function("demux with copy", |bencher| {
            bencher.iter(|| demux(document.chunks(CHUNK_BYTES).map(Bytes::copy_from_slice)));
        });
        group.finish();
    }
}

criterion_group!(benches, benchmark);
criterion_main!(benches);

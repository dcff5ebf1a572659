//! What the muxer writes, the demuxer gives back, wherever the input is cut.

use bytes::Bytes;
use kvs_media::mkv::{
    DemuxError, DemuxErrorKind, Demuxer, Event, Limits, Muxer, MuxerSettings, Tag, empty_document,
    tags_element,
};
use kvs_media::{AudioFormat, Frame, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat};

const START_MS: u64 = 1_700_000_000_000;

fn number(number: u64) -> TrackNumber {
    TrackNumber::new(number).expect("1 to 126")
}

fn tracks() -> Vec<Track> {
    let video = Track {
        number: number(1),
        kind: TrackKind::Video(VideoFormat {
            width: 1920,
            height: 1080,
        }),
        name: Some("camera".to_owned()),
        codec_id: "V_MPEG4/ISO/AVC".to_owned(),
        codec_private: Some(Bytes::from_static(&[1, 100, 0, 31])),
    };
    let audio = Track {
        number: number(2),
        kind: TrackKind::Audio(AudioFormat {
            sample_rate: 44_100.0,
            channels: 2,
            bit_depth: Some(16),
        }),
        name: None,
        codec_id: "A_AAC".to_owned(),
        codec_private: None,
    };
    let data = Track {
        number: number(126),
        kind: TrackKind::Data(0x21),
        name: None,
        codec_id: "D_X".to_owned(),
        codec_private: None,
    };
    vec![video, audio, data]
}

fn frame(track: u64, ms: u64, key: bool, data: &[u8]) -> Frame {
    Frame {
        track: number(track),
        time: ProducerTime::from_ms(START_MS + ms),
        decode_time: None,
        duration_ns: None,
        key,
        data: Bytes::copy_from_slice(data).into(),
    }
}

fn muxer() -> Muxer {
    Muxer::new(&tracks(), &MuxerSettings::default()).expect("valid tracks")
}

/// A document of two fragments with tags, and its events without the offsets.
fn document() -> (Vec<Frame>, Vec<u8>) {
    let frames = [
        frame(1, 0, true, b"key"),
        frame(2, 3, true, b"sound"),
        frame(126, 4, true, b""),
        frame(1, 33, false, &[9; 200]),
    ];
    let more = [
        frame(1, 1000, true, b"key again"),
        frame(1, 33_767, false, b"late"),
    ];
    let mut muxer = muxer();
    let mut out = vec![muxer.header()];
    muxer.begin_cluster(frames[0].time, &mut out);
    for frame in &frames {
        muxer.frame(frame, &mut out).expect("fits");
    }
    muxer.tags(
        &[Tag::new("place", "Zürich"), Tag::new("empty", "")],
        &mut out,
    );
    muxer.begin_cluster(more[0].time, &mut out);
    for frame in &more {
        muxer.frame(frame, &mut out).expect("fits");
    }
    muxer.end_of_fragment(&mut out);
    ([&frames[..], &more].concat(), out.concat())
}

/// All events of pieces that are pushed one after another, with the offset after each.
fn demux<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<(u64, Event)>, DemuxError> {
    let mut demuxer = Demuxer::new(Limits::default());
    let mut events = Vec::new();
    for piece in pieces {
        demuxer.push(Bytes::copy_from_slice(piece));
        while let Some(event) = demuxer.next()? {
            events.push((demuxer.offset(), event));
        }
    }
    while let Some(event) = demuxer.finish()? {
        events.push((demuxer.offset(), event));
    }
    Ok(events)
}

fn frames_of(events: &[(u64, Event)]) -> Vec<Frame> {
    let frames = events.iter().filter_map(|(_, event)| match event {
        Event::Frame(frame) => Some(frame.clone()),
        _ => None,
    });
    frames.collect()
}

#[test]
fn a_document_comes_back_as_it_was_written() {
    let (frames, bytes) = document();
    let events = demux([&bytes[..]]).expect("our own bytes are valid");
    assert_eq!(frames_of(&events), frames);
    let mut events = events.into_iter().map(|(_, event)| event);
    assert_eq!(events.next(), Some(Event::Document { offset: 0 }));
    assert!(matches!(
        events.next(),
        Some(Event::Segment { size: None, .. })
    ));
    assert!(
        matches!(events.next(), Some(Event::Info(info)) if info.timecode_scale_ns == 1_000_000)
    );
    assert_eq!(events.next(), Some(Event::Tracks(tracks().into())));
    let tags: Vec<Vec<Tag>> = events
        .filter_map(|event| match event {
            Event::Tags { tags, .. } => Some(tags),
            _ => None,
        })
        .collect();
    assert_eq!(
        tags[0],
        [Tag::new("place", "Zürich"), Tag::new("empty", "")]
    );
    assert_eq!(tags[1], [Tag::new("AWS_KINESISVIDEO_END_OF_FRAGMENT", "")]);
}

#[test]
fn offsets_cut_the_raw_bytes_exactly() {
    let (_, bytes) = document();
    let header = muxer().header();
    let events = demux([&bytes[..]]).expect("valid");
    let mut clusters = Vec::new();
    let mut tags = Vec::new();
    let mut start = 0;
    for (_, event) in &events {
        match *event {
            Event::ClusterStart { offset, .. } => start = offset as usize,
            Event::ClusterEnd { offset } => clusters.push(&bytes[start..offset as usize]),
            Event::Tags { offset, end, .. } => tags.push(&bytes[offset as usize..end as usize]),
            _ => {}
        }
    }
    assert_eq!(
        tags[1],
        tags_element(&[Tag::new("AWS_KINESISVIDEO_END_OF_FRAGMENT", "")])
    );
    let parts = [&header[..], clusters[0], tags[0], clusters[1], tags[1]];
    assert_eq!(parts.concat(), bytes);
    assert_eq!(
        events.last().map(|&(offset, _)| offset),
        Some(bytes.len() as u64)
    );
}

#[test]
fn every_split_gives_the_same_events() {
    let (_, bytes) = document();
    let whole = demux([&bytes[..]]).expect("valid");
    assert_eq!(demux(bytes.chunks(1)).expect("valid"), whole);
    for first in 0..bytes.len() {
        let (head, tail) = bytes.split_at(first);
        assert_eq!(demux([head, tail]).expect("valid"), whole, "cut at {first}");
    }
}

#[test]
fn every_pair_of_cuts_gives_the_same_events() {
    let mut muxer = muxer();
    let mut out = vec![muxer.header()];
    muxer.begin_cluster(ProducerTime::from_ms(START_MS), &mut out);
    muxer
        .frame(&frame(1, 0, true, b"abc"), &mut out)
        .expect("fits");
    muxer.end_of_fragment(&mut out);
    let bytes = out.concat();
    let whole = demux([&bytes[..]]).expect("valid");
    for first in 0..bytes.len() {
        for second in first..bytes.len() {
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(
                demux(pieces).expect("valid"),
                whole,
                "cut at {first}, {second}"
            );
        }
    }
}

#[test]
fn documents_may_be_chained() {
    let (frames, bytes) = document();
    let error_chunk = [
        &empty_document()[..],
        &tags_element(&[Tag::new("CODE", "1")]),
    ]
    .concat();
    let chain = [&bytes[..], &error_chunk, &bytes].concat();
    let events = demux(chain.chunks(7)).expect("valid");
    assert_eq!(frames_of(&events), [&frames[..], &frames].concat());
    let documents = events.iter().filter_map(|(_, event)| match event {
        Event::Document { offset } => Some(*offset as usize),
        _ => None,
    });
    let second = bytes.len();
    let starts = [0, second, second + error_chunk.len()];
    assert_eq!(documents.collect::<Vec<_>>(), starts);
}

#[test]
fn a_truncated_document_is_an_error_after_its_last_frame() {
    let (_, bytes) = document();
    let cut = bytes.len() - 1;
    let error = demux([&bytes[..cut]]).expect_err("cut off");
    assert_eq!(error.kind, DemuxErrorKind::Truncated);
}

//! Documents as other writers make them: known sizes, BlockGroups, lacing, elements unknown here.

use bytes::Bytes;
use kvs_media::mkv::{DemuxError, DemuxErrorKind, Demuxer, Event, Limits};
use kvs_media::{Frame, ProducerTime};

const EBML: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const SEEK_HEAD: u32 = 0x114D_9B74;
const VOID: u32 = 0xEC;
const CRC_32: u32 = 0xBF;
const CUES: u32 = 0x1C53_BB6B;
const INFO: u32 = 0x1549_A966;
const TIMECODE_SCALE: u32 = 0x2A_D7B1;
const TRACKS: u32 = 0x1654_AE6B;
const TRACK_ENTRY: u32 = 0xAE;
const CLUSTER: u32 = 0x1F43_B675;
const TIMECODE: u32 = 0xE7;
const PREV_SIZE: u32 = 0xAB;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
const BLOCK_ADDITIONS: u32 = 0x75A1;
const BLOCK_DURATION: u32 = 0x9B;
const REFERENCE_BLOCK: u32 = 0xFB;
const TAGS: u32 = 0x1254_C367;
const TAG: u32 = 0x7373;
const TARGETS: u32 = 0x63C0;
const TAG_TRACK_UID: u32 = 0x63C5;
const SIMPLE_TAG: u32 = 0x67C8;
const TAG_NAME: u32 = 0x45A3;
const TAG_STRING: u32 = 0x4487;

fn id(id: u32) -> Vec<u8> {
    id.to_be_bytes()[id.leading_zeros() as usize / 8..].to_vec()
}

/// An element with a size of 8 bytes.
fn element(element: u32, body: &[u8]) -> Vec<u8> {
    let size = (1u64 << 56) | body.len() as u64;
    [&id(element)[..], &size.to_be_bytes(), body].concat()
}

/// An element of unknown size, said in one byte.
fn endless(element: u32, body: &[u8]) -> Vec<u8> {
    [&id(element)[..], &[0xFF], body].concat()
}

fn ebml() -> Vec<u8> {
    element(EBML, &element(0x4282, b"matroska"))
}

/// Two tracks, the second with frames of 20 ms.
fn tracks() -> Vec<u8> {
    let entry = |number: u8, more: &[u8]| {
        let fields = [
            element(0xD7, &[number]),
            element(0x83, &[1]),
            element(0x86, b"V_X"),
            more.to_vec(),
        ];
        element(TRACK_ENTRY, &fields.concat())
    };
    let default_duration = element(0x23_E383, &20_000_000_u32.to_be_bytes());
    element(
        TRACKS,
        &[entry(1, &[]), entry(2, &default_duration)].concat(),
    )
}

fn timecode(units: u8) -> Vec<u8> {
    element(TIMECODE, &[units])
}

/// A block's body: track, relative time, flags, payload.
fn block(track: u8, relative: i16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = relative.to_be_bytes();
    [&[0x80 | track, high, low, flags], payload].concat()
}

fn document(segment: &[Vec<u8>]) -> Vec<u8> {
    [ebml(), endless(SEGMENT, &segment.concat())].concat()
}

/// A document with one cluster of these children.
fn with_cluster(children: &[Vec<u8>]) -> Vec<u8> {
    document(&[tracks(), endless(CLUSTER, &children.concat())])
}

fn demux(bytes: &[u8], step: usize) -> Result<Vec<Event>, DemuxError> {
    let mut demuxer = Demuxer::new(Limits::default());
    let mut events = Vec::new();
    for piece in bytes.chunks(step) {
        demuxer.push(Bytes::copy_from_slice(piece));
        while let Some(event) = demuxer.next()? {
            events.push(event);
        }
    }
    while let Some(event) = demuxer.finish()? {
        events.push(event);
    }
    Ok(events)
}

/// The events of valid bytes, the same at every step.
fn events(bytes: &[u8]) -> Vec<Event> {
    let events = demux(bytes, bytes.len()).expect("valid");
    for step in 1..20 {
        assert_eq!(
            demux(bytes, step).as_ref(),
            Ok(&events),
            "in steps of {step}"
        );
    }
    events
}

fn refused(bytes: &[u8]) -> DemuxErrorKind {
    let error = demux(bytes, bytes.len()).expect_err("refused");
    let in_bytes = demux(bytes, 1).expect_err("refused");
    assert_eq!(
        in_bytes, error,
        "the same error at the same place, however it is cut"
    );
    error.kind
}

fn frames(events: &[Event]) -> Vec<&Frame> {
    let frames = events.iter().filter_map(|event| match event {
        Event::Frame(frame) => Some(frame),
        _ => None,
    });
    frames.collect()
}

fn ms(frame: &Frame) -> u64 {
    frame.time.as_ms()
}

#[test]
fn known_sizes_at_every_level() {
    let cluster = |at, key| {
        let block = element(SIMPLE_BLOCK, &block(1, 1, key, b"x"));
        element(CLUSTER, &[timecode(at), block].concat())
    };
    let body = [tracks(), cluster(5, 0x80), cluster(9, 0)].concat();
    let document = [ebml(), element(SEGMENT, &body)].concat();
    let events = events(&[&document[..], &document].concat());
    let seen: Vec<_> = frames(&events)
        .iter()
        .map(|frame| (ms(frame), frame.key))
        .collect();
    assert_eq!(seen, [(6, true), (10, false), (6, true), (10, false)]);
    let ends: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::ClusterEnd { offset } => Some(*offset as usize),
            _ => None,
        })
        .collect();
    assert_eq!(ends[1], document.len());
}

#[test]
fn an_unknown_cluster_ends_with_its_known_segment() {
    let block = element(SIMPLE_BLOCK, &block(1, 0, 0x80, b"x"));
    let cluster = endless(CLUSTER, &[timecode(5), block].concat());
    let segment = element(SEGMENT, &[tracks(), cluster].concat());
    let document = [ebml(), segment].concat();
    let chained = [&document[..], &document].concat();
    assert_eq!(frames(&events(&chained)).len(), 2);
}

#[test]
fn foreign_elements_are_left_out() {
    let block = element(SIMPLE_BLOCK, &block(1, 0, 0x80, b"x"));
    let cluster = [
        element(CRC_32, &[1, 2, 3, 4]),
        timecode(5),
        element(PREV_SIZE, &[9]),
        element(VOID, &[0; 300]),
        block,
        element(0x5654, b"not known at all"),
    ];
    let bytes = document(&[
        element(SEEK_HEAD, &[7; 40]),
        element(VOID, &[0; 5000]),
        tracks(),
        endless(CLUSTER, &cluster.concat()),
        element(CUES, &[1; 10]),
    ]);
    let events = events(&[element(VOID, &[]), bytes].concat());
    assert_eq!(frames(&events).len(), 1);
    assert!(matches!(events.last(), Some(Event::ClusterEnd { .. })));
}

#[test]
fn a_foreign_element_of_any_size_is_dropped_as_it_comes() {
    let size = 1u64 << 40;
    let header = [&id(VOID)[..], &((1 << 56) | size).to_be_bytes()].concat();
    let mut demuxer = Demuxer::new(Limits::default());
    demuxer.push(Bytes::from(document(&[tracks(), header])));
    while demuxer.next().expect("valid").is_some() {}
    let piece = Bytes::from(vec![0; 1 << 20]);
    let at = demuxer.received();
    for _ in 0..1000 {
        demuxer.push(piece.clone());
        assert_eq!(demuxer.next(), Ok(None));
    }
    assert_eq!(demuxer.received(), at + (1000 << 20));
    assert_eq!(
        demuxer.finish().map_err(|error| error.kind),
        Err(DemuxErrorKind::Truncated)
    );
}

#[test]
fn a_block_group_knows_duration_and_references() {
    let key = [
        element(BLOCK_DURATION, &[40]),
        element(BLOCK, &block(1, 0, 0, b"key")),
        element(BLOCK_ADDITIONS, &[1; 30]),
    ];
    let other = [
        element(BLOCK, &block(1, 40, 0x80, b"other")),
        element(REFERENCE_BLOCK, &[0xD8]),
    ];
    let bytes = with_cluster(&[
        timecode(5),
        element(BLOCK_GROUP, &key.concat()),
        element(BLOCK_GROUP, &other.concat()),
    ]);
    let events = events(&bytes);
    let seen: Vec<_> = frames(&events)
        .iter()
        .map(|frame| (ms(frame), frame.key, frame.duration_ns))
        .collect();
    assert_eq!(seen, [(5, true, Some(40_000_000)), (45, false, None)]);
}

#[test]
fn frames_of_a_lace_follow_each_other_in_time() {
    let lace = b"\x02abcdef";
    let group = [
        element(BLOCK, &block(1, 0, 0x04, lace)),
        element(BLOCK_DURATION, &[30]),
    ];
    let bytes = with_cluster(&[
        timecode(100),
        element(SIMPLE_BLOCK, &block(2, 0, 0x84, lace)),
        element(BLOCK_GROUP, &group.concat()),
    ]);
    let events = events(&bytes);
    let seen: Vec<_> = frames(&events)
        .iter()
        .map(|frame| (frame.track.get(), ms(frame), frame.data.to_bytes()))
        .collect();
    let expected: Vec<_> = [(2, 100, "ab"), (2, 120, "cd"), (2, 140, "ef")]
        .into_iter()
        .chain([(1, 100, "ab"), (1, 110, "cd"), (1, 120, "ef")])
        .map(|(track, at, data)| (track, at, Bytes::from(data)))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn tags_of_one_track_are_not_those_of_the_fragment() {
    let tag = |targets: &[u8], name: &[u8]| {
        let simple = [element(TAG_NAME, name), element(TAG_STRING, b"v")].concat();
        let body = [element(TARGETS, targets), element(SIMPLE_TAG, &simple)].concat();
        element(TAG, &body)
    };
    let of_track = tag(&element(TAG_TRACK_UID, &[1]), b"DURATION");
    let of_all = tag(&element(TAG_TRACK_UID, &[0]), b"all");
    let tags = element(TAGS, &[of_track, of_all, tag(&[], b"file")].concat());
    let events = events(&document(&[tags, tracks()]));
    let Some(Event::Tags { tags, .. }) = events.get(2) else {
        panic!("no tags in {events:?}");
    };
    let names: Vec<_> = tags.iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!(names, ["all", "file"]);
}

#[test]
fn times_are_in_the_units_of_the_document() {
    let info = element(INFO, &element(TIMECODE_SCALE, &1000_u16.to_be_bytes()));
    let block = element(SIMPLE_BLOCK, &block(1, -2, 0, b"x"));
    let cluster = endless(CLUSTER, &[timecode(5), block].concat());
    let events = events(&document(&[info, tracks(), cluster]));
    assert_eq!(frames(&events)[0].time, ProducerTime::from_ns(3000));
}

#[test]
fn times_outside_the_range_are_errors() {
    let early = element(SIMPLE_BLOCK, &block(1, -6, 0, b"x"));
    let bytes = with_cluster(&[timecode(5), early]);
    assert_eq!(refused(&bytes), DemuxErrorKind::NegativeTime);
    let late = element(TIMECODE, &u64::MAX.to_be_bytes());
    let bytes = with_cluster(&[late]);
    assert_eq!(refused(&bytes), DemuxErrorKind::TimeOverflow);
    let no_scale = element(INFO, &element(TIMECODE_SCALE, &[0]));
    assert!(matches!(
        refused(&document(&[no_scale])),
        DemuxErrorKind::Malformed { .. }
    ));
}

#[test]
fn blocks_without_track_or_time_are_errors() {
    let block = |track| element(SIMPLE_BLOCK, &block(track, 0, 0, b"x"));
    let bytes = with_cluster(&[timecode(5), block(3)]);
    assert_eq!(
        refused(&bytes),
        DemuxErrorKind::UndeclaredTrack { number: 3 }
    );
    assert_eq!(
        refused(&with_cluster(&[block(1)])),
        DemuxErrorKind::NoTimecode
    );
    assert_eq!(refused(&with_cluster(&[])), DemuxErrorKind::NoTimecode);
    let bytes = document(&[endless(CLUSTER, &timecode(5))]);
    assert_eq!(refused(&bytes), DemuxErrorKind::NoTracks);
    let empty_group = element(BLOCK_GROUP, &[]);
    let kind = refused(&with_cluster(&[timecode(5), empty_group]));
    assert_eq!(kind, DemuxErrorKind::Malformed { id: BLOCK_GROUP });
}

#[test]
fn elements_in_the_wrong_place_are_errors() {
    let segment = endless(SEGMENT, &[]);
    assert_eq!(
        refused(&segment),
        DemuxErrorKind::NotADocument { id: SEGMENT }
    );
    let inside = element(CLUSTER, &[timecode(5), tracks()].concat());
    let kind = refused(&document(&[tracks(), inside]));
    assert_eq!(kind, DemuxErrorKind::Misplaced { id: TRACKS });
    let nested = [ebml(), element(SEGMENT, &ebml())].concat();
    assert_eq!(refused(&nested), DemuxErrorKind::Misplaced { id: EBML });
    let twice = with_cluster(&[timecode(5), timecode(6)]);
    assert_eq!(refused(&twice), DemuxErrorKind::Misplaced { id: TIMECODE });
}

#[test]
fn an_element_larger_than_its_parent_is_an_error_before_it_has_come() {
    let mut cluster = element(CLUSTER, &[timecode(5), element(VOID, &[0; 9])].concat());
    let at = cluster.len() - 10;
    cluster[at] = 200;
    let kind = refused(&document(&[tracks(), cluster]));
    assert_eq!(kind, DemuxErrorKind::Malformed { id: VOID });
}

#[test]
fn a_header_over_the_end_of_its_parent_is_no_element() {
    let segment = element(SEGMENT, &[0x88, 0x6D]);
    let bytes = [
        ebml(),
        segment[..segment.len() - 1].to_vec(),
        vec![0x42, 0x88, 0],
    ]
    .concat();
    assert_eq!(refused(&bytes), DemuxErrorKind::NotAnElement);
}

#[test]
fn what_has_no_size_cannot_be_skipped() {
    let kind = refused(&document(&[endless(TAGS, &[])]));
    assert_eq!(kind, DemuxErrorKind::UnknownSize { id: TAGS });
}

#[test]
fn sizes_over_the_limits_are_errors_before_memory_is_taken() {
    let size = Limits::FRAME_BYTES_MAX + 1;
    let header = [&id(SIMPLE_BLOCK)[..], &((1 << 56) | size).to_be_bytes()].concat();
    let kind = refused(&with_cluster(&[timecode(5), header]));
    let max = Limits::FRAME_BYTES_MAX;
    assert_eq!(
        kind,
        DemuxErrorKind::TooLarge {
            id: SIMPLE_BLOCK,
            size,
            max
        }
    );
    let long_timecode = element(TIMECODE, &[0; 9]);
    let kind = refused(&with_cluster(&[long_timecode]));
    assert!(matches!(
        kind,
        DemuxErrorKind::TooLarge {
            id: TIMECODE,
            max: 8,
            ..
        }
    ));
}

#[test]
fn other_documents_are_refused() {
    let of_type = |doc_type: &[u8]| element(EBML, &element(0x4282, doc_type));
    assert!(demux(&of_type(b"webm"), 4).is_ok());
    let kind = refused(&of_type(b"mocha"));
    assert!(matches!(kind, DemuxErrorKind::UnsupportedDocument { .. }));
    let long_ids = element(EBML, &element(0x42F2, &[5]));
    assert!(matches!(
        refused(&long_ids),
        DemuxErrorKind::UnsupportedDocument { .. }
    ));
    assert_eq!(refused(b"\x00junk"), DemuxErrorKind::NotAnElement);
}

#[test]
fn an_error_behind_a_dropped_element_is_where_the_next_one_begins() {
    let bytes = document(&[element(VOID, &[0; 9]), vec![0]]);
    for step in [1, bytes.len()] {
        let error = demux(&bytes, step).expect_err("0 begins no element");
        assert_eq!(error.offset, bytes.len() as u64 - 1);
    }
}

#[test]
fn an_error_stays() {
    let mut demuxer = Demuxer::new(Limits::default());
    demuxer.push(Bytes::from_static(b"\x00"));
    let error = demuxer.next().expect_err("no element");
    demuxer.push(Bytes::from(ebml()));
    assert_eq!(demuxer.next(), Err(error.clone()));
    assert_eq!(demuxer.finish(), Err(error));
}

#[test]
fn the_bytes_of_a_growing_cluster_are_counted() {
    let head = document(&[tracks(), endless(CLUSTER, &timecode(5))]);
    let block = element(SIMPLE_BLOCK, &block(1, 0, 0, &[7; 100]));
    let mut demuxer = Demuxer::new(Limits::default());
    let mut drain = |bytes: &[u8]| {
        demuxer.push(Bytes::copy_from_slice(bytes));
        while demuxer.next().expect("valid").is_some() {}
        demuxer.cluster_bytes()
    };
    let cluster = endless(CLUSTER, &timecode(5)).len() as u64;
    assert_eq!(drain(&head), Some(cluster));
    assert_eq!(drain(&block[..50]), Some(cluster + 50));
    assert_eq!(drain(&block[50..]), Some(cluster + block.len() as u64));
    assert_eq!(drain(&element(TAGS, &[])), None);
}

#[test]
fn the_bytes_of_a_broken_cluster_are_counted_too() {
    let bytes = with_cluster(&[timecode(5), vec![0]]);
    let mut demuxer = Demuxer::new(Limits::default());
    demuxer.push(Bytes::from(bytes.clone()));
    while let Ok(Some(_)) = demuxer.next() {}
    assert!(demuxer.next().is_err());
    let cluster = endless(CLUSTER, &timecode(5)).len() as u64 + 1;
    assert_eq!(demuxer.cluster_bytes(), Some(cluster));
    assert_eq!(demuxer.received(), bytes.len() as u64);
}

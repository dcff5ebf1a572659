use kvs_media::mkv::{Muxer, MuxerSettings, tags_element};
use proptest::prelude::*;

use super::*;
use crate::consumer::scripted::{EPOCH_MS, Stored, error_chunk, recording, stored, tracks};

/// Everything in a response that comes in these pieces.
fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ChunkEvent>, ChunkError> {
    let mut parser = ChunkParser::new();
    let mut events = Vec::new();
    for piece in pieces {
        parser.push(Bytes::copy_from_slice(piece));
        while let Some(event) = parser.next()? {
            events.push(event);
        }
    }
    while let Some(event) = parser.finish()? {
        events.push(event);
    }
    Ok(events)
}

fn events_of(stored: &Stored, live: bool) -> Vec<ChunkEvent> {
    let fragment = Arc::new(stored.info.clone());
    let mut events = vec![
        ChunkEvent::Tracks(tracks().into()),
        ChunkEvent::Start(Arc::clone(&fragment)),
    ];
    events.extend(stored.frames.iter().cloned().map(ChunkEvent::Frame));
    events.push(ChunkEvent::End(FragmentEnd {
        fragment,
        tags: stored.tags.clone(),
        millis_behind: live.then_some(274),
        continuation: live.then(|| stored.info.number.to_string()),
    }));
    events
}

#[test]
fn chunks_are_fragments_with_their_frames() {
    for live in [true, false] {
        let recording = recording(3);
        let bytes: Vec<u8> = recording
            .iter()
            .flat_map(|stored| stored.chunk(live))
            .collect();
        let expected: Vec<_> = recording
            .iter()
            .flat_map(|stored| events_of(stored, live))
            .collect();
        assert_eq!(parse([bytes.as_slice()]), Ok(expected));
    }
}

#[test]
fn the_events_are_the_same_at_every_split() {
    let recording = [stored(1, EPOCH_MS, 1), stored(2, EPOCH_MS + 40, 2)];
    let bytes: Vec<u8> = recording
        .iter()
        .flat_map(|stored| stored.chunk(true))
        .collect();
    let expected = parse([bytes.as_slice()]);
    assert_eq!(expected.as_ref().map(Vec::len), Ok(12));
    for at in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(parse([head, tail]), expected, "split at {at}");
    }
    assert_eq!(parse(bytes.chunks(1)), expected, "byte by byte");
}

#[test]
fn a_live_fragment_ends_with_its_tags_and_not_with_the_next_chunk() {
    let mut parser = ChunkParser::new();
    parser.push(stored(1, EPOCH_MS, 1).chunk(true).into());
    let mut last = None;
    while let Some(event) = parser.next().expect("valid") {
        last = Some(event);
    }
    assert!(matches!(last, Some(ChunkEvent::End(_))), "{last:?}");
    assert_eq!(parser.finish(), Ok(None));
}

#[test]
fn a_fragment_that_breaks_off_has_no_token() {
    let whole = stored(1, EPOCH_MS, 2);
    let bytes = whole.chunk(true);
    let trailer = bytes.len() - stored(1, EPOCH_MS, 2).chunk(false).len();
    let events = parse([&bytes[..bytes.len() - trailer]]).expect("valid as far as it goes");
    let Some(ChunkEvent::End(end)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (end.continuation.as_deref(), end.millis_behind),
        (None, None)
    );
}

#[test]
fn times_since_the_start_of_the_producer_become_absolute() {
    let mut relative = stored(1, EPOCH_MS, 3);
    let absolute = relative.frames.clone();
    for frame in &mut relative.frames {
        frame.time = ProducerTime::from_ms(frame.time.as_ms() - EPOCH_MS + 5000);
    }
    // The chunk says EPOCH_MS in its tags, and 5 s in its cluster.
    let tracks = tracks();
    let mut muxer = Muxer::new(&tracks, &MuxerSettings::default()).expect("two tracks");
    let mut pieces = vec![muxer.header()];
    pieces.push(tags_element(&[
        Tag::new("AWS_KINESISVIDEO_FRAGMENT_NUMBER", "1"),
        Tag::new("AWS_KINESISVIDEO_SERVER_TIMESTAMP", "1700000000.250"),
        Tag::new("AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", "1700000000.000"),
    ]));
    muxer.begin_cluster(ProducerTime::from_ms(5000), &mut pieces);
    for frame in &relative.frames {
        muxer
            .frame(frame, &mut pieces)
            .expect("a frame of the cluster");
    }
    let events = parse([pieces.concat().as_slice()]).expect("valid");
    let frames: Vec<_> = events
        .into_iter()
        .filter_map(|event| match event {
            ChunkEvent::Frame(frame) => Some(frame),
            _ => None,
        })
        .collect();
    assert_eq!(frames, absolute);
}

#[test]
fn an_error_chunk_is_told_and_what_follows_it_too() {
    let behind = stored(1, EPOCH_MS, 1);
    let bytes = [error_chunk(3000, "FRAGMENT_NOT_FOUND"), behind.chunk(false)].concat();
    let mut expected = vec![ChunkEvent::Error(Fault {
        id: 3000,
        code: "FRAGMENT_NOT_FOUND".to_owned(),
    })];
    expected.extend(events_of(&behind, false));
    assert_eq!(parse([bytes.as_slice()]), Ok(expected));
}

#[test]
fn a_chunk_without_a_cluster_is_a_fragment_without_frames() {
    let mut empty = stored(1, EPOCH_MS, 0);
    empty.tags.clear();
    let bytes = empty.chunk(true);
    let events = parse([bytes.as_slice()]).expect("valid");
    assert_eq!(events, events_of(&empty, true));
}

#[test]
fn a_cluster_that_nobody_named_is_refused() {
    let tracks = tracks();
    let mut muxer = Muxer::new(&tracks, &MuxerSettings::default()).expect("two tracks");
    let mut pieces = vec![muxer.header()];
    muxer.begin_cluster(ProducerTime::from_ms(EPOCH_MS), &mut pieces);
    muxer
        .frame(&stored(1, EPOCH_MS, 1).frames[0], &mut pieces)
        .expect("a frame");
    assert_eq!(
        parse([pieces.concat().as_slice()]),
        Err(ChunkError::Unnamed)
    );
}

#[test]
fn a_flood_of_tags_is_refused() {
    let tags: Vec<_> = (0..100).map(|n| Tag::new(format!("t{n}"), "v")).collect();
    let mut bytes = stored(1, EPOCH_MS, 1).chunk(false);
    (0..20).for_each(|_| bytes.extend(tags_element(&tags)));
    assert_eq!(parse([bytes.as_slice()]), Err(ChunkError::TooManyTags));
}

proptest! {
    #[test]
    fn any_bytes_at_any_split_are_parsed_or_refused(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        valid in any::<bool>(),
        at in any::<proptest::sample::Index>(),
    ) {
        if valid {
            let mut whole = stored(1, EPOCH_MS, 1).chunk(true);
            let place = at.index(whole.len());
            let flipped = bytes.first().copied().unwrap_or(1);
            whole[place] ^= flipped;
            bytes.splice(0..0, whole);
        }
        let (head, tail) = bytes.split_at(at.index(bytes.len() + 1));
        // Where exactly an error lies may depend on how much could be seen of it.
        let split = parse([head, tail]).map_err(|_| ());
        prop_assert_eq!(split, parse([bytes.as_slice()]).map_err(|_| ()));
    }
}

/// A recording of the service: number, both times and frames of each fragment.
fn recorded(name: &str) -> Option<Vec<(String, u64, u64, usize)>> {
    let Some(folder) = std::env::var_os("KVS_TEST_DATA") else {
        eprintln!("skipped: no recordings");
        return None;
    };
    let path = std::path::Path::new(&folder).join(name);
    let bytes = std::fs::read(&path).expect("a recording in the folder that KVS_TEST_DATA names");
    let whole = parse([bytes.as_slice()]).expect("a recording is valid");
    assert_eq!(parse(bytes.chunks(1009)).as_ref(), Ok(&whole));
    let mut fragments: Vec<(String, u64, u64, usize)> = Vec::new();
    for event in whole {
        match event {
            ChunkEvent::Start(info) => fragments.push((
                info.number.to_string(),
                info.server_time.as_ms(),
                info.producer_time.as_ms(),
                0,
            )),
            ChunkEvent::Frame(frame) => {
                let fragment = fragments.last_mut().expect("a fragment before its frames");
                let since_start = frame.time.as_ms() - fragment.2;
                assert!(since_start < 20_000, "{} is not absolute", frame.time);
                fragment.3 += 1;
            }
            ChunkEvent::End(end) => {
                let number = end.fragment.number.to_string();
                assert_eq!(end.continuation.as_deref(), Some(number.as_str()));
                assert!(end.millis_behind.is_some());
            }
            ChunkEvent::Tracks(_) => {}
            ChunkEvent::Error(fault) => panic!("{fault:?}"),
        }
    }
    Some(fragments)
}

#[test]
fn recordings_of_the_service_are_read_with_the_tags_in_them() {
    let fragment = |(number, server_ms, producer_ms): (&str, u64, u64)| {
        (number.to_owned(), server_ms, producer_ms, 60)
    };
    let all = [
        (
            "91343852333181432392682062607743920146159169392",
            1_511_852_109_126,
            1_511_852_108_513,
        ),
        (
            "91343852333181432397633822764885441725874549018",
            1_511_852_110_915,
            1_511_852_110_513,
        ),
        (
            "91343852333181432402585582922026963247510532162",
            1_511_852_112_487,
            1_511_852_112_513,
        ),
        (
            "91343852333181432407537343079168484595829378270",
            1_511_852_113_414,
            1_511_852_114_513,
        ),
        (
            "91343852333181432412489103236310005892133364608",
            1_511_852_114_147,
            1_511_852_116_513,
        ),
    ]
    .map(fragment);
    if let Some(fragments) = recorded("aws-getmedia.mkv") {
        assert_eq!(fragments, all);
    }
    if let Some(fragments) = recorded("aws-getmedia-sparse.mkv") {
        assert_eq!(fragments, [all[0].clone(), all[2].clone(), all[4].clone()]);
    }
}

//! Frames of real recordings are those that ffmpeg finds in them.
//!
//! The recordings lie in the folder that `KVS_TEST_DATA` names. `mkv.rs` guards the same behaviour
//! with documents of our own.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use kvs_media::Frame;
use kvs_media::mkv::{DemuxErrorKind, Demuxer, END_OF_FRAGMENT, Event, Limits};

/// What is compared of a frame: its time in milliseconds and the SHA-256 of its bytes.
type Print = (u64, String);

fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("KVS_TEST_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: no recordings");
    }
    folder
}

fn read(path: &Path) -> Bytes {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes.into()
}

/// All events of a recording that comes in pieces of `size`, and whether it was cut off.
fn demux(recording: &Bytes, size: usize) -> (Vec<Event>, bool) {
    let mut demuxer = Demuxer::new(Limits::default());
    let mut events = Vec::new();
    for at in (0..recording.len()).step_by(size) {
        demuxer.push(recording.slice(at..recording.len().min(at + size)));
        while let Some(event) = demuxer.next().expect("a valid recording") {
            events.push(event);
        }
    }
    loop {
        match demuxer.finish() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, false),
            Err(error) => {
                assert_eq!(error.kind, DemuxErrorKind::Truncated);
                return (events, true);
            }
        }
    }
}

/// The frames of each track, in the order of the input.
fn by_track<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeMap<u8, Vec<Print>> {
    let mut tracks: BTreeMap<u8, Vec<Print>> = BTreeMap::new();
    for event in events {
        if let Event::Frame(Frame {
            track, time, data, ..
        }) = event
        {
            let hash = ring::digest::digest(&ring::digest::SHA256, &data.to_bytes());
            let hash = hash
                .as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            tracks
                .entry(track.get())
                .or_default()
                .push((time.as_ms(), hash));
        }
    }
    tracks
}

/// The same by ffmpeg, which counts streams from 0.
fn by_ffmpeg(document: &[u8]) -> BTreeMap<u8, Vec<Print>> {
    let arguments = "-v error -copyts -i pipe:0 -map 0 -c copy -copyinkf \
                     -f framehash -hash sha256 pipe:1";
    let mut ffmpeg = Command::new("ffmpeg")
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("ffmpeg is needed: run ./setup.sh");
    let mut stdin = ffmpeg.stdin.take().expect("piped");
    let output = std::thread::scope(|scope| {
        // It may stop reading before the end of a recording that is cut off.
        scope.spawn(move || drop(stdin.write_all(document)));
        ffmpeg.wait_with_output().expect("ffmpeg runs")
    });
    let text = String::from_utf8(output.stdout).expect("framehash is text");
    let mut tracks: BTreeMap<u8, Vec<Print>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.split(',').map(str::trim).collect();
        let [stream, _dts, pts, _duration, _size, hash] = columns[..] else {
            panic!("not a line of framehash: {line}");
        };
        let track = 1 + stream.parse::<u8>().expect("a stream");
        let frame = (pts.parse().expect("milliseconds"), hash.to_owned());
        tracks.entry(track).or_default().push(frame);
    }
    tracks
}

#[test]
fn frames_of_get_media_are_those_of_ffmpeg() {
    let Some(folder) = recordings() else { return };
    for (name, documents) in [("aws-getmedia.mkv", 5), ("aws-getmedia-sparse.mkv", 3)] {
        let recording = read(&folder.join(name));
        let (events, _) = demux(&recording, 64 << 10);
        assert_eq!(demux(&recording, 1000).0, events);
        let mut starts: Vec<usize> = events
            .iter()
            .filter_map(|event| match event {
                Event::Document { offset } => Some(*offset as usize),
                _ => None,
            })
            .collect();
        assert_eq!(starts.len(), documents, "{name}");
        starts.push(recording.len());
        let chunks = events
            .split(|event| matches!(event, Event::Document { .. }))
            .skip(1);
        for (events, span) in chunks.zip(starts.windows(2)) {
            let frames = by_track(events);
            assert!(!frames.is_empty(), "{name}: a chunk without frames");
            assert_eq!(
                frames,
                by_ffmpeg(&recording[span[0]..span[1]]),
                "{name} at {span:?}"
            );
        }
    }
}

#[test]
fn chunks_of_get_media_have_the_service_tags_before_and_behind_the_cluster() {
    let Some(folder) = recordings() else { return };
    let (events, _) = demux(&read(&folder.join("aws-getmedia.mkv")), 64 << 10);
    let mut chunk = String::new();
    for event in &events {
        match event {
            Event::Document { .. } => chunk.push('|'),
            Event::ClusterStart { .. } => chunk.push('('),
            Event::ClusterEnd { .. } => chunk.push(')'),
            Event::Tags { tags, .. } => {
                let names = tags
                    .iter()
                    .map(|tag| tag.name.trim_start_matches("AWS_KINESISVIDEO_"));
                chunk.extend(
                    names
                        .filter(|name| name.contains('_'))
                        .map(|name| &name[..2]),
                );
            }
            _ => {}
        }
    }
    for chunk in chunk.split('|').skip(1) {
        assert!(
            chunk.contains("FRSEPR("),
            "number and both timestamps: {chunk}"
        );
        assert!(chunk.ends_with(")MICO"), "delay and token: {chunk}");
    }
}

#[test]
fn frames_of_put_media_are_those_of_ffmpeg() {
    let Some(folder) = recordings() else { return };
    for name in [
        "av/003_putMedia.mkv",
        "create/005_putMedia.mkv",
        "http1/003_putMedia.mkv",
        "http1/putmedia-150-frames.mkv",
        "meta/003_putMedia.mkv",
        "pcm/003_putMedia.mkv",
        "tls/003_putMedia.mkv",
    ] {
        let recording = read(&folder.join("aws-kvssink").join(name));
        let (events, cut_off) = demux(&recording, 64 << 10);
        assert_eq!(demux(&recording, 17).0, events, "{name}");
        let frames = by_track(&events);
        let mut expected = by_ffmpeg(&recording);
        if cut_off {
            // What ffmpeg makes of the bytes behind the last whole block is no frame.
            for (track, frames) in &frames {
                expected.entry(*track).or_default().truncate(frames.len());
            }
        }
        assert_eq!(frames, expected, "{name}");
    }
}

#[test]
fn the_end_of_a_real_upload_is_its_tag() {
    let Some(folder) = recordings() else { return };
    let recording = read(&folder.join("aws-kvssink/http1/putmedia-150-frames.mkv"));
    let (events, cut_off) = demux(&recording, 4096);
    assert!(!cut_off);
    assert_eq!(by_track(&events)[&1].len(), 150);
    let clusters = events
        .iter()
        .filter(|event| matches!(event, Event::ClusterEnd { .. }));
    assert_eq!(clusters.count(), 3);
    let Some(Event::Tags { tags, end, .. }) = events.last() else {
        panic!("no tags at the end");
    };
    assert_eq!(
        (tags[0].name.as_str(), *end),
        (END_OF_FRAGMENT, recording.len() as u64)
    );
}

#[test]
fn a_body_of_nothing_but_the_end_tag_has_no_document() {
    let Some(folder) = recordings() else { return };
    let recording = read(&folder.join("aws-kvssink/meta/004_putMedia.mkv"));
    let (events, cut_off) = demux(&recording, 10);
    assert!(!cut_off);
    assert!(matches!(
        &events[..],
        [Event::Tags {
            offset: 0,
            end: 84,
            ..
        }]
    ));
}

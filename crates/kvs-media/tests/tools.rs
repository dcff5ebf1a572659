//! What the muxer writes is read without a warning by ffprobe and mkvinfo.

use std::process::Command;

use bytes::Bytes;
use kvs_media::codec::nal::DecoderConfig;
use kvs_media::codec::{aac, g711, h264};
use kvs_media::mkv::{Muxer, MuxerSettings, Tag};
use kvs_media::{AudioFormat, Frame, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat};

/// A black 64x64 picture by x264: one key frame with its parameter sets.
const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x04, 0x26, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00,
    0x03, 0x00, 0xc8, 0x3c, 0x48, 0x99, 0x20,
];
const PPS: &[u8] = &[0x68, 0xcb, 0x83, 0xcb, 0x20];
const IDR: &[u8] = &[
    0x65, 0x88, 0x84, 0x0a, 0xf2, 0x62, 0x80, 0x00, 0xa7, 0xbc, 0x9c, 0x9c, 0x9d, 0x75, 0xd7, 0x5d,
    0x75, 0xd7, 0x5d, 0x75, 0xd7, 0x5e,
];
/// A packet of AAC.
const SILENCE: &[u8] = &[0x01, 0x18, 0x20, 0x07];

fn number(number: u64) -> TrackNumber {
    TrackNumber::new(number).expect("1 to 126")
}

fn tracks() -> [Track; 3] {
    let avcc = h264::AvcConfig {
        profile: SPS[1],
        compatibility: SPS[2],
        level: SPS[3],
        length_size: 4,
        sps: vec![Bytes::from_static(SPS)],
        pps: vec![Bytes::from_static(PPS)],
    };
    let (width, height) = avcc.size().expect("a valid parameter set");
    let audio = |sample_rate| {
        TrackKind::Audio(AudioFormat {
            sample_rate,
            channels: 1,
            bit_depth: None,
        })
    };
    let aac = aac::AudioSpecificConfig::low_complexity(48_000, 1);
    let g711 = g711::G711 {
        law: g711::Law::A,
        sample_rate: 8000,
        channels: 1,
    };
    [
        Track {
            number: number(1),
            kind: TrackKind::Video(VideoFormat { width, height }),
            name: Some("camera".to_owned()),
            codec_id: h264::CODEC_ID.to_owned(),
            codec_private: Some(avcc.build()),
        },
        Track {
            number: number(2),
            kind: audio(48_000.0),
            name: None,
            codec_id: aac::CODEC_ID.to_owned(),
            codec_private: Some(aac.build().expect("low complexity")),
        },
        Track {
            number: number(3),
            kind: audio(8000.0),
            name: None,
            codec_id: g711::CODEC_ID.to_owned(),
            codec_private: Some(g711.build()),
        },
    ]
}

/// A document of two fragments with all three tracks.
fn document() -> Vec<u8> {
    let settings = MuxerSettings {
        title: "a title".to_owned(),
        segment_uid: *b"sixteen bytes id",
        ..MuxerSettings::default()
    };
    let mut muxer = Muxer::new(&tracks(), &settings).expect("valid tracks");
    let mut out = vec![muxer.header()];
    let picture = [&(IDR.len() as u32).to_be_bytes(), IDR].concat();
    for fragment in 0..2 {
        let start_ms = 1_700_000_000_000 + fragment * 1000;
        muxer.begin_cluster(ProducerTime::from_ms(start_ms), &mut out);
        for (track, after_ms, data) in [(1, 0, &picture[..]), (2, 5, SILENCE), (3, 9, &[0x55; 160])]
        {
            let frame = Frame {
                track: number(track),
                time: ProducerTime::from_ms(start_ms + after_ms),
                decode_time: None,
                duration_ns: None,
                key: true,
                data: Bytes::copy_from_slice(data).into(),
            };
            muxer.frame(&frame, &mut out).expect("fits");
        }
        muxer.tags(&[Tag::new("place", "Zürich")], &mut out);
    }
    muxer.end_of_fragment(&mut out);
    out.concat()
}

/// Runs a tool on the document; gives what it said on stdout and on stderr.
fn run(tool: &str, arguments: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder for the document");
    let path = folder.path().join("document.mkv");
    std::fs::write(&path, document()).expect("room for the document");
    let output = Command::new(tool)
        .args(arguments)
        .arg(&path)
        .output()
        .unwrap_or_else(|error| panic!("{tool} is needed ({error}): run ./setup.sh"));
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{tool}: {stdout}{stderr}");
    (stdout, stderr)
}

#[test]
fn ffprobe_reads_it_without_a_warning() {
    let arguments = "-v warning -of csv=p=0 -show_entries stream=codec_name -show_entries \
                     packet=stream_index,pts,size";
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    let (stdout, stderr) = run("ffprobe", &arguments);
    assert_eq!(stderr, "");
    let packets = "0,1700000000000,26\n1,1700000000005,4\n2,1700000000009,160\n\
                   0,1700000001000,26\n1,1700000001005,4\n2,1700000001009,160\n";
    assert!(stdout.starts_with(packets), "{stdout}");
    assert!(stdout.ends_with("h264\naac\npcm_alaw\n"), "{stdout}");
}

#[test]
fn mkvinfo_reads_it_without_a_warning() {
    let (stdout, stderr) = run("mkvinfo", &["--all", "--ui-language", "en_US"]);
    assert_eq!(stderr, "");
    for line in stdout.lines() {
        let lower = line.to_lowercase();
        let complaint = ["warning", "error", "unknown", "invalid"]
            .into_iter()
            .find(|word| lower.contains(word));
        assert!(
            complaint.is_none() || line.contains("size unknown"),
            "{line}"
        );
    }
    for expected in [
        "Segment: size unknown",
        "Title: a title",
        "Name: camera",
        "Zürich",
    ] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
    assert_eq!(stdout.matches("Simple block").count(), 6, "{stdout}");
}

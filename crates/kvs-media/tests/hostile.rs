//! No input makes the demuxer or a codec's parser panic, or the demuxer keep more than its limits.

use bytes::Bytes;
use kvs_media::codec::adts::AdtsReader;
use kvs_media::codec::h264::{self, H264};
use kvs_media::codec::h265::{self, H265};
use kvs_media::codec::nal::{
    AccessUnit, Alignment, Assembler, DecoderConfig, NalCodec, length_prefixed,
};
use kvs_media::codec::opus::OpusHead;
use kvs_media::codec::{aac::AudioSpecificConfig, g711::G711};
use kvs_media::mkv::{DemuxError, Demuxer, Event, Limits, Muxer, MuxerSettings, Tag};
use kvs_media::{Frame, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat};
use proptest::collection::vec;
use proptest::prelude::*;

/// Small, so that few bytes reach them.
const LIMITS: Limits = Limits {
    header_bytes_max: 300,
    tags_bytes_max: 200,
    frame_bytes_max: 400,
};
const ELEMENT_BYTES_MAX: u64 = 400;
const PIECE_BYTES_MAX: usize = 64;

/// A valid document of three fragments.
fn document() -> Vec<u8> {
    let number = TrackNumber::new(1).expect("1 is a number");
    let track = Track {
        number,
        kind: TrackKind::Video(VideoFormat {
            width: 16,
            height: 16,
        }),
        name: None,
        codec_id: "V_X".to_owned(),
        codec_private: Some(Bytes::from_static(&[1; 20])),
    };
    let mut muxer = Muxer::new(&[track], &MuxerSettings::default()).expect("a track");
    let mut out = vec![muxer.header()];
    for at in 0..3 {
        let time = ProducerTime::from_ms(at * 1000);
        muxer.begin_cluster(time, &mut out);
        let frame = Frame {
            track: number,
            time,
            decode_time: None,
            duration_ns: None,
            key: true,
            data: Bytes::from_static(&[9; 30]).into(),
        };
        muxer.frame(&frame, &mut out).expect("fits");
        muxer.tags(&[Tag::new("name", "value")], &mut out);
    }
    out.concat()
}

/// Events and end of bytes that are pushed in pieces of these sizes, over and over.
///
/// Checks on the way that no more is kept than an element and a piece, and that offsets grow.
fn demux(bytes: &[u8], sizes: &[usize]) -> (Vec<Event>, Option<DemuxError>) {
    let mut demuxer = Demuxer::new(LIMITS);
    let mut events = Vec::new();
    let mut rest = bytes;
    let mut offset = 0;
    for size in sizes.iter().cycle() {
        let (piece, behind) = rest.split_at((*size).min(rest.len()));
        rest = behind;
        demuxer.push(Bytes::copy_from_slice(piece));
        loop {
            match demuxer.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
            assert!(offset <= demuxer.offset() && demuxer.offset() <= demuxer.received());
            offset = demuxer.offset();
        }
        assert!(demuxer.cluster_bytes().unwrap_or(0) <= demuxer.received());
        assert!(demuxer.buffered() <= ELEMENT_BYTES_MAX + PIECE_BYTES_MAX as u64);
        if rest.is_empty() {
            break;
        }
    }
    loop {
        match demuxer.finish() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None),
            Err(error) => return (events, Some(error)),
        }
    }
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(1..PIECE_BYTES_MAX, 1..8)
}

/// A change of a document: where, and what becomes of it.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, Change)>> {
    let change = prop_oneof![
        any::<u8>().prop_map(Change::Set),
        Just(Change::Remove),
        vec(any::<u8>(), 1..20).prop_map(Change::Insert),
    ];
    vec((any::<prop::sample::Index>(), change), 1..6)
}

#[derive(Clone, Debug)]
enum Change {
    Set(u8),
    Remove,
    Insert(Vec<u8>),
}

fn changed(mut bytes: Vec<u8>, changes: Vec<(prop::sample::Index, Change)>) -> Vec<u8> {
    for (at, change) in changes {
        let at = at.index(bytes.len());
        match change {
            Change::Set(byte) => bytes[at] = byte,
            Change::Remove => drop(bytes.remove(at)),
            Change::Insert(more) => drop(bytes.splice(at..at, more)),
        }
    }
    bytes
}

proptest! {
    // PROPTEST_CASES sets how many cases are tried. What one finds becomes a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..2000), sizes in sizes()) {
        demux(&bytes, &sizes);
    }

    #[test]
    fn arbitrary_bytes_behind_a_valid_header(
        bytes in vec(any::<u8>(), 0..2000),
        sizes in sizes(),
    ) {
        let valid = document();
        let cluster = valid.windows(4).position(|id| id == [0x1F, 0x43, 0xB6, 0x75]);
        let header = &valid[..cluster.expect("a cluster") + 15];
        demux(&[header, &bytes].concat(), &sizes);
    }

    #[test]
    fn a_changed_document_reads_the_same_however_it_is_cut(
        changes in changes(),
        sizes in sizes(),
    ) {
        let bytes = changed(document(), changes);
        prop_assert_eq!(demux(&bytes, &sizes), demux(&bytes, &[1]));
    }

    #[test]
    fn a_chain_is_read_up_to_the_first_error(changes in changes(), sizes in sizes()) {
        let valid = document();
        let (expected, _) = demux(&valid, &[PIECE_BYTES_MAX]);
        let bytes = [&valid[..], &changed(valid.clone(), changes)].concat();
        let (events, _) = demux(&bytes, &sizes);
        // All of the first document, but for its end, which the second one tells.
        prop_assert!(events.len() >= expected.len());
        prop_assert_eq!(&events[..expected.len()], &expected[..]);
    }

    #[test]
    fn arbitrary_descriptions_of_codecs(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(config) = h264::AvcConfig::parse(&bytes) {
            prop_assert_eq!(h264::AvcConfig::parse(&config.build()), Ok(config));
        }
        if let Ok(config) = h265::HevcConfig::parse(&bytes) {
            prop_assert_eq!(h265::HevcConfig::parse(&config.build()), Ok(config));
        }
        if let Ok(head) = OpusHead::parse(&[&b"OpusHead"[..], &bytes].concat()) {
            prop_assert_eq!(OpusHead::parse(&head.build()), Ok(head));
        }
        let _ = AdtsReader::default().push(&bytes, Some(()), |_| {});
        let _ = AudioSpecificConfig::parse(&bytes).map(|config| config.build());
        if let Ok(format) = G711::parse(&bytes) {
            prop_assert_eq!(G711::parse(&format.build()), Ok(format));
        }
        let sps = [&[0x67][..], &bytes].concat();
        let _ = h264::Sps::parse(&sps);
        let sps = [&[0x42, 1][..], &bytes].concat();
        let _ = h265::Sps::parse(&sps);
    }

    #[test]
    fn arbitrary_byte_streams(
        bytes in vec(prop_oneof![Just(0), Just(1), Just(3), Just(0x65), any::<u8>()], 0..500),
        sizes in sizes(),
    ) {
        byte_stream::<H264>(&bytes, &sizes)?;
        byte_stream::<H265>(&bytes, &sizes)?;
    }
}

/// However it is cut, it makes the same access units.
fn byte_stream<C: NalCodec>(bytes: &[u8], sizes: &[usize]) -> Result<(), TestCaseError> {
    let mut assembler = Assembler::<C, usize>::new(Alignment::Unknown);
    let mut units = Vec::new();
    let mut rest = bytes;
    for (at, size) in sizes.iter().cycle().enumerate() {
        let (piece, behind) = rest.split_at((*size).min(rest.len()));
        rest = behind;
        assembler
            .push(piece, Some(at), false, &mut units)
            .expect("small");
        if rest.is_empty() {
            break;
        }
    }
    assembler.flush(&mut units).expect("small");
    let mut whole = Assembler::<C, usize>::new(Alignment::Unknown);
    let mut expected = Vec::new();
    whole
        .push(bytes, None, false, &mut expected)
        .expect("small");
    whole.flush(&mut expected).expect("small");
    let data = |units: &[AccessUnit<C::Config, usize>]| -> Vec<Bytes> {
        units.iter().map(|unit| unit.data.clone()).collect()
    };
    prop_assert_eq!(data(&units), data(&expected));
    for unit in &units {
        prop_assert!(length_prefixed(&unit.data, 4).all(|nal| nal.is_ok()));
    }
    Ok(())
}

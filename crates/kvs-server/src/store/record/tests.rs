use bytes::Bytes;
use kvs_protocol::FragmentParts;
use proptest::prelude::*;

use super::*;
use crate::store::folder::keys::Key;
use crate::store::random::SeededRandom;
use crate::store::stream::StreamId;

fn header(header_bytes: u32, cluster_bytes: u32, tags_bytes: u32) -> RecordHeader {
    RecordHeader {
        facts: RecordFacts {
            stream: StreamId(3),
            number: FragmentParts {
                sequence: 5,
                server_ms: 7,
                random: 9,
            },
            producer_ms: 11,
            length_ms: 13,
            header_bytes,
            cluster_bytes,
            tags_bytes,
        },
        epoch: 1,
        salt: [17; 16],
    }
}

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 % 251) as u8).collect()
}

fn open(key: &Key, bytes: &[u8]) -> Option<Vec<u8>> {
    let header = RecordHeader::parse(bytes)?;
    let key = key.record_key(&header.salt);
    let sealed = header.facts.plain_bytes() as usize
        + chunks(header.facts.plain_bytes()) as usize * TAG_BYTES;
    let mut sealed = bytes.get(HEADER_BYTES..HEADER_BYTES + sealed)?.to_vec();
    let mut plain = Vec::new();
    for (chunk, piece) in sealed.chunks_mut(SEALED_CHUNK_BYTES).enumerate() {
        plain.extend_from_slice(open_chunk(&header, &key, chunk as u64, piece)?);
    }
    Some(plain)
}

#[test]
fn bodies_of_all_sizes_come_back() {
    let key = Key::random(&SeededRandom::new(1));
    let edges = [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        3 * CHUNK_BYTES,
    ];
    for len in edges {
        let plain = Bytes::from(body(len));
        let header = header(0, len as u32, 0);
        let halves = [plain.slice(..len / 2), plain.slice(len / 2..)];
        let sealed = seal(header, &key.record_key(&header.salt), &halves);
        assert_eq!(sealed.bytes.len() as u64 % BLOCK_BYTES, 0);
        assert_eq!(
            sealed.bytes.len() as u64,
            u64::from(header.facts.blocks()) * BLOCK_BYTES
        );
        assert_eq!(
            open(&key, &sealed.bytes).expect("nothing was changed"),
            plain,
            "{len} bytes"
        );
    }
}

#[test]
fn chunks_can_be_neither_swapped_nor_cut_off() {
    let key = Key::random(&SeededRandom::new(1));
    let plain = Bytes::from(body(3 * CHUNK_BYTES));
    let whole = header(0, plain.len() as u32, 0);
    let sealed = seal(whole, &key.record_key(&whole.salt), [&plain]);

    let mut swapped = sealed.bytes.clone();
    let (first, second) = (HEADER_BYTES, HEADER_BYTES + SEALED_CHUNK_BYTES);
    swapped[first..second].copy_from_slice(&sealed.bytes[second..second + SEALED_CHUNK_BYTES]);
    assert_eq!(open(&key, &swapped), None);

    let mut cut = sealed.bytes;
    let shorter = header(0, 2 * CHUNK_BYTES as u32, 0);
    cut[..HEADER_BYTES].copy_from_slice(&shorter.to_bytes());
    assert_eq!(open(&key, &cut), None);
}

proptest! {
    #[test]
    fn a_header_is_read_as_it_is_written(
        ids in any::<(u32, u32)>(),
        number in any::<(u64, u64, u32)>(),
        times in any::<(u64, u32)>(),
        lengths in any::<(u32, u32, u32)>(),
        salt in any::<[u8; 16]>(),
    ) {
        let header = RecordHeader {
            facts: RecordFacts {
                stream: StreamId(ids.0),
                number: FragmentParts { sequence: number.0, server_ms: number.1, random: number.2 },
                producer_ms: times.0,
                length_ms: times.1,
                header_bytes: lengths.0,
                cluster_bytes: lengths.1,
                tags_bytes: lengths.2,
            },
            epoch: ids.1,
            salt,
        };
        prop_assert_eq!(RecordHeader::parse(&header.to_bytes()), Some(header));
    }

    #[test]
    fn any_bytes_are_parsed_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert_eq!(RecordHeader::parse(&bytes), None);
    }

    #[test]
    fn a_changed_byte_is_noticed(
        len in 0_usize..200_000,
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let key = Key::random(&SeededRandom::new(1));
        let plain = Bytes::from(body(len));
        let header = header(0, len as u32, 0);
        let mut sealed = seal(header, &key.record_key(&header.salt), [&plain]);
        let used = HEADER_BYTES + len + chunks(len as u64) as usize * TAG_BYTES;
        sealed.bytes[at.index(used)] ^= 1_u8 << bit;
        prop_assert_eq!(open(&key, &sealed.bytes), None);
    }
}

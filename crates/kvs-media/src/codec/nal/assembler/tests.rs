use super::super::{annex_b, length_prefixed};
use super::*;
use crate::codec::h264::{AvcConfig, H264};

type Assembler<T> = super::Assembler<H264, T>;
type AccessUnit<T> = super::AccessUnit<AvcConfig, T>;

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03,
    0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c, 0x60, 0xc6, 0x58,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb];
const OTHER_PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcd];
const AUD: &[u8] = &[0x09, 0xf0];
const SEI: &[u8] = &[0x06, 0x05, 0x01, 0xaa, 0x80];
const IDR: &[u8] = &[0x65, 0x88, 0x84];
const IDR_MORE: &[u8] = &[0x65, 0x08, 0x85];
const SLICE: &[u8] = &[0x41, 0x9a, 0x01];
const FILLER: &[u8] = &[0x0c, 0xff, 0x80];

/// An access unit as its NAL units.
type Seen = (Vec<Vec<u8>>, bool, Option<u32>, bool);

fn stream(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter()
        .flat_map(|nal| [&[0, 0, 0, 1], *nal].concat())
        .collect()
}

fn seen(units: Vec<AccessUnit<u32>>) -> Vec<Seen> {
    let seen = units.into_iter().map(|unit| {
        let nals = length_prefixed(&unit.data, 4).map(|nal| nal.expect("valid").to_vec());
        (nals.collect(), unit.key, unit.stamp, unit.config.is_some())
    });
    seen.collect()
}

/// What comes of these buffers, each of (NAL units, stamp, marker), and of the end of the stream.
fn assemble(alignment: Alignment, buffers: &[(&[&[u8]], u32, bool)]) -> Vec<Seen> {
    let mut assembler = Assembler::new(alignment);
    let mut units = Vec::new();
    for (nals, stamp, marker) in buffers {
        let stamp = (*stamp > 0).then_some(*stamp);
        assembler
            .push(&stream(nals), stamp, *marker, &mut units)
            .expect("small");
    }
    assembler.flush(&mut units).expect("small");
    seen(units)
}

fn owned(nals: &[&[u8]]) -> Vec<Vec<u8>> {
    nals.iter().map(|nal| nal.to_vec()).collect()
}

#[test]
fn a_buffer_that_is_a_unit_is_one() {
    let units = assemble(
        Alignment::AccessUnit,
        &[
            (&[AUD, SPS, PPS, SEI, IDR, IDR_MORE], 7, false),
            (&[AUD, SPS, PPS, FILLER, SLICE], 8, false),
        ],
    );
    let first = (owned(&[SEI, IDR, IDR_MORE]), true, Some(7), true);
    assert_eq!(units, [first, (owned(&[SLICE]), false, Some(8), false)]);
}

#[test]
fn a_unit_ends_where_the_next_begins() {
    for next in [AUD, SPS, PPS, SEI, SLICE] {
        let units = assemble(
            Alignment::Nal,
            &[
                (&[SPS], 1, false),
                (&[PPS], 2, false),
                (&[IDR], 3, false),
                (&[IDR_MORE], 4, false),
                (&[next], 5, false),
                (&[SLICE], 6, false),
            ],
        );
        assert_eq!(units[0], (owned(&[IDR, IDR_MORE]), true, Some(1), true));
        assert_eq!(units[1].2, Some(5), "{next:?}");
        assert!(units[1].0.contains(&SLICE.to_vec()));
    }
}

#[test]
fn a_marker_ends_a_unit_at_once() {
    let mut assembler = Assembler::new(Alignment::Nal);
    let mut units = Vec::new();
    assembler
        .push(&stream(&[SPS, PPS, IDR]), Some(1), false, &mut units)
        .expect("small");
    assert!(units.is_empty());
    assembler
        .push(&stream(&[IDR_MORE]), None, true, &mut units)
        .expect("small");
    assert_eq!(
        seen(units),
        [(owned(&[IDR, IDR_MORE]), true, Some(1), true)]
    );
}

#[test]
fn a_stream_cut_anywhere_gives_the_same_units() {
    let bytes = stream(&[
        AUD, SPS, PPS, IDR, IDR_MORE, AUD, SEI, SLICE, FILLER, AUD, SLICE,
    ]);
    let whole = [
        owned(&[IDR, IDR_MORE]),
        owned(&[SEI, SLICE]),
        owned(&[SLICE]),
    ];
    for first in 0..bytes.len() {
        for second in first..bytes.len() {
            let mut assembler = Assembler::new(Alignment::Unknown);
            let mut units = Vec::new();
            for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                assembler
                    .push(piece, None, false, &mut units)
                    .expect("small");
            }
            assembler.flush(&mut units).expect("small");
            let nals: Vec<_> = seen(units).into_iter().map(|unit| unit.0).collect();
            assert_eq!(nals, whole, "cut at {first}, {second}");
        }
    }
}

#[test]
fn without_alignment_a_stamp_belongs_to_the_first_unit_that_begins_in_its_buffer() {
    let bytes = stream(&[AUD, SPS, PPS, IDR, AUD, SLICE, AUD, SLICE]);
    let second = stream(&[AUD, SPS, PPS, IDR]).len();
    let mut assembler = Assembler::new(Alignment::Unknown);
    let mut units = Vec::new();
    // The cut lies inside the IDR slice.
    for (piece, stamp) in [(&bytes[..second - 1], 1), (&bytes[second - 1..], 2)] {
        assembler
            .push(piece, Some(stamp), false, &mut units)
            .expect("small");
    }
    assembler.flush(&mut units).expect("small");
    let stamps: Vec<_> = units.iter().map(|unit| unit.stamp).collect();
    assert_eq!(stamps, [Some(1), Some(2), None]);
}

#[test]
fn a_changed_parameter_set_is_reported_once() {
    let key: (&[&[u8]], u32, bool) = (&[SPS, PPS, IDR], 1, false);
    let changed: (&[&[u8]], u32, bool) = (&[SPS, OTHER_PPS, IDR], 2, false);
    let units = assemble(Alignment::AccessUnit, &[key, key, changed, changed]);
    let reports: Vec<_> = units.iter().map(|unit| unit.3).collect();
    assert_eq!(reports, [true, false, true, false]);
    assert!(units.iter().all(|unit| unit.0 == owned(&[IDR])));
}

#[test]
fn a_set_that_changes_inside_a_group_of_pictures_stays_in_the_stream() {
    let units = assemble(
        Alignment::AccessUnit,
        &[
            (&[SPS, PPS, IDR], 1, false),
            (&[OTHER_PPS, SLICE], 2, false),
        ],
    );
    assert_eq!(units[1], (owned(&[OTHER_PPS, SLICE]), false, Some(2), true));
}

#[test]
fn the_configuration_is_that_of_the_stream() {
    let mut assembler = Assembler::<u32>::new(Alignment::AccessUnit);
    let mut units = Vec::new();
    assembler
        .push(&stream(&[SPS]), None, false, &mut units)
        .expect("small");
    assert_eq!(assembler.config(), None);
    assembler
        .push(&stream(&[PPS, IDR]), None, false, &mut units)
        .expect("small");
    let config = units[0].config.clone().expect("new");
    assert_eq!(
        (config.sps, config.pps),
        (vec![SPS.into()], vec![PPS.into()])
    );
    assert_eq!(
        (config.profile, config.level, config.length_size),
        (100, 40, 4)
    );
}

#[test]
fn reset_forgets_the_unit_but_not_the_sets() {
    let mut assembler = Assembler::<u32>::new(Alignment::Nal);
    let mut units = Vec::new();
    assembler
        .push(&stream(&[SPS, PPS, IDR]), Some(1), false, &mut units)
        .expect("small");
    assembler.reset();
    assembler
        .push(&stream(&[SLICE]), Some(2), true, &mut units)
        .expect("small");
    assert_eq!(seen(units), [(owned(&[SLICE]), false, Some(2), false)]);
    assert!(assembler.config().is_some());
}

#[test]
fn sets_that_change_for_ever_are_an_error() {
    let mut assembler = Assembler::<u32>::new(Alignment::Nal);
    let mut units = Vec::new();
    let mut flip = (0..=NEW_SETS_MAX).map(|at| if at % 2 == 0 { PPS } else { OTHER_PPS });
    let error = flip.find_map(|set| {
        let pushed = assembler.push(&stream(&[set]), None, false, &mut units);
        pushed.err()
    });
    assert_eq!(error, Some(AssemblyError::TooManySets));
}

#[test]
fn large_units_are_whole() {
    let mut slice = SLICE.to_vec();
    slice.resize(3 * CHUNK_BYTES, 0x55);
    let bytes = stream(&[SPS, PPS, SEI, &slice, IDR_MORE]);
    assert_eq!(annex_b(&bytes).count(), 5);
    let mut assembler = Assembler::<u32>::new(Alignment::AccessUnit);
    let mut units = Vec::new();
    for _ in 0..3 {
        assembler
            .push(&bytes, None, false, &mut units)
            .expect("below the bound");
    }
    assert!(
        seen(units)
            .into_iter()
            .all(|unit| unit.0.ends_with(&owned(&[&slice, IDR_MORE])))
    );
}

fn lengths(nals: &[&[u8]]) -> Vec<u8> {
    let unit = nals
        .iter()
        .flat_map(|nal| [&(nal.len() as u16).to_be_bytes(), *nal].concat());
    unit.collect()
}

#[test]
fn access_units_with_lengths_come_out_with_lengths_of_four_bytes() {
    let config = AvcConfig {
        profile: 100,
        compatibility: 0,
        level: 40,
        length_size: 2,
        sps: vec![SPS.into()],
        pps: vec![PPS.into()],
    };
    let mut assembler =
        Assembler::with_lengths(&config.build(), Alignment::AccessUnit).expect("valid");
    let expected = AvcConfig {
        length_size: 4,
        ..config
    };
    assert_eq!(assembler.config(), Some(expected.clone()));
    let mut units = Vec::new();
    let unit = lengths(&[AUD, SEI, IDR, &[], IDR_MORE]);
    assembler
        .push(&unit, Some(1), false, &mut units)
        .expect("valid");
    let unit = lengths(&[PPS, SLICE, SLICE]);
    assembler
        .push(&unit, Some(2), false, &mut units)
        .expect("valid");
    let cut = assembler.push(&unit[..unit.len() - 1], Some(3), false, &mut units);
    assert_eq!(cut, Err(AssemblyError::CutOff));
    assert_eq!(units[0].config, Some(expected));
    let first = (owned(&[SEI, IDR, IDR_MORE]), true, Some(1), true);
    assert_eq!(
        seen(units),
        [first, (owned(&[SLICE, SLICE]), false, Some(2), false)]
    );
}

//! The sample tables of an MP4 track: where each sample lies, and when it is shown.

use std::iter::{repeat, repeat_n};

use super::boxes::{inside, rows, u32_at};

/// 92 hours at 30 frames a second. A table may claim any number of samples of one size.
const SAMPLES_MAX: u32 = 10_000_000;

/// One sample; its times are in units of the track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) offset: u64,
    pub(super) bytes: u32,
    /// When it is decoded.
    pub(super) decoded: i64,
    /// When it is shown.
    pub(super) shown: i64,
    pub(super) key: bool,
}

/// All samples, in the order in which they are decoded; `None` where the tables contradict each
/// other or are cut off.
pub(super) fn samples(stbl: &[u8]) -> Option<Vec<Sample>> {
    let stsz = inside(stbl, &[b"stsz"])?;
    let (size, count) = (u32_at(stsz, 4)?, u32_at(stsz, 8)?);
    if count > SAMPLES_MAX {
        return None;
    }
    let sizes: &[[u8; 4]] = match size {
        0 => rows(stsz, 8)?,
        _ => &[],
    };
    let mut times = times(stbl)?;
    let mut is_key = keys(stbl)?;
    let mut samples = Vec::new();
    for (mut offset, in_chunk) in chunks(stbl)? {
        for _ in 0..in_chunk {
            let index = samples.len();
            if index == count as usize {
                break;
            }
            let bytes = match sizes.get(index) {
                Some(row) => u32::from_be_bytes(*row),
                None => size,
            };
            let (decoded, shown) = times.next()?;
            samples.push(Sample {
                offset,
                bytes,
                decoded,
                shown,
                key: is_key(index as u32 + 1),
            });
            offset = offset.checked_add(bytes.into())?;
        }
    }
    (samples.len() == count as usize).then_some(samples)
}

/// When each sample is decoded and shown.
fn times(stbl: &[u8]) -> Option<impl Iterator<Item = (i64, i64)>> {
    let runs = |row: &[u8; 8]| {
        let (count, value) = row.split_at(4);
        let word = |bytes: &[u8]| u32_at(bytes, 0).unwrap_or_default();
        (word(count) as usize, word(value))
    };
    let deltas = rows(inside(stbl, &[b"stts"])?, 4)?.iter().map(runs);
    let deltas = deltas.flat_map(|(count, delta)| repeat_n(i64::from(delta), count));
    let decoded = deltas.scan(0, |at, delta| {
        let decoded = *at;
        *at += delta;
        Some(decoded)
    });
    let offsets: &[[u8; 8]] = match inside(stbl, &[b"ctts"]) {
        Some(ctts) => rows(ctts, 4)?,
        None => &[],
    };
    // Signed by version 1, and by those who write version 0 and mean it.
    let offsets = offsets.iter().map(runs);
    let offsets = offsets.flat_map(|(count, offset)| repeat_n(i64::from(offset as i32), count));
    Some(
        decoded
            .zip(offsets.chain(repeat(0)))
            .map(|(at, offset)| (at, at + offset)),
    )
}

/// Whether decoding can begin with a sample, by its number; to be asked in their order.
fn keys(stbl: &[u8]) -> Option<impl FnMut(u32) -> bool> {
    let keys: Option<&[[u8; 4]]> = match inside(stbl, &[b"stss"]) {
        Some(stss) => Some(rows(stss, 4)?),
        // Each is.
        None => None,
    };
    Some(move |number: u32| {
        keys.is_none_or(|keys| keys.binary_search(&number.to_be_bytes()).is_ok())
    })
}

/// Where each chunk lies, and how many samples it has.
fn chunks(stbl: &[u8]) -> Option<impl Iterator<Item = (u64, u32)>> {
    let offsets: Vec<u64> = match inside(stbl, &[b"stco"]) {
        Some(stco) => rows(stco, 4)?
            .iter()
            .map(|row| u32::from_be_bytes(*row).into())
            .collect(),
        None => rows(inside(stbl, &[b"co64"])?, 4)?
            .iter()
            .map(|row| u64::from_be_bytes(*row))
            .collect(),
    };
    let mut runs = rows::<12>(inside(stbl, &[b"stsc"])?, 4)?.iter().peekable();
    let mut in_chunk = 0;
    Some(offsets.into_iter().zip(1..).map(move |(offset, number)| {
        while let Some(run) = runs.next_if(|run| u32_at(&run[..], 0) <= Some(number)) {
            in_chunk = u32_at(run, 4).unwrap_or_default();
        }
        (offset, in_chunk)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(kind: &[u8; 4], words: &[u32]) -> Vec<u8> {
        let mut out = (12 + 4 * words.len() as u32).to_be_bytes().to_vec();
        out.extend(kind);
        out.extend([0; 4]);
        out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        out
    }

    fn tables(stsz: &[u32]) -> Vec<Vec<u8>> {
        vec![
            table(b"stsz", stsz),
            table(b"stts", &[2, 2, 10, 3, 20]),
            table(b"ctts", &[1, 2, -10i32 as u32]),
            table(b"stss", &[2, 1, 4]),
            table(b"stsc", &[2, 1, 1, 1, 2, 2, 1]),
            table(b"stco", &[3, 1000, 2000, 3000]),
        ]
    }

    #[test]
    fn the_tables_become_samples() {
        let found = samples(&tables(&[0, 5, 1, 2, 3, 4, 5]).concat()).expect("good tables");
        let shape = |s: &Sample| (s.offset, s.bytes, s.decoded, s.shown, s.key);
        let found: Vec<_> = found.iter().map(shape).collect();
        let expected = [
            (1000, 1, 0, -10, true),
            (2000, 2, 10, 0, false),
            (2002, 3, 20, 20, false),
            (3000, 4, 40, 40, true),
            (3004, 5, 60, 60, false),
        ];
        assert_eq!(found, expected);
        let same = samples(&tables(&[7, 5]).concat()).expect("good tables");
        assert!(same.iter().all(|sample| sample.bytes == 7));
    }

    #[test]
    fn tables_that_contradict_each_other_are_refused() {
        // More samples than times, than chunks, than anybody has.
        for count in [6, SAMPLES_MAX + 1, u32::MAX] {
            assert_eq!(samples(&tables(&[7, count]).concat()), None, "{count}");
        }
        let whole = tables(&[0, 5, 1, 2, 3, 4, 5]).concat();
        for end in 0..whole.len() {
            assert_eq!(samples(&whole[..end]), None, "cut at {end}");
        }
    }
}

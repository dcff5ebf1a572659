//! The power goes at any moment of a spool's life, thousands of times.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use kvs_media::ProducerTime;

use super::super::simulated::{Fault, Random, SimulatedFolder, Skips};
use super::{STREAM, frame, tracks};
use crate::spool::seal::Key;
use crate::spool::{Beginning, Media, Spool, SpoolError};

const SEEDS: u64 = 4000;
/// How often the power goes in the life of one folder.
const CUTS: u64 = 3;
/// What a session does at most before the power goes.
const STEPS: u64 = 30;
/// More calls than are made between two cuts: some lives end without being cut short.
const CALLS: u64 = 120;

/// What is known of each number.
#[derive(Debug, Default)]
struct Known {
    /// All that was ever handed to `write`.
    media: BTreeMap<u64, Media>,
    /// Those whose write said Ok and that nobody has asked to be removed.
    kept: Vec<u64>,
}

fn random_media(random: &mut Random) -> Media {
    let start_ms = random.below(1 << 40);
    let count = 1 + random.below(3);
    let frames = (0..count).map(|at| {
        let byte = random.next() as u8;
        let bytes = Bytes::from(vec![byte; random.below(60) as usize]);
        frame(1, start_ms + at, at == 0, bytes)
    });
    Media {
        start: ProducerTime::from_ms(start_ms),
        end: ProducerTime::from_ms(start_ms + count - 1),
        news: count,
        scale_ns: 1_000_000,
        frames: frames.collect(),
        tracks: tracks(),
        tags: Vec::new(),
        held: false,
    }
}

fn open(folder: &SimulatedFolder, sealed: bool) -> Result<Spool, SpoolError> {
    let key = sealed.then(|| Key::parse(&[7; 32]).expect("32 bytes"));
    Spool::over(Box::new(folder.clone()), Path::new("/spool"), key, STREAM)
}

/// Writes and removes until all is done or the power goes.
fn live(spool: &Spool, mut next: u64, known: &mut Known, random: &mut Random) {
    let mut first = next;
    for _ in 0..random.below(STEPS) {
        match random.below(8) {
            0 => {
                spool.end(first);
                first = spool.begin().first;
                next = first;
            }
            1 | 2 if !known.kept.is_empty() => {
                let at = random.below(known.kept.len() as u64) as usize;
                // Whatever it says: it may be gone.
                let _ = spool.remove(known.kept.swap_remove(at));
            }
            _ => {
                let media = random_media(random);
                let written = spool.write(next, &media);
                known.media.insert(next, media);
                if written.is_ok() {
                    known.kept.push(next);
                }
                next += 1;
            }
        }
    }
}

/// What is wrong with the folder after the power has come back.
fn check(spool: &Spool, begun: &Beginning, known: &mut Known) -> Result<(), String> {
    let found: Vec<_> = begun.found.iter().map(|found| found.number).collect();
    if !found.is_sorted() || found.last().is_some_and(|&last| last >= begun.first) {
        return Err(format!("{begun:?} is out of order"));
    }
    if let Some(lost) = known.kept.iter().find(|kept| !found.contains(kept)) {
        return Err(format!("{lost} is lost"));
    }
    for &number in &found {
        let read = spool.read(number);
        let read = read.map_err(|error| format!("{number} is listed, but {error}"))?;
        if known.media.get(&number) != Some(&read) {
            return Err(format!("{number} is not what was written"));
        }
    }
    // What came back after its removal is there again.
    known.kept = found;
    Ok(())
}

/// The whole life of a folder; what went wrong in it.
fn run(seed: u64, skips: Skips) -> Result<(), String> {
    let mut random = Random(seed);
    let folder = SimulatedFolder::default();
    folder.skip(skips);
    let sealed = random.one_in(4);
    let mut known = Known::default();
    for _ in 0..CUTS {
        let fault = match random.one_in(4) {
            true => Fault::Error,
            false => Fault::PowerCut,
        };
        folder.fault_after(random.below(CALLS), fault);
        if let Ok(spool) = open(&folder, sealed) {
            let Beginning { first, .. } = spool.begin();
            live(&spool, first, &mut known, &mut random);
        }
        folder.power_cut(&mut random);
        let spool = open(&folder, sealed).map_err(|error| error.to_string())?;
        let begun = spool.begin();
        check(&spool, &begun, &mut known)?;
        let left = folder.names().into_iter();
        let parts = left.filter(|name| name.ends_with(".part"));
        if let Some(part) = { parts }.next() {
            return Err(format!("{part} is left"));
        }
    }
    Ok(())
}

#[test]
fn nothing_durable_is_lost_and_nothing_is_half() {
    for seed in 0..SEEDS {
        if let Err(wrong) = run(seed, Skips::Nothing) {
            panic!("seed {seed}: {wrong}");
        }
    }
}

#[test]
fn a_forgotten_sync_would_be_noticed() {
    for skips in [Skips::Files, Skips::Folder] {
        let noticed = (0..SEEDS).find_map(|seed| run(seed, skips).err());
        assert!(noticed.is_some(), "{skips:?}");
    }
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    for calls in 0..5 {
        let folder = SimulatedFolder::default();
        let spool = open(&folder, false).expect("a new folder");
        let first = spool.begin().first;
        let media = random_media(&mut Random(1));
        folder.fault_after(calls, Fault::Error);
        assert!(spool.write(first, &media).is_err(), "call {calls}");
        assert_eq!(folder.names(), ["stream"], "call {calls}");
        spool.write(first, &media).expect("the disk is well again");
        assert_eq!(spool.read(first).expect("it was written"), media);
    }
}

//! Frames of an MP4 file whose index is in one place (`moov`), in the order of their decoding.

mod boxes;
mod samples;
mod track;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use kvs_media::{Frame, FrameData, ProducerTime, Track, TrackNumber};

use self::boxes::{Head, boxes, inside, rows, u32_at, u64_at};
use self::samples::samples;
use super::{SeedError, TRACKS_MAX};

/// The index of a recording of some days.
const INDEX_BYTES_MAX: u64 = 256 << 20;
const NS: i128 = 1_000_000_000;

/// A file's frames; their times begin with 0.
#[derive(Debug)]
pub(super) struct Mp4Frames {
    file: File,
    tracks: Vec<Track>,
    frames: std::vec::IntoIter<Place>,
}

/// A frame that has not been read.
#[derive(Debug)]
struct Place {
    track: TrackNumber,
    offset: u64,
    bytes: u32,
    decoded_ns: i64,
    shown_ns: i64,
    key: bool,
}

impl Mp4Frames {
    pub(super) fn open(file: File) -> Result<Self, SeedError> {
        let moov = read_index(&file)?;
        if inside(&moov, &[b"mvex"]).is_some() {
            return Err(SeedError::wrong(
                "a fragmented MP4, whose index is in many places; \
                 `ffmpeg -i FILE -c copy WHOLE.mp4` makes one of it",
            ));
        }
        let file_bytes = file.metadata()?.len();
        let mut tracks = Vec::new();
        let mut frames = Vec::new();
        let traks = boxes(&moov).filter(|(kind, _)| kind == b"trak");
        for (_, trak) in traks.filter(|(_, trak)| is_media(trak)) {
            if tracks.len() == TRACKS_MAX {
                break;
            }
            let number = TrackNumber::new(tracks.len() as u64 + 1).ok_or_else(cut_off)?;
            let stbl = inside(trak, &[b"mdia", b"minf", b"stbl"]).ok_or_else(cut_off)?;
            tracks.push(track::track(number, stbl)?.ok_or_else(cut_off)?);
            let places = places(number, &moov, trak, stbl).ok_or_else(cut_off)?;
            let beyond =
                |place: &Place| place.offset.saturating_add(place.bytes.into()) > file_bytes;
            if places.iter().any(beyond) {
                return Err(SeedError::wrong(
                    "the file is cut off: its last frames are missing",
                ));
            }
            frames.extend(places);
        }
        let first_ns = frames.iter().map(|place| place.shown_ns).min().unwrap_or(0);
        for place in &mut frames {
            place.shown_ns = place.shown_ns.saturating_sub(first_ns);
        }
        frames.sort_by_key(|place| place.decoded_ns);
        Ok(Self {
            file,
            tracks,
            frames: frames.into_iter(),
        })
    }

    pub(super) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    pub(super) fn next(&mut self) -> Result<Option<Frame>, SeedError> {
        let Some(place) = self.frames.next() else {
            return Ok(None);
        };
        let mut data = vec![0; place.bytes as usize];
        self.file.read_exact_at(&mut data, place.offset)?;
        Ok(Some(Frame {
            track: place.track,
            time: ProducerTime::from_ns(place.shown_ns.unsigned_abs()),
            decode_time: None,
            duration_ns: None,
            key: place.key,
            data: FrameData::from(Bytes::from(data)),
        }))
    }
}

fn cut_off() -> SeedError {
    SeedError::wrong("its index is damaged, or of a kind that is not known")
}

/// The body of the file's `moov`.
fn read_index(file: &File) -> Result<Vec<u8>, SeedError> {
    let mut offset = 0;
    loop {
        let mut bytes = [0; Head::BYTES_MAX];
        let read = read_up_to(file, &mut bytes, offset)?;
        let head = Head::parse(&bytes[..read]);
        let no_index = || SeedError::wrong("it has no index: was its recording cut off?");
        let head = head.ok_or_else(no_index)?;
        if bytes[4..8] != *b"moov" {
            let next = match head.size {
                0 => None,
                size => offset.checked_add(size.max(8)),
            };
            offset = next.ok_or_else(no_index)?;
            continue;
        }
        let body_bytes = head.size.saturating_sub(head.bytes as u64);
        if body_bytes > INDEX_BYTES_MAX {
            return Err(cut_off());
        }
        let mut body = vec![0; body_bytes as usize];
        file.read_exact_at(&mut body, offset + head.bytes as u64)?;
        return Ok(body);
    }
}

/// As much as there is.
fn read_up_to(file: &File, out: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < out.len() {
        match file.read_at(&mut out[read..], offset.saturating_add(read as u64))? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

/// Whether a track is of pictures or sound, and not of times, texts or hints.
fn is_media(trak: &[u8]) -> bool {
    let handler = inside(trak, &[b"mdia", b"hdlr"]).and_then(|hdlr| hdlr.get(8..12));
    matches!(handler, Some(b"vide" | b"soun"))
}

fn places(number: TrackNumber, moov: &[u8], trak: &[u8], stbl: &[u8]) -> Option<Vec<Place>> {
    let scale = timescale(inside(trak, &[b"mdia", b"mdhd"])?)?;
    let (delay, skipped) = edits(trak)?;
    let delay_ns = in_ns(delay, timescale(inside(moov, &[b"mvhd"])?)?)?;
    let at_ns = |units: i64| in_ns(units.checked_sub(skipped)?, scale)?.checked_add(delay_ns);
    let place = |sample: samples::Sample| {
        Some(Place {
            track: number,
            offset: sample.offset,
            bytes: sample.bytes,
            decoded_ns: at_ns(sample.decoded)?,
            shown_ns: at_ns(sample.shown)?,
            key: sample.key,
        })
    };
    samples(stbl)?.into_iter().map(place).collect()
}

/// Units a second, of an `mvhd` or `mdhd`.
fn timescale(header: &[u8]) -> Option<u32> {
    let at = if header.first()? == &1 { 20 } else { 12 };
    u32_at(header, at).filter(|scale| *scale > 0)
}

/// How long nothing is shown at first, in the movie's units, and the track's time that comes then,
/// in its own: so pictures and sound begin together.
fn edits(trak: &[u8]) -> Option<(i64, i64)> {
    let Some(elst) = inside(trak, &[b"edts", b"elst"]) else {
        return Some((0, 0));
    };
    let edits: Vec<(i64, i64)> = match elst.first()? {
        1 => rows::<20>(elst, 4)?
            .iter()
            .map(|row| Some((u64_at(row, 0)? as i64, u64_at(row, 8)? as i64)))
            .collect::<Option<_>>()?,
        _ => rows::<12>(elst, 4)?
            .iter()
            .map(|row| Some((u32_at(row, 0)?.into(), i64::from(u32_at(row, 4)? as i32))))
            .collect::<Option<_>>()?,
    };
    let (mut delay, mut skipped) = (0i64, 0);
    for (lasts, begins) in edits {
        if begins >= 0 {
            skipped = begins;
            break;
        }
        delay = delay.checked_add(lasts)?;
    }
    Some((delay, skipped))
}

fn in_ns(units: i64, scale: u32) -> Option<i64> {
    i64::try_from(i128::from(units) * NS / i128::from(scale)).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn street() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/street.mp4");
        std::fs::read(path).expect("it is in the repository")
    }

    #[test]
    fn no_damage_of_its_index_is_a_panic() {
        let bytes = street();
        let index = bytes.windows(4).position(|kind| kind == b"mdat");
        let index = index.expect("the media follows the index");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("writable");
        assert_eq!(frames(&file), Ok(300));
        for (at, right) in (0..).zip(&bytes[..index]) {
            for wrong in [0, 0x7F, 0x80, 0xFF, right ^ 1] {
                file.write_all_at(&[wrong], at).expect("writable");
                let _ = frames(&file);
            }
            file.write_all_at(&[*right], at).expect("writable");
        }
        assert_eq!(frames(&file), Ok(300));
        for end in 0..index {
            file.set_len(end as u64).expect("writable");
            assert!(frames(&file).is_err(), "cut at {end}");
            file.write_all_at(&bytes[..index], 0).expect("writable");
        }
    }

    fn frames(file: &File) -> Result<usize, String> {
        let file = file.try_clone().expect("a file");
        let opened = Mp4Frames::open(file).map_err(|error| error.to_string())?;
        Ok(opened.frames.len())
    }

    #[test]
    fn what_is_shown_first_is_delayed_and_what_is_not_shown_is_skipped() {
        let row = |lasts: u32, begins: i32| [lasts.to_be_bytes(), begins.to_be_bytes(), [0; 4]];
        let rows = [row(500, -1), row(9000, 1024), row(100, 0)];
        let elst = [
            &[0; 4][..],
            &3u32.to_be_bytes(),
            rows.as_flattened().as_flattened(),
        ]
        .concat();
        let mut trak = Vec::new();
        for (kind, body) in [(b"elst", elst), (b"edts", Vec::new())] {
            let body = [body, trak].concat();
            trak = (body.len() as u32 + 8).to_be_bytes().to_vec();
            trak.extend(kind);
            trak.extend(body);
        }
        assert_eq!(edits(&trak), Some((500, 1024)));
        assert_eq!(edits(b""), Some((0, 0)));
    }
}

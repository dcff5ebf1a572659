use std::fs;
use std::path::Path;

use bytes::Bytes;
use kvs_media::mkv::{Demuxer, Event, Limits, Tag};
use kvs_media::{
    AudioFormat, Frame, FrameData, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat,
};
use tempfile::TempDir;

use super::*;

mod power_cut;

const STREAM: &str = "front-door";
const MARKED: &[u8] = b"what the camera saw, which nobody else is to see";

fn track(number: u64, codec_id: &str, kind: TrackKind) -> Track {
    Track {
        number: TrackNumber::new(number).expect("1 to 126"),
        kind,
        name: Some(format!("track {number}")),
        codec_id: codec_id.to_owned(),
        codec_private: (number < 3).then(|| Bytes::from(vec![number as u8; 20])),
    }
}

fn tracks() -> Arc<[Track]> {
    let (width, height) = (1920, 1080);
    let audio = AudioFormat {
        sample_rate: 48_000.0,
        channels: 2,
        bit_depth: None,
    };
    let video = TrackKind::Video(VideoFormat { width, height });
    Arc::new([
        track(1, "V_MPEG4/ISO/AVC", video),
        track(2, "A_AAC", TrackKind::Audio(audio)),
        track(3, "application/json", TrackKind::Data(0x11)),
    ])
}

fn frame(number: u64, ms: u64, key: bool, data: impl Into<Bytes>) -> Frame {
    Frame {
        track: TrackNumber::new(number).expect("1 to 126"),
        time: ProducerTime::from_ms(ms),
        decode_time: None,
        duration_ns: None,
        key,
        data: FrameData::from(data.into()),
    }
}

/// Six seconds after the start of 2026, of three tracks.
fn media() -> Media {
    let start_ms = 1_767_225_606_000;
    Media {
        start: ProducerTime::from_ms(start_ms),
        end: ProducerTime::from_ms(start_ms + 40),
        news: 5,
        scale_ns: 1_000_000,
        tracks: tracks(),
        frames: vec![
            frame(1, start_ms, true, MARKED),
            frame(3, start_ms, true, "{}"),
            frame(2, start_ms + 20, true, vec![0x55; 300]),
            frame(1, start_ms + 40, false, ""),
            frame(1, start_ms + 20, false, vec![0xAA; 100]),
        ],
        tags: vec![Tag::new("place", "the door"), Tag::new("empty", "")],
        held: false,
    }
}

/// A folder, and how to open it.
struct Place {
    folder: TempDir,
    config: SpoolConfig,
}

impl Place {
    fn plain() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = SpoolConfig {
            folder: folder.path().join("a/spool"),
            key_file: None,
        };
        Self { folder, config }
    }

    fn sealed() -> Self {
        let mut place = Self::plain();
        place.use_key("key", &[7; 32]);
        place
    }

    fn use_key(&mut self, name: &str, key: &[u8]) {
        let path = self.folder.path().join(name);
        fs::write(&path, key).expect("written");
        self.config.key_file = Some(path);
    }

    fn open(&self) -> Spool {
        Spool::open(&self.config, STREAM).expect("it can be opened")
    }

    fn refused(&self, stream: &str) -> String {
        let error = Spool::open(&self.config, stream).expect_err("must be refused");
        error.to_string()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.config.folder).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into()).collect();
        names.sort();
        names
    }

    /// The only fragment's file.
    fn file(&self) -> PathBuf {
        let mut names = self.names().into_iter();
        let name = names.find(|name| FileName::parse(name).is_some());
        self.config.folder.join(name.expect("a fragment"))
    }
}

fn numbers(found: &[Found]) -> Vec<u64> {
    found.iter().map(|found| found.number).collect()
}

#[test]
fn what_is_written_is_read() {
    for place in [Place::plain(), Place::sealed()] {
        let spool = place.open();
        let Beginning { first, found } = spool.begin();
        assert_eq!((first, found), (1 << 32, Vec::new()));
        let bytes = spool.write(first, &media()).expect("written");
        let without_tags = Media {
            tags: Vec::new(),
            ..media()
        };
        spool.write(first + 1, &without_tags).expect("written");
        for (number, media) in [(first, media()), (first + 1, without_tags)] {
            assert_eq!(spool.read(number).expect("it was written"), media);
        }
        drop(spool);

        let spool = place.open();
        let Beginning { first: next, found } = spool.begin();
        assert_eq!((next, numbers(&found)), (2 << 32, vec![first, first + 1]));
        let Media { start, end, .. } = media();
        let expected = Found {
            number: first,
            bytes,
            frames: 5,
            start,
            end,
            held: false,
        };
        assert_eq!(found[0], expected);
        assert_eq!(fs::metadata(place.file()).expect("a file").len(), bytes);
        assert_eq!(spool.read(first).expect("it was written"), media());
    }
}

#[test]
fn a_plain_file_is_matroska() {
    let place = Place::plain();
    let spool = place.open();
    spool.write(spool.begin().first, &media()).expect("written");
    let mut demuxer = Demuxer::new(Limits::default());
    demuxer.push(fs::read(place.file()).expect("a file").into());
    let mut frames = Vec::new();
    while let Some(event) = demuxer.finish().expect("it is Matroska") {
        if let Event::Frame(frame) = event {
            frames.push(frame);
        }
    }
    assert_eq!(frames, media().frames);
    let name = "00000000004294967296_1767225606000000000_1767225606040000000_5.mkv";
    assert_eq!(place.names(), [name, "lock", "stream"]);
}

#[test]
fn frames_are_slices_of_what_was_read() {
    let place = Place::sealed();
    let spool = place.open();
    spool.write(spool.begin().first, &media()).expect("written");
    let read = spool.read(1 << 32).expect("it was written");
    let at = |frame: &Frame| frame.data.pieces()[0].as_ptr() as usize;
    let distance = at(&read.frames[2]) - at(&read.frames[0]);
    assert!(distance < 500, "{distance}");
}

#[test]
fn a_folder_has_one_user() {
    let place = Place::plain();
    let spool = place.open();
    let clone = spool.clone();
    drop(spool);
    assert!(place.refused(STREAM).contains("in use by another"));
    drop(clone);
    place.open();
}

#[test]
fn a_folder_has_one_stream() {
    let place = Place::plain();
    let spool = place.open();
    spool.write(spool.begin().first, &media()).expect("written");
    drop(spool);
    let error = place.refused("garden");
    assert!(
        error.contains(STREAM) && error.contains("garden"),
        "{error}"
    );
    fs::remove_file(place.config.folder.join("stream")).expect("removed");
    let error = place.refused(STREAM);
    assert!(error.contains("`stream` is missing"), "{error}");
}

#[test]
fn a_folder_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::plain();
    let spool = place.open();
    spool.write(spool.begin().first, &media()).expect("written");
    let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode();
    assert_eq!(mode(&place.config.folder) & 0o777, 0o700);
    assert_eq!(mode(&place.file()) & 0o777, 0o600);
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let mut place = Place::plain();
    let file = place.folder.path().join("file");
    fs::write(&file, "").expect("written");
    place.config.folder = file.join("spool");
    assert!(place.refused(STREAM).contains("cannot be made"));
}

#[test]
fn a_crash_leaves_nothing_behind_and_others_keep_their_files() {
    let place = Place::plain();
    drop(place.open());
    let ours = "00000000004294967296_5_7_3.mkv.part";
    let others = ["00000000004294967297_5_7.mkv", "film.mkv", "film.mkv.part"];
    for name in [&[ours, "stream.part"][..], &others].concat() {
        fs::write(place.config.folder.join(name), "half").expect("written");
    }
    let folder = "00000000004294967298_5_7_3.mkv";
    fs::create_dir(place.config.folder.join(folder)).expect("made");
    let spool = place.open();
    assert_eq!(spool.begin().found, []);
    let kept = [&others[..1], &[folder], &others[1..], &["lock", "stream"]];
    assert_eq!(place.names(), kept.concat());
}

#[test]
fn a_session_finds_what_no_living_one_owns() {
    let place = Place::plain();
    let spool = place.open();
    let one = spool.begin().first;
    spool.write(one, &media()).expect("written");
    spool.write(one + 1, &media()).expect("written");
    let two = spool.begin();
    assert_eq!((two.first, two.found), (2 * one, Vec::new()));
    spool.remove(one).expect("removed");
    spool.remove(one).expect("a missing one is fine");
    spool.end(one);
    assert_eq!(numbers(&spool.begin().found), [one + 1]);
    let again = spool.write(one + 1, &media()).expect_err("it exists");
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    // Somebody tidied up.
    fs::remove_file(place.file()).expect("removed");
    assert!(matches!(spool.read(one + 1), Err(SpoolReadError::Io(_))));
    spool.remove(one + 1).expect("a missing one is fine");
    assert!(matches!(spool.read(one + 1), Err(SpoolReadError::Io(_))));
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let place = Place::sealed();
    let spool = place.open();
    let first = spool.begin().first;
    let good = media();
    let with = |frames: Vec<Frame>| Media { frames, ..media() };
    let large = frame(2, good.start.as_ms(), true, vec![0; 33 << 20]);
    for wrong in [
        with(Vec::new()),
        with(vec![frame(9, good.start.as_ms(), true, "")]),
        with(vec![frame(1, good.start.as_ms() - 1, true, "")]),
        with(vec![frame(1, good.start.as_ms() + 32_768, true, "")]),
        with(vec![large.clone(), large]),
        with(vec![frame(1, good.start.as_ms(), true, vec![0; 51 << 20])]),
        Media {
            tracks: Arc::new([]),
            ..media()
        },
        Media {
            tags: vec![Tag::new("long", "x".repeat(1 << 20))],
            ..media()
        },
    ] {
        let error = spool.write(first, &wrong).expect_err("must be refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
    assert_eq!(place.names(), ["lock", "stream"]);
}

#[test]
fn sealed_files_need_their_key() {
    let mut place = Place::sealed();
    let spool = place.open();
    let first = spool.begin().first;
    spool.write(first, &media()).expect("written");
    drop(spool);
    let file = fs::read(place.file()).expect("a file");
    assert!(place.file().to_string_lossy().ends_with(".mkv.sealed"));
    assert!(!file.windows(8).any(|bytes| MARKED.starts_with(bytes)));

    place.use_key("other", &[8; 32]);
    let spool = place.open();
    let error = spool
        .read(first)
        .expect_err("it is another key")
        .to_string();
    assert!(error.contains("cannot be opened with this key"), "{error}");
    drop(spool);
    place.config.key_file = None;
    let error = place.refused(STREAM);
    assert!(error.contains("1 sealed files: give the key"), "{error}");
}

#[test]
fn with_a_key_plain_files_are_still_read() {
    let mut place = Place::plain();
    let spool = place.open();
    let first = spool.begin().first;
    spool.write(first, &media()).expect("written");
    drop(spool);
    place.use_key("key", &[7; 32]);
    assert_eq!(place.open().read(first).expect("it is plain"), media());
}

#[test]
fn a_sealed_file_cannot_take_another_ones_place() {
    let place = Place::sealed();
    let spool = place.open();
    let first = spool.begin().first;
    spool.write(first, &media()).expect("written");
    drop(spool);
    let name = place.file().to_string_lossy().into_owned();
    let other = name.replace("4294967296", "4294967297");
    fs::rename(name, other).expect("renamed");
    let spool = place.open();
    assert_eq!(numbers(&spool.begin().found), [first + 1]);
    assert!(matches!(spool.read(first + 1), Err(SpoolReadError::Key)));
}

#[test]
fn a_file_that_is_not_whole_is_an_error() {
    for place in [Place::plain(), Place::sealed()] {
        let spool = place.open();
        let first = spool.begin().first;
        spool.write(first, &media()).expect("written");
        let path = place.file();
        let whole = fs::read(&path).expect("a file");
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).expect("written");
            assert!(spool.read(first).is_err(), "{len} bytes");
        }
        let twice = [whole.as_slice(), whole.as_slice()].concat();
        let longer = [whole.as_slice(), b"\xECn"].concat();
        for wrong in [twice, longer, vec![0; 3000], b"garbage".repeat(99)] {
            fs::write(&path, wrong).expect("written");
            assert!(spool.read(first).is_err());
        }
        let huge = fs::File::create(&path).expect("made");
        huge.set_len(FILE_BYTES_MAX + 1).expect("it has holes");
        let error = spool.read(first).expect_err("it is too large");
        assert!(matches!(error, SpoolReadError::Damaged(_)), "{error}");
    }
}

#[test]
fn changed_bytes_never_panic() {
    let place = Place::plain();
    let spool = place.open();
    let first = spool.begin().first;
    spool.write(first, &media()).expect("written");
    let path = place.file();
    let whole = fs::read(&path).expect("a file");
    for at in 0..whole.len() {
        for bits in [1, 0x80, 0xFF] {
            let mut changed = whole.clone();
            changed[at] ^= bits;
            fs::write(&path, changed).expect("written");
            if let Ok(read) = spool.read(first) {
                assert!(!read.frames.is_empty());
            }
        }
    }
}

#[test]
fn what_was_held_is_asked_for_by_another_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = SpoolConfig {
        folder: folder.path().to_owned(),
        key_file: None,
    };
    let spool = Spool::open(&config, "cam").expect("it opens");
    let first = spool.begin().first;
    for number in first..first + 2 {
        let held = Media {
            held: true,
            ..media()
        };
        spool.write(number, &held).expect("written");
    }
    spool.release(first).expect("it has a new name");
    spool.release(first).expect("it has it already");
    spool.release(first + 7).expect("there is none");
    spool.read(first).expect("it is read by its new name");
    drop(spool);
    let spool = Spool::open(&config, "cam").expect("it opens");
    let held: Vec<_> = spool.begin().found.iter().map(|found| found.held).collect();
    assert_eq!(held, [false, true]);
}

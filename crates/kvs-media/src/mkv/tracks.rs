//! TrackEntry elements.

use bytes::Bytes;

use super::DemuxErrorKind;
use super::ebml::{Children, Malformed, float, id, text, uint, write};
use crate::{AudioFormat, Track, TrackKind, TrackNumber, VideoFormat};

const TYPE_VIDEO: u8 = 1;
const TYPE_AUDIO: u8 = 2;

/// A declared track, with what only the demuxer wants to know of it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) track: Track,
    /// DefaultDuration, where given and not 0.
    pub(super) frame_duration_ns: Option<u64>,
}

/// The tracks in the body of a Tracks element.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Entry>, DemuxErrorKind> {
    let malformed = |malformed| DemuxErrorKind::of(malformed, id::TRACKS);
    let mut entries: Vec<Entry> = Vec::new();
    for child in Children::of(body) {
        let (id, entry) = child.map_err(malformed)?;
        if id != id::TRACK_ENTRY {
            continue;
        }
        let entry = Fields::parse(entry).map_err(malformed)?.check()?;
        let number = entry.track.number;
        if entries.iter().any(|known| known.track.number == number) {
            let number = number.get().into();
            let what = "declared twice";
            return Err(DemuxErrorKind::Track { number, what });
        }
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(DemuxErrorKind::NoTracks);
    }
    Ok(entries)
}

/// A TrackEntry as it was said, with Matroska's defaults for what was not.
struct Fields {
    number: u64,
    kind: u64,
    name: Option<String>,
    codec_id: String,
    codec_private: Option<Bytes>,
    frame_duration_ns: u64,
    encoded: bool,
    video: VideoFormat,
    audio: AudioFormat,
}

impl Fields {
    fn parse(entry: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Self {
            number: 0,
            kind: 0,
            name: None,
            codec_id: String::new(),
            codec_private: None,
            frame_duration_ns: 0,
            encoded: false,
            video: VideoFormat::default(),
            audio: AudioFormat {
                sample_rate: 8000.0,
                channels: 1,
                bit_depth: None,
            },
        };
        for child in Children::of(entry) {
            let (id, body) = child?;
            match id {
                id::TRACK_NUMBER => fields.number = uint(id, body)?,
                id::TRACK_TYPE => fields.kind = uint(id, body)?,
                id::NAME => fields.name = Some(text(id, body)?),
                id::CODEC_ID => fields.codec_id = text(id, body)?,
                // Copied, so that a stream's description does not keep a network buffer alive.
                id::CODEC_PRIVATE => {
                    fields.codec_private = Some(Bytes::copy_from_slice(body));
                }
                id::DEFAULT_DURATION => fields.frame_duration_ns = uint(id, body)?,
                id::CONTENT_ENCODINGS => fields.encoded = true,
                id::VIDEO => fields.video = parse_video(body)?,
                id::AUDIO => fields.audio = parse_audio(body, fields.audio)?,
                _ => {}
            }
        }
        Ok(fields)
    }

    fn check(self) -> Result<Entry, DemuxErrorKind> {
        let number = self.number;
        let refuse = |what| Err(DemuxErrorKind::Track { number, what });
        let Some(track_number) = TrackNumber::new(number) else {
            return refuse("its number is not 1 to 126");
        };
        let kind = match u8::try_from(self.kind) {
            Err(_) | Ok(0) => return refuse("it has no type"),
            Ok(TYPE_VIDEO) => TrackKind::Video(self.video),
            Ok(TYPE_AUDIO) => TrackKind::Audio(self.audio),
            Ok(other) => TrackKind::Data(other),
        };
        if self.codec_id.is_empty() {
            return refuse("it has no codec id");
        }
        let is_rate = |rate: f64| rate.is_finite() && rate > 0.0;
        if matches!(kind, TrackKind::Audio(audio) if !is_rate(audio.sample_rate)) {
            return refuse("its sample rate is not a positive number");
        }
        if self.encoded {
            return refuse("its frames are compressed or encrypted by Matroska");
        }
        Ok(Entry {
            track: Track {
                number: track_number,
                kind,
                name: self.name,
                codec_id: self.codec_id,
                codec_private: self.codec_private,
            },
            frame_duration_ns: Some(self.frame_duration_ns).filter(|&ns| ns > 0),
        })
    }
}

fn parse_video(body: &[u8]) -> Result<VideoFormat, Malformed> {
    let mut video = VideoFormat::default();
    for child in Children::of(body) {
        match child? {
            (id::PIXEL_WIDTH, body) => video.width = uint32(id::PIXEL_WIDTH, body)?,
            (id::PIXEL_HEIGHT, body) => video.height = uint32(id::PIXEL_HEIGHT, body)?,
            _ => {}
        }
    }
    Ok(video)
}

fn parse_audio(body: &[u8], mut audio: AudioFormat) -> Result<AudioFormat, Malformed> {
    for child in Children::of(body) {
        let (id, body) = child?;
        match id {
            id::SAMPLING_FREQUENCY => audio.sample_rate = float(id, body)?,
            id::CHANNELS => audio.channels = uint32(id, body)?,
            id::BIT_DEPTH => audio.bit_depth = Some(uint32(id, body)?),
            _ => {}
        }
    }
    Ok(audio)
}

fn uint32(id: super::ebml::Id, body: &[u8]) -> Result<u32, Malformed> {
    u32::try_from(uint(id, body)?).map_err(|_| Malformed::Value(id))
}

/// Writes a Tracks element.
pub(super) fn write(out: &mut Vec<u8>, tracks: &[Track]) {
    write::master(out, id::TRACKS, |out| {
        for track in tracks {
            write::master(out, id::TRACK_ENTRY, |out| write_entry(out, track));
        }
    });
}

fn write_entry(out: &mut Vec<u8>, track: &Track) {
    let number = track.number.get().into();
    write::uint(out, id::TRACK_NUMBER, number);
    write::uint(out, id::TRACK_UID, number);
    let kind = match track.kind {
        TrackKind::Video(_) => TYPE_VIDEO,
        TrackKind::Audio(_) => TYPE_AUDIO,
        TrackKind::Data(kind) => kind,
    };
    write::uint(out, id::TRACK_TYPE, kind.into());
    if let Some(name) = &track.name {
        write::text(out, id::NAME, name);
    }
    write::text(out, id::CODEC_ID, &track.codec_id);
    if let Some(private) = &track.codec_private {
        write::binary(out, id::CODEC_PRIVATE, private);
    }
    match track.kind {
        TrackKind::Video(VideoFormat { width, height }) if width > 0 && height > 0 => {
            write::master(out, id::VIDEO, |out| {
                write::uint(out, id::PIXEL_WIDTH, width.into());
                write::uint(out, id::PIXEL_HEIGHT, height.into());
            });
        }
        TrackKind::Audio(audio) => write::master(out, id::AUDIO, |out| {
            write::float(out, id::SAMPLING_FREQUENCY, audio.sample_rate);
            write::uint(out, id::CHANNELS, audio.channels.into());
            if let Some(bit_depth) = audio.bit_depth {
                write::uint(out, id::BIT_DEPTH, bit_depth.into());
            }
        }),
        TrackKind::Video(_) | TrackKind::Data(_) => {}
    }
}

//! What an MP4 track is: its codec and what a decoder needs first, in Matroska's words.

use bytes::Bytes;
use kvs_media::codec::aac::{self, AudioSpecificConfig};
use kvs_media::{AudioFormat, Track, TrackKind, TrackNumber, VideoFormat};

use super::boxes::{boxes, inside, u16_at, u32_at};
use crate::seed::SeedError;

/// Where the boxes of a video sample entry begin (ISO/IEC 14496-12 section 12.1.3).
const VIDEO_ENTRY_BYTES: usize = 78;
/// The same of audio (section 12.2.3), and what QuickTime's versions 1 and 2 of it have besides.
const AUDIO_ENTRY_BYTES: usize = 28;
const QUICKTIME_BYTES: [usize; 3] = [0, 16, 36];
/// MPEG-4 audio (ISO/IEC 14496-1 table 5).
const OBJECT_AAC: u8 = 0x40;

/// The track of this `stbl`; `None` where it is cut off.
pub(super) fn track(number: TrackNumber, stbl: &[u8]) -> Result<Option<Track>, SeedError> {
    let entries = inside(stbl, &[b"stsd"]).and_then(|stsd| stsd.get(8..));
    let mut entries = entries.into_iter().flat_map(boxes);
    let (Some((kind, entry)), None) = (entries.next(), entries.next()) else {
        return Err(SeedError::wrong(format!(
            "track {number} has none or several descriptions of its samples"
        )));
    };
    Ok(match kind {
        b"avc1" | b"avc3" => video(number, entry, "V_MPEG4/ISO/AVC", b"avcC"),
        b"hvc1" | b"hev1" => video(number, entry, "V_MPEGH/ISO/HEVC", b"hvcC"),
        b"mp4a" => audio(number, entry),
        other => {
            let codec = String::from_utf8_lossy(other);
            return Err(SeedError::wrong(format!(
                "track {number} has the codec {codec:?}, which is none of H.264, H.265 and AAC"
            )));
        }
    })
}

fn video(number: TrackNumber, entry: &[u8], codec_id: &str, config: &[u8; 4]) -> Option<Track> {
    let format = VideoFormat {
        width: u16_at(entry, 24)?.into(),
        height: u16_at(entry, 26)?.into(),
    };
    Some(Track {
        number,
        kind: TrackKind::Video(format),
        name: None,
        codec_id: codec_id.into(),
        codec_private: Some(Bytes::copy_from_slice(inside(
            entry.get(VIDEO_ENTRY_BYTES..)?,
            &[config],
        )?)),
    })
}

fn audio(number: TrackNumber, entry: &[u8]) -> Option<Track> {
    let more = QUICKTIME_BYTES.get(usize::from(u16_at(entry, 8)?))?;
    let esds = inside(entry.get(AUDIO_ENTRY_BYTES + more..)?, &[b"esds"])?;
    let config = audio_config(esds.get(4..)?)?;
    let parsed = AudioSpecificConfig::parse(config).ok();
    let format = AudioFormat {
        sample_rate: parsed
            .map_or(u32_at(entry, 24)? >> 16, |config| config.sample_rate)
            .into(),
        channels: parsed.map_or(u16_at(entry, 16)?.into(), |config| config.channels.into()),
        bit_depth: None,
    };
    Some(Track {
        number,
        kind: TrackKind::Audio(format),
        name: None,
        codec_id: aac::CODEC_ID.into(),
        codec_private: Some(Bytes::copy_from_slice(config)),
    })
}

/// The AudioSpecificConfig in an ES descriptor (ISO/IEC 14496-1 section 7.2.6).
fn audio_config(esds: &[u8]) -> Option<&[u8]> {
    const STREAM: u8 = 3;
    const DECODER: u8 = 4;
    const SPECIFIC: u8 = 5;
    let stream = descriptor(esds, STREAM)?;
    let flags = *stream.get(2)?;
    // Three members that flags say are there.
    let depends = if flags & 0x80 != 0 { 2 } else { 0 };
    let url = match flags & 0x40 != 0 {
        true => 1 + usize::from(*stream.get(3 + depends)?),
        false => 0,
    };
    let clock = if flags & 0x20 != 0 { 2 } else { 0 };
    let decoder = descriptor(stream.get(3 + depends + url + clock..)?, DECODER)?;
    if *decoder.first()? != OBJECT_AAC {
        return None;
    }
    descriptor(decoder.get(13..)?, SPECIFIC)
}

/// The body of a descriptor; its size has 7 bits in each byte, and the first bit says "more".
fn descriptor(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    const SIZE_BYTES_MAX: usize = 4;
    let (first, rest) = bytes.split_first()?;
    let last = rest
        .iter()
        .take(SIZE_BYTES_MAX)
        .position(|byte| byte & 0x80 == 0)?;
    let (size, body) = rest.split_at(last + 1);
    let size = size
        .iter()
        .fold(0, |size, byte| size << 7 | usize::from(byte & 0x7F));
    (*first == tag).then(|| body.get(..size))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_may_give_its_size_in_four_bytes() {
        let esds = [
            &[3, 0x80, 0x80, 0x80, 0x22, 0, 1, 0][..],
            &[
                4, 0x80, 0x80, 0x80, 0x14, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
            &[5, 0x80, 0x80, 0x80, 2, 0x12, 0x10],
            &[6, 0x80, 0x80, 0x80, 1, 2],
        ]
        .concat();
        assert_eq!(audio_config(&esds), Some(&[0x12, 0x10][..]));
        for end in 0..34 {
            assert_eq!(audio_config(&esds[..end]), None, "{end}");
        }
    }
}

//! Tracks as caps: what Matroska says of a track, in GStreamer's words.

use bytes::Bytes;
use gst::prelude::*;
use kvs_media::codec::nal::DecoderConfig;
use kvs_media::codec::{aac, g711, h264, h265, jpeg, opus};
use kvs_media::{AudioFormat, Track, TrackKind, VideoFormat};

use crate::data_track;

/// What a track comes out as that has no caps of its own. The field `codec-id` names it.
const UNKNOWN: &str = "application/octet-stream";

/// The caps that video pads may have.
pub(super) fn video_template() -> gst::Caps {
    gst::Caps::builder_full()
        .structure(
            gst::Structure::builder("video/x-h264")
                .field("stream-format", gst::List::new(["avc", "byte-stream"]))
                .field("alignment", "au")
                .build(),
        )
        .structure(
            gst::Structure::builder("video/x-h265")
                .field("stream-format", gst::List::new(["hvc1", "byte-stream"]))
                .field("alignment", "au")
                .build(),
        )
        .structure(gst::Structure::new_empty("image/jpeg"))
        .structure(gst::Structure::new_empty(UNKNOWN))
        .build()
}

/// The caps that audio pads may have.
pub(super) fn audio_template() -> gst::Caps {
    gst::Caps::builder_full()
        .structure(
            gst::Structure::builder("audio/mpeg")
                .field("mpegversion", 4)
                .field("stream-format", "raw")
                .build(),
        )
        .structure(gst::Structure::new_empty("audio/x-opus"))
        .structure(gst::Structure::new_empty("audio/x-alaw"))
        .structure(gst::Structure::new_empty("audio/x-mulaw"))
        .structure(gst::Structure::new_empty(UNKNOWN))
        .build()
}

/// The caps of a track.
pub(super) fn of_track(track: &Track) -> gst::Caps {
    let known = match (track.kind, track.codec_id.as_str()) {
        (TrackKind::Video(format), h264::CODEC_ID | h264::CODEC_ID_OF_AWS) => {
            Some(h264_caps(track, format))
        }
        (TrackKind::Video(format), h265::CODEC_ID) => Some(h265_caps(track, format)),
        (TrackKind::Video(format), jpeg::CODEC_ID) => {
            let caps = gst::Caps::builder("image/jpeg").field("parsed", true);
            Some(with_size(caps, format, None).build())
        }
        (TrackKind::Audio(_), opus::CODEC_ID) => opus_caps(track),
        (TrackKind::Audio(format), aac::CODEC_ID) => aac_caps(track, format),
        (TrackKind::Audio(format), g711::CODEC_ID) => g711_caps(track, format),
        _ => data_track::caps(track),
    };
    known.unwrap_or_else(|| {
        let caps = gst::Caps::builder(UNKNOWN).field("codec-id", &track.codec_id);
        with_codec_data(caps, track).build()
    })
}

type Builder = gst::caps::Builder<gst::caps::NoFeature>;

/// Without an avcC the frames are a byte stream, as some devices send them.
fn h264_caps(track: &Track, said: VideoFormat) -> gst::Caps {
    let caps = gst::Caps::builder("video/x-h264").field("alignment", "au");
    let config = track
        .codec_private
        .as_deref()
        .and_then(|private| h264::AvcConfig::parse(private).ok());
    let Some(config) = config else {
        let caps = caps.field("stream-format", "byte-stream");
        return with_size(caps, said, None).build();
    };
    let caps = with_codec_data(caps.field("stream-format", "avc"), track)
        .field_if_some(
            "profile",
            h264_profile(config.profile, config.compatibility),
        )
        .field_if_some(
            "level",
            h264_level(config.level, config.profile, config.compatibility),
        );
    with_size(caps, said, config.size()).build()
}

fn h265_caps(track: &Track, said: VideoFormat) -> gst::Caps {
    let caps = gst::Caps::builder("video/x-h265").field("alignment", "au");
    let config = track
        .codec_private
        .as_deref()
        .and_then(|private| h265::HevcConfig::parse(private).ok());
    let Some(config) = config else {
        let caps = caps.field("stream-format", "byte-stream");
        return with_size(caps, said, None).build();
    };
    let caps = with_codec_data(caps.field("stream-format", "hvc1"), track);
    with_size(caps, said, config.size()).build()
}

/// An AAC decoder needs the AudioSpecificConfig, which also knows more than the track's header.
fn aac_caps(track: &Track, said: AudioFormat) -> Option<gst::Caps> {
    let config = aac::AudioSpecificConfig::parse(track.codec_private.as_deref()?).ok()?;
    let channels = match config.channels {
        0 => said.channels, // only the coded data tells
        coded => coded.into(),
    };
    let caps = gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4)
        .field("framed", true)
        .field("stream-format", "raw")
        .field("rate", int(config.sample_rate))
        .field("channels", int(channels));
    Some(with_codec_data(caps, track).build())
}

/// Decoders want both headers of an Ogg stream; the second one is empty here.
fn opus_caps(track: &Track) -> Option<gst::Caps> {
    const TAGS: &[u8] = b"OpusTags\0\0\0\0\0\0\0\0";
    let private = track.codec_private.as_ref()?;
    let head = opus::OpusHead::parse(private).ok()?;
    let headers = [private.clone(), Bytes::from_static(TAGS)];
    let headers = headers.map(|header| gst::Buffer::from_slice(header).to_send_value());
    let caps = gst::Caps::builder("audio/x-opus")
        .field("channel-mapping-family", i32::from(head.family))
        .field("rate", int(opus::SAMPLE_RATE))
        .field("channels", i32::from(head.channels))
        .field("streamheader", gst::Array::from_values(headers));
    let caps = match head.mapping {
        None => caps,
        Some(mapping) => caps
            .field("stream-count", i32::from(mapping.streams))
            .field("coupled-count", i32::from(mapping.coupled))
            .field(
                "channel-mapping",
                gst::Array::new(mapping.channels.into_iter().map(i32::from)),
            ),
    };
    Some(caps.build())
}

fn g711_caps(track: &Track, said: AudioFormat) -> Option<gst::Caps> {
    let format = g711::G711::parse(track.codec_private.as_deref()?).ok()?;
    let name = match format.law {
        g711::Law::A => "audio/x-alaw",
        g711::Law::Mu => "audio/x-mulaw",
    };
    let (rate, channels) = match (format.sample_rate, format.channels) {
        (0, _) | (_, 0) => (said.sample_rate as u32, said.channels),
        (rate, channels) => (rate, channels.into()),
    };
    Some(
        gst::Caps::builder(name)
            .field("rate", int(rate))
            .field("channels", int(channels))
            .build(),
    )
}

fn with_codec_data(caps: Builder, track: &Track) -> Builder {
    let codec_data = track
        .codec_private
        .clone()
        .filter(|private| !private.is_empty());
    caps.field_if_some("codec_data", codec_data.map(gst::Buffer::from_slice))
}

/// The track's header says what is to be shown; the parameter set is asked where it is silent.
fn with_size(caps: Builder, said: VideoFormat, coded: Option<(u32, u32)>) -> Builder {
    let size = match said {
        VideoFormat { width: 0, .. } | VideoFormat { height: 0, .. } => coded,
        VideoFormat { width, height } => Some((width, height)),
    };
    caps.field_if_some("width", size.map(|(width, _)| int(width)))
        .field_if_some("height", size.map(|(_, height)| int(height)))
}

/// Caps have signed numbers; no real size or rate is beyond them.
fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The names that h264parse gives profiles (H.264 annex A.2; the constraint flags count from the
/// highest bit).
fn h264_profile(profile: u8, compatibility: u8) -> Option<&'static str> {
    let constraint = |set: u8| compatibility & (0x80 >> set) != 0;
    Some(match profile {
        66 if constraint(1) => "constrained-baseline",
        66 => "baseline",
        77 => "main",
        88 => "extended",
        100 if constraint(4) && constraint(5) => "constrained-high",
        100 if constraint(4) => "progressive-high",
        100 => "high",
        110 if constraint(3) => "high-10-intra",
        110 => "high-10",
        122 if constraint(3) => "high-4:2:2-intra",
        122 => "high-4:2:2",
        244 if constraint(3) => "high-4:4:4-intra",
        244 => "high-4:4:4",
        _ => return None,
    })
}

/// The level as caps spell it (H.264 annex A.3: level 1b is 11 with constraint 3 in the older
/// profiles, 9 in the newer).
fn h264_level(level: u8, profile: u8, compatibility: u8) -> Option<String> {
    let older = matches!(profile, 66 | 77 | 88);
    match level {
        0 => None,
        9 => Some("1b".to_owned()),
        11 if older && compatibility & 0x10 != 0 => Some("1b".to_owned()),
        level if level % 10 == 0 => Some((level / 10).to_string()),
        level => Some(format!("{}.{}", level / 10, level % 10)),
    }
}

#[cfg(test)]
mod tests {
    use kvs_media::TrackNumber;

    use super::*;

    /// High, level 3.1, 768 × 576: the avcC of `pipelines/street.mp4`.
    const AVCC: &[u8] = &[
        0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x17, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xb3, 0x01,
        0x80, 0x24, 0xd0, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x0a, 0x07, 0x8c, 0x19,
        0x34, 0x01, 0x00, 0x06, 0x68, 0xe9, 0x71, 0x4b, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
    ];

    fn caps(kind: TrackKind, codec_id: &str, private: Option<&'static [u8]>) -> gst::Caps {
        gst::init().expect("GStreamer starts");
        of_track(&Track {
            number: TrackNumber::new(1).expect("a track number"),
            kind,
            name: None,
            codec_id: codec_id.into(),
            codec_private: private.map(Bytes::from_static),
        })
    }

    /// An hvcC of H.265 Main without parameter sets.
    const HVCC: &[u8] = &[
        0x01, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3f, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0,
        0, 0x0f, 0,
    ];

    fn video(width: u32, height: u32) -> TrackKind {
        TrackKind::Video(VideoFormat { width, height })
    }

    fn audio() -> TrackKind {
        TrackKind::Audio(AudioFormat {
            sample_rate: 8000.0,
            channels: 1,
            bit_depth: None,
        })
    }

    fn is(caps: &gst::Caps, expected: &str) {
        let expected: gst::Caps = expected.parse().expect("caps");
        assert_eq!(*caps, expected, "{caps}");
    }

    fn within(caps: &gst::Caps, template: &gst::Caps) {
        assert!(
            caps.is_subset(template),
            "{caps} is not in the template {template}"
        );
    }

    #[test]
    fn h264_tells_all_that_its_avcc_does() {
        for codec_id in ["V_MPEG4/ISO/AVC", "V_MPEG/ISO/AVC"] {
            let caps = caps(video(0, 0), codec_id, Some(AVCC));
            is(
                &caps,
                "video/x-h264, stream-format=avc, alignment=au, profile=high, level=(string)3.1, \
                 width=768, height=576, codec_data=(buffer)0164001fffe100176764001facb3018024d0\
                 80000003008000000a078c193401000668e9714b22c0fdf8f800",
            );
            within(&caps, &video_template());
        }
    }

    #[test]
    fn the_size_in_the_tracks_header_wins() {
        let caps = caps(video(640, 360), h264::CODEC_ID, Some(AVCC));
        let structure = caps.structure(0).expect("one structure");
        assert_eq!(structure.get("width"), Ok(640));
        assert_eq!(structure.get("height"), Ok(360));
    }

    #[test]
    fn h264_without_an_avcc_is_a_byte_stream() {
        let expected = "video/x-h264, stream-format=byte-stream, alignment=au, width=4, height=2";
        is(&caps(video(4, 2), h264::CODEC_ID, None), expected);
        is(
            &caps(video(4, 2), h264::CODEC_ID, Some(&[0, 0, 0, 1])),
            expected,
        );
    }

    #[test]
    fn profiles_and_levels_have_h264parses_names() {
        assert_eq!(h264_profile(66, 0xc0), Some("constrained-baseline"));
        assert_eq!(h264_profile(100, 0x0c), Some("constrained-high"));
        assert_eq!(h264_profile(1, 0), None);
        assert_eq!(h264_level(40, 100, 0).as_deref(), Some("4"));
        assert_eq!(h264_level(11, 66, 0x10).as_deref(), Some("1b"));
        assert_eq!(h264_level(11, 100, 0x10).as_deref(), Some("1.1"));
    }

    #[test]
    fn h265_has_its_hvcc() {
        let caps = caps(video(1920, 1080), h265::CODEC_ID, Some(HVCC));
        is(
            &caps,
            "video/x-h265, stream-format=hvc1, alignment=au, width=1920, height=1080, \
             codec_data=(buffer)0101600000009000000000003ff000fcfdf8f800000f00",
        );
        within(&caps, &video_template());
    }

    #[test]
    fn opus_and_jpeg_have_what_their_decoders_want() {
        let jpeg = caps(video(4, 2), jpeg::CODEC_ID, None);
        is(&jpeg, "image/jpeg, parsed=true, width=4, height=2");
        within(&jpeg, &video_template());
        let stereo = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
        let opus = caps(audio(), opus::CODEC_ID, Some(stereo));
        is(
            &opus,
            "audio/x-opus, channel-mapping-family=0, rate=48000, channels=2, streamheader=\
             <(buffer)4f707573486561640102380180bb0000000000, \
             (buffer)4f707573546167730000000000000000>",
        );
        within(&opus, &audio_template());
        let broken = caps(audio(), opus::CODEC_ID, Some(&stereo[..9]));
        is(
            &broken,
            "application/octet-stream, codec-id=A_OPUS, codec_data=(buffer)4f7075734865616401",
        );
    }

    #[test]
    fn aac_takes_rate_and_channels_from_its_configuration() {
        let caps = caps(audio(), "A_AAC", Some(&[0x11, 0x90]));
        is(
            &caps,
            "audio/mpeg, mpegversion=4, framed=true, stream-format=raw, rate=48000, channels=2, \
             codec_data=(buffer)1190",
        );
        within(&caps, &audio_template());
    }

    #[test]
    fn both_laws_of_g711() {
        for (law, name) in [
            (g711::Law::A, "audio/x-alaw"),
            (g711::Law::Mu, "audio/x-mulaw"),
        ] {
            let format = g711::G711 {
                law,
                sample_rate: 16_000,
                channels: 2,
            };
            let private: &'static [u8] = Box::leak(format.build().to_vec().into_boxed_slice());
            let caps = caps(audio(), "A_MS/ACM", Some(private));
            is(&caps, &format!("{name}, rate=16000, channels=2"));
            within(&caps, &audio_template());
        }
    }

    #[test]
    fn what_nobody_knows_is_named() {
        let unknown = caps(video(0, 0), "V_AV9", Some(&[7]));
        is(
            &unknown,
            "application/octet-stream, codec-id=V_AV9, codec_data=(buffer)07",
        );
        within(&unknown, &video_template());
        let broken = caps(audio(), "A_AAC", None);
        is(&broken, "application/octet-stream, codec-id=A_AAC");
        within(&broken, &audio_template());
        let data = caps(TrackKind::Data(0x21), "application/json", None);
        is(&data, "application/octet-stream, codec-id=application/json");
    }
}

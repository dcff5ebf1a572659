//! Caps of GStreamer to tracks of Matroska.

use bytes::Bytes;
use kvs_client::producer::TrackFormat;
use kvs_media::codec::aac::{self, AacError, AudioSpecificConfig};
use kvs_media::codec::g711::{self, G711, Law};
use kvs_media::codec::h264::{self, Alignment, AvcConfig, AvcConfigError, Sps};
use kvs_media::{AudioFormat, TrackKind, VideoFormat};

/// The names that AWS's own element gives its tracks.
const VIDEO_TRACK_NAME: &str = "kinesis_video";
const AUDIO_TRACK_NAME: &str = "kinesis_audio";

/// Caps that cannot be sent. The text says what to put before the element.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CapsError {
    /// There is no structure in them.
    #[error("the caps are empty")]
    Empty,
    /// A media type without a place in the service's profile of Matroska.
    #[error("{0} cannot be sent: H.264, AAC, A-law and µ-law can")]
    Unknown(String),
    /// A field is missing that the track needs.
    #[error("{media} without {field}: put {parser} before the element")]
    Missing {
        media: &'static str,
        field: &'static str,
        parser: &'static str,
    },
    /// A field has a value that does not fit.
    #[error("{media} with {field}={value} cannot be sent: put {parser} before the element")]
    Unfit {
        media: &'static str,
        field: &'static str,
        value: String,
        parser: &'static str,
    },
    /// H.264's codec_data is broken.
    #[error("the codec_data of the H.264 video is broken: {0}")]
    Avc(#[from] AvcConfigError),
    /// AAC's codec_data is broken.
    #[error("the codec_data of the AAC audio is broken: {0}")]
    Aac(#[from] AacError),
}

/// How the NAL units of H.264 video follow each other.
pub(crate) enum H264Framing {
    /// Pictures, with a length before each NAL unit. The avcC says the rest.
    Lengths(Bytes),
    /// Single NAL units, with a length before each.
    SingleLengths(AvcConfig),
    /// A byte stream, and what the end of a buffer means in it.
    StartCodes(Alignment),
}

/// How H.264 comes, by the caps' stream-format and alignment.
pub(crate) fn h264_framing(caps: &gst::StructureRef) -> Result<H264Framing, CapsError> {
    const MEDIA: &str = "H.264 video";
    let text = |field| caps.get::<&str>(field).unwrap_or_default();
    match (text("stream-format"), text("alignment")) {
        ("avc" | "avc3", alignment) => {
            let avcc = codec_data(caps).ok_or(CapsError::Missing {
                media: MEDIA,
                field: "codec_data",
                parser: "h264parse",
            })?;
            if alignment == "nal" {
                return Ok(H264Framing::SingleLengths(AvcConfig::parse(&avcc)?));
            }
            Ok(H264Framing::Lengths(avcc))
        }
        // Sources that do not say it (MPEG-TS) send a byte stream.
        ("byte-stream" | "", alignment) => Ok(H264Framing::StartCodes(match alignment {
            "au" => Alignment::AccessUnit,
            "nal" => Alignment::Nal,
            _ => Alignment::Unknown,
        })),
        (other, _) => Err(CapsError::Unfit {
            media: MEDIA,
            field: "stream-format",
            value: other.to_owned(),
            parser: "h264parse",
        }),
    }
}

/// Width and height, where the caps say them.
pub(crate) fn size(caps: &gst::StructureRef) -> Option<(u32, u32)> {
    let field = |name| u32::try_from(caps.get::<i32>(name).ok()?).ok();
    Some((field("width")?, field("height")?))
}

/// The track of H.264 video. Without a size in the caps the parameter set tells it.
pub(crate) fn video_track(config: &AvcConfig, size: Option<(u32, u32)>) -> TrackFormat {
    let coded_size = || {
        let sps = Sps::parse(config.sps.first()?).ok()?;
        Some((sps.width, sps.height))
    };
    let (width, height) = size.or_else(coded_size).unwrap_or_default();
    TrackFormat {
        kind: TrackKind::Video(VideoFormat { width, height }),
        name: Some(VIDEO_TRACK_NAME.to_owned()),
        codec_id: h264::CODEC_ID.to_owned(),
        codec_private: Some(config.build()),
    }
}

/// The track of audio in one of the forms that can be sent.
pub(crate) fn audio_track(caps: &gst::StructureRef) -> Result<TrackFormat, CapsError> {
    match caps.name().as_str() {
        "audio/mpeg" => aac_track(caps),
        "audio/x-alaw" => g711_track(caps, Law::A),
        "audio/x-mulaw" => g711_track(caps, Law::Mu),
        other => Err(CapsError::Unknown(other.to_owned())),
    }
}

fn aac_track(caps: &gst::StructureRef) -> Result<TrackFormat, CapsError> {
    const MEDIA: &str = "AAC audio";
    let framing = caps.get::<&str>("stream-format").unwrap_or("raw");
    if framing != "raw" {
        return Err(CapsError::Unfit {
            media: MEDIA,
            field: "stream-format",
            value: framing.to_owned(),
            parser: "aacparse",
        });
    }
    let codec_private = codec_data(caps).ok_or(CapsError::Missing {
        media: MEDIA,
        field: "codec_data",
        parser: "aacparse",
    })?;
    let config = AudioSpecificConfig::parse(&codec_private)?;
    let said = |field, coded| match caps.get::<i32>(field) {
        Ok(value) => u32::try_from(value).unwrap_or(coded),
        Err(_) => coded,
    };
    Ok(audio(
        aac::CODEC_ID,
        codec_private,
        said("rate", config.sample_rate),
        said("channels", config.channels.into()),
        None,
    ))
}

fn g711_track(caps: &gst::StructureRef, law: Law) -> Result<TrackFormat, CapsError> {
    /// What one byte of G.711 holds.
    const BITS_PER_SAMPLE: u32 = 8;
    let field = |field| {
        let value = caps.get::<i32>(field).ok();
        value
            .and_then(|value| u32::try_from(value).ok())
            .ok_or(CapsError::Missing {
                media: "G.711 audio",
                field,
                parser: "audioconvert ! alawenc",
            })
    };
    let (sample_rate, channels) = (field("rate")?, field("channels")?);
    let format = G711 {
        law,
        sample_rate,
        channels: u16::try_from(channels).unwrap_or(u16::MAX),
    };
    Ok(audio(
        g711::CODEC_ID,
        format.build(),
        sample_rate,
        channels,
        Some(BITS_PER_SAMPLE),
    ))
}

fn audio(
    codec_id: &str,
    codec_private: Bytes,
    sample_rate: u32,
    channels: u32,
    bit_depth: Option<u32>,
) -> TrackFormat {
    TrackFormat {
        kind: TrackKind::Audio(AudioFormat {
            sample_rate: sample_rate.into(),
            channels,
            bit_depth,
        }),
        name: Some(AUDIO_TRACK_NAME.to_owned()),
        codec_id: codec_id.to_owned(),
        codec_private: Some(codec_private),
    }
}

fn codec_data(caps: &gst::StructureRef) -> Option<Bytes> {
    let buffer = caps.get::<gst::Buffer>("codec_data").ok()?;
    let map = buffer.map_readable().ok()?;
    Some(Bytes::copy_from_slice(&map))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structure(text: &str) -> gst::Structure {
        gst::init().expect("GStreamer initialises");
        text.parse().expect("a valid structure")
    }

    #[test]
    fn what_cannot_be_sent_says_which_parser_helps() {
        let cases = [
            ("audio/mpeg,stream-format=raw", "aacparse"),
            ("audio/mpeg,stream-format=adts", "aacparse"),
            ("audio/x-alaw,rate=8000", "channels"),
            ("audio/x-raw", "cannot be sent"),
        ];
        for (caps, word) in cases {
            let error = audio_track(&structure(caps)).expect_err(caps);
            assert!(error.to_string().contains(word), "{caps}: {error}");
        }
        for caps in [
            "video/x-h264,stream-format=avc",
            "video/x-h264,stream-format=odd",
        ] {
            let error = h264_framing(&structure(caps)).err().expect(caps);
            assert!(error.to_string().contains("h264parse"), "{caps}: {error}");
        }
    }

    #[test]
    fn aac_takes_rate_and_channels_from_its_configuration() {
        let track = audio_track(&structure(
            "audio/mpeg,mpegversion=4,stream-format=raw,codec_data=(buffer)1190",
        ));
        let track = track.expect("AAC LC, 48 kHz, stereo");
        assert_eq!(track.codec_id, aac::CODEC_ID);
        assert_eq!(track.codec_private.as_deref(), Some(&[0x11, 0x90][..]));
        let TrackKind::Audio(format) = track.kind else {
            panic!("{:?} is no audio", track.kind);
        };
        assert_eq!((format.sample_rate, format.channels), (48_000.0, 2));
    }

    #[test]
    fn h264_without_a_word_is_a_byte_stream_of_any_alignment() {
        let framing = h264_framing(&structure("video/x-h264")).expect("as tsdemux sends it");
        assert!(matches!(
            framing,
            H264Framing::StartCodes(Alignment::Unknown)
        ));
    }
}

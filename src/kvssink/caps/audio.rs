//! Audio: AAC, Opus and G.711.

use bytes::Bytes;
use kvs_client::producer::TrackFormat;
use kvs_media::codec::aac::{self, AudioSpecificConfig};
use kvs_media::codec::g711::{self, G711, Law};
use kvs_media::codec::opus::{self, OpusHead, OpusMapping};
use kvs_media::{AudioFormat, TrackKind};

use super::{CapsError, codec_data};

/// The name that AWS's own element gives its audio track.
const TRACK_NAME: &str = "kinesis_audio";

/// The track of audio in one of the forms that can be sent.
pub(crate) fn audio_track(caps: &gst::StructureRef) -> Result<TrackFormat, CapsError> {
    match caps.name().as_str() {
        "audio/mpeg" => aac_track(caps),
        "audio/x-alaw" => g711_track(caps, Law::A),
        "audio/x-mulaw" => g711_track(caps, Law::Mu),
        "audio/x-opus" => opus_track(caps),
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
    let config = {
        let wrong = |error| CapsError::codec_data(MEDIA, &error);
        AudioSpecificConfig::parse(&codec_private).map_err(wrong)?
    };
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

/// Whether each packet has an ADTS header before it.
pub(crate) fn is_adts(caps: &gst::StructureRef) -> bool {
    caps.name() == "audio/mpeg" && caps.get::<&str>("stream-format") == Ok("adts")
}

/// The track of AAC whose ADTS headers amount to this AudioSpecificConfig.
pub(crate) fn adts_track(config: [u8; 2]) -> Option<TrackFormat> {
    let parsed = AudioSpecificConfig::parse(&config).ok()?;
    Some(audio(
        aac::CODEC_ID,
        Bytes::copy_from_slice(&config),
        parsed.sample_rate,
        parsed.channels.into(),
        None,
    ))
}

fn opus_track(caps: &gst::StructureRef) -> Result<TrackFormat, CapsError> {
    const MEDIA: &str = "Opus audio";
    let header = caps.get::<gst::Array>("streamheader").ok();
    let header = header.and_then(|headers| headers.first()?.get::<gst::Buffer>().ok());
    let head = match header.and_then(|header| header.into_mapped_buffer_readable().ok()) {
        Some(header) => {
            let wrong = |error| CapsError::codec_data(MEDIA, &error);
            OpusHead::parse(&header).map_err(wrong)?
        }
        None => opus_head(caps).ok_or(CapsError::Missing {
            media: MEDIA,
            field: "channels and channel-mapping-family",
            parser: "opusparse",
        })?,
    };
    Ok(audio(
        opus::CODEC_ID,
        head.build(),
        opus::SAMPLE_RATE,
        head.channels.into(),
        None,
    ))
}

/// What the caps alone say, as those behind an RTP depayloader.
fn opus_head(caps: &gst::StructureRef) -> Option<OpusHead> {
    let byte = |field| u8::try_from(caps.get::<i32>(field).ok()?).ok();
    let family = byte("channel-mapping-family")?;
    let channels = byte("channels").or(if family == 0 { Some(2) } else { None })?;
    let mapping = || {
        let table = caps.get::<gst::Array>("channel-mapping").ok()?;
        let table = table
            .iter()
            .map(|channel| channel.get::<i32>().ok()?.try_into().ok());
        Some(OpusMapping {
            streams: byte("stream-count")?,
            coupled: byte("coupled-count")?,
            channels: table.collect::<Option<_>>()?,
        })
    };
    Some(OpusHead {
        channels,
        pre_skip: 0,
        input_rate: caps.get::<i32>("rate").ok()?.try_into().ok()?,
        gain: 0,
        family,
        mapping: if family == 0 { None } else { Some(mapping()?) },
    })
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
        name: Some(TRACK_NAME.to_owned()),
        codec_id: codec_id.to_owned(),
        codec_private: Some(codec_private),
    }
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
            ("audio/mpeg,stream-format=loas", "aacparse"),
            ("audio/x-opus", "opusparse"),
            ("audio/x-alaw,rate=8000", "channels"),
            ("audio/x-raw", "cannot be sent"),
        ];
        for (caps, word) in cases {
            let error = audio_track(&structure(caps)).expect_err(caps);
            assert!(error.to_string().contains(word), "{caps}: {error}");
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
}

//! Video: H.264 and H.265 in every framing, and JPEG.

use bytes::Bytes;
use kvs_client::producer::TrackFormat;
use kvs_media::codec::jpeg;
use kvs_media::codec::nal::{Alignment, DecoderConfig, NalCodec};
use kvs_media::{TrackKind, VideoFormat};

use super::{CapsError, codec_data};

/// The name that AWS's own element gives its video track.
const TRACK_NAME: &str = "kinesis_video";

/// What GStreamer calls a codec whose pictures are made of NAL units.
#[derive(Debug)]
pub(crate) struct NalMedia {
    name: &'static str,
    parser: &'static str,
    /// The stream-formats that have lengths before the NAL units.
    with_lengths: [&'static str; 2],
}

impl NalMedia {
    pub(crate) const H264: Self = Self {
        name: "H.264 video",
        parser: "h264parse",
        with_lengths: ["avc", "avc3"],
    };
    pub(crate) const H265: Self = Self {
        name: "H.265 video",
        parser: "h265parse",
        with_lengths: ["hvc1", "hev1"],
    };

    /// A decoder's configuration in codec_data that is none.
    pub(crate) fn broken(&self, what: &dyn std::error::Error) -> CapsError {
        CapsError::codec_data(self.name, what)
    }
}

/// How NAL units follow each other.
#[derive(Debug)]
pub(crate) enum Framing {
    /// With a length before each, as the decoder's configuration says.
    Lengths(Bytes, Alignment),
    /// A byte stream.
    StartCodes(Alignment),
}

/// How the NAL units come, by the caps' stream-format and alignment.
pub(crate) fn framing(caps: &gst::StructureRef, media: &NalMedia) -> Result<Framing, CapsError> {
    let text = |field| caps.get::<&str>(field).unwrap_or_default();
    let alignment = match text("alignment") {
        "au" => Alignment::AccessUnit,
        "nal" => Alignment::Nal,
        _ => Alignment::Unknown,
    };
    match text("stream-format") {
        // Sources that do not say it (MPEG-TS) send a byte stream.
        "byte-stream" | "" => Ok(Framing::StartCodes(alignment)),
        format if media.with_lengths.contains(&format) => {
            let config = codec_data(caps).ok_or(CapsError::Missing {
                media: media.name,
                field: "codec_data",
                parser: media.parser,
            })?;
            Ok(Framing::Lengths(config, alignment))
        }
        other => Err(CapsError::Unfit {
            media: media.name,
            field: "stream-format",
            value: other.to_owned(),
            parser: media.parser,
        }),
    }
}

/// Width and height, where the caps say them.
pub(crate) fn size(caps: &gst::StructureRef) -> Option<(u32, u32)> {
    let field = |name| u32::try_from(caps.get::<i32>(name).ok()?).ok();
    Some((field("width")?, field("height")?))
}

/// The track of H.264 or H.265. Without a size in the caps the parameter set tells it.
pub(crate) fn video_track<C: NalCodec>(
    config: &C::Config,
    size: Option<(u32, u32)>,
) -> TrackFormat {
    let size = size.or_else(|| config.size());
    track(C::CODEC_ID, size, Some(config.build()))
}

/// The track of JPEG pictures.
pub(crate) fn jpeg_track(caps: &gst::StructureRef) -> TrackFormat {
    track(jpeg::CODEC_ID, size(caps), None)
}

fn track(codec_id: &str, size: Option<(u32, u32)>, codec_private: Option<Bytes>) -> TrackFormat {
    let (width, height) = size.unwrap_or_default();
    TrackFormat {
        kind: TrackKind::Video(VideoFormat { width, height }),
        name: Some(TRACK_NAME.to_owned()),
        codec_id: codec_id.to_owned(),
        codec_private,
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
            ("video/x-h264,stream-format=avc", NalMedia::H264),
            ("video/x-h264,stream-format=odd", NalMedia::H264),
            ("video/x-h265,stream-format=hvc1", NalMedia::H265),
            ("video/x-h265,stream-format=avc", NalMedia::H265),
        ];
        for (caps, media) in cases {
            let error = framing(&structure(caps), &media).expect_err(caps);
            assert!(error.to_string().contains(media.parser), "{caps}: {error}");
        }
    }

    #[test]
    fn video_without_a_word_is_a_byte_stream_of_any_alignment() {
        let framing = framing(&structure("video/x-h264"), &NalMedia::H264);
        let framing = framing.expect("as tsdemux sends it");
        assert!(matches!(framing, Framing::StartCodes(Alignment::Unknown)));
    }
}

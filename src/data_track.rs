//! Data tracks: the caps of any stream, written into a track and read from it again.
//!
//! The format is specified in `docs/data-tracks.md`.

use bytes::Bytes;
use kvs_client::producer::TrackFormat;
use kvs_media::{Track, TrackKind};

/// The format and its version. Another version is another codec, which readers do not know.
const CODEC_ID: &str = "D_GSTREAMER/CAPS/1";
/// Matroska's number for tracks of metadata (RFC 9559, section 5.1.4.1.3).
const TRACK_TYPE: u8 = 33;
/// What a track is called.
const TRACK_NAME: &str = "data";
/// Caps with headers in them may be long; the service takes 1 MiB for all tracks together.
const CAPS_BYTES_MAX: usize = 64 << 10;

/// Caps that cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataTrackError {
    /// What is in such buffers cannot be read, or not be brought back.
    #[error("buffers of {0} cannot be sent: put an element before it that downloads them")]
    Memory(String),
    /// They hold what has no form as text.
    #[error("the caps {0} cannot be written as text: remove the fields that are no plain values")]
    Text(String),
    /// They are longer than a track's header should be.
    #[error("caps of {0} bytes cannot be sent: 64 KiB can")]
    Long(usize),
}

/// The track of data with those caps.
pub(crate) fn track(caps: &gst::CapsRef) -> Result<TrackFormat, DataTrackError> {
    let is_plain = |features: &gst::CapsFeaturesRef| {
        features.is_equal(&gst::CapsFeatures::new([
            gst::CAPS_FEATURE_MEMORY_SYSTEM_MEMORY,
        ]))
    };
    if let Some(features) = caps.features(0).filter(|features| !is_plain(features)) {
        return Err(DataTrackError::Memory(features.to_string()));
    }
    let text = caps.to_string();
    if text.len() > CAPS_BYTES_MAX {
        return Err(DataTrackError::Long(text.len()));
    }
    let again = text.parse::<gst::Caps>();
    if !again.is_ok_and(|again| again.is_fixed() && again.is_strictly_equal(caps)) {
        return Err(DataTrackError::Text(text));
    }
    Ok(TrackFormat {
        kind: TrackKind::Data(TRACK_TYPE),
        name: Some(TRACK_NAME.to_owned()),
        codec_id: CODEC_ID.to_owned(),
        codec_private: Some(Bytes::from(text)),
    })
}

/// The caps of a track that was written so; `None` of another one.
pub(crate) fn caps(track: &Track) -> Option<gst::Caps> {
    if !is_ours(track) {
        return None;
    }
    let text = std::str::from_utf8(track.codec_private.as_deref()?).ok()?;
    let caps = text.parse::<gst::Caps>().ok()?;
    caps.is_fixed().then_some(caps)
}

/// Whether a track was written so. Its frames without the key flag say only that the value before
/// them still holds.
pub(crate) fn is_ours(track: &Track) -> bool {
    matches!(track.kind, TrackKind::Data(_)) && track.codec_id == CODEC_ID
}

#[cfg(test)]
mod tests {
    use kvs_media::TrackNumber;

    use super::*;

    fn parse(caps: &str) -> gst::Caps {
        gst::init().expect("GStreamer starts");
        caps.parse().expect("caps")
    }

    fn numbered(format: TrackFormat) -> Track {
        Track {
            number: TrackNumber::new(1).expect("a number"),
            kind: format.kind,
            name: format.name,
            codec_id: format.codec_id,
            codec_private: format.codec_private,
        }
    }

    #[test]
    fn caps_come_back_as_they_were() {
        for text in [
            "meta/x-klv,parsed=true",
            "application/json",
            "text/x-raw,format=utf8,note=(string)\"a, \\\"b\\\" und ä\"",
            "video/x-raw,format=GRAY16_LE,width=160,height=120,framerate=9/1,\
             pixel-aspect-ratio=1/1,colorimetry=(string)1:4:0:0",
            "application/x-radar,points=<1,2,3>,head=(buffer)00ff,scale=(double)0.1,\
             mask=(bitmask)0xf,since=(guint64)18446744073709551615",
        ] {
            let wanted = parse(text);
            let track = numbered(track(&wanted).expect(text));
            let found = caps(&track).expect(text);
            assert!(found.is_strictly_equal(&wanted), "{found} of {wanted}");
        }
    }

    #[test]
    fn what_could_not_come_back_is_refused() {
        let memory = parse("video/x-raw(memory:GLMemory),format=RGBA");
        assert!(matches!(track(&memory), Err(DataTrackError::Memory(_))));
        let holder = gst::Structure::builder("application/x-holder");
        let holder = holder.field("bus", gst::Bus::new());
        let object = gst::Caps::builder_full().structure(holder.build()).build();
        assert!(matches!(track(&object), Err(DataTrackError::Text(_))));
        let long = format!("a/b,c=(string){}", "x".repeat(CAPS_BYTES_MAX));
        assert!(matches!(track(&parse(&long)), Err(DataTrackError::Long(_))));
    }

    #[test]
    fn another_version_and_broken_caps_are_not_ours() {
        let mut track = numbered(track(&parse("application/json")).expect("plain caps"));
        track.codec_private = Some(Bytes::from_static(b"\xff"));
        assert_eq!(caps(&track), None);
        track.codec_private = Some(Bytes::from_static(b"video/x-raw,width=[1,2]"));
        assert_eq!(caps(&track), None);
        track.codec_private = Some(Bytes::from_static(b"application/json"));
        assert!(caps(&track).is_some());
        track.codec_id = "D_GSTREAMER/CAPS/2".to_owned();
        assert_eq!(caps(&track), None);
    }
}

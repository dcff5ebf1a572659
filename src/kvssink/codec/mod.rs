//! From a pad's buffers to coded frames, as its caps say.

mod adts;
mod pictures;

use std::collections::VecDeque;

use bytes::Bytes;
use kvs_client::producer::TrackFormat;
use kvs_media::codec::h264::H264;
use kvs_media::codec::h265::H265;
use kvs_media::codec::nal::AssemblyError;

use super::caps::{self, CapsError, NalMedia};
use super::chunks::Chunks;
use adts::Adts;
use pictures::Pictures;

/// When a buffer is due, before anything is made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Its PTS; `None` where it has none.
    pub(super) position_ns: Option<i64>,
    /// Running time of its PTS.
    pub(super) running_ns: Option<i64>,
    /// How long before its PTS it is to be decoded.
    pub(super) decode_lead_ns: Option<i64>,
    /// How long it lasts.
    pub(super) duration_ns: Option<u64>,
    /// The camera's own clock, where it told.
    pub(super) camera_ns: Option<u64>,
}

/// One frame, not yet placed in time.
#[derive(Debug)]
pub(super) struct CodedFrame {
    pub(super) data: Bytes,
    pub(super) key: bool,
    pub(super) stamp: Stamp,
    /// The track's new format, which this frame is the first to have.
    pub(super) format: Option<TrackFormat>,
}

/// How the buffers of a pad become frames.
#[derive(Debug)]
pub(super) enum Codec {
    /// Each buffer is a frame at which decoding can start.
    Packets { format: Option<TrackFormat> },
    /// Each buffer is a value of a data track.
    Data { format: Option<TrackFormat> },
    /// AAC behind ADTS headers.
    Adts(Adts),
    /// Pictures are assembled from NAL units.
    Pictures(Box<dyn Pictures>),
}

impl Codec {
    /// What the buffers behind these caps need.
    pub(super) fn from_caps(caps: &gst::CapsRef) -> Result<Self, CapsError> {
        let caps = caps.structure(0).ok_or(CapsError::Empty)?;
        let packets = |format| Self::Packets {
            format: Some(format),
        };
        Ok(match caps.name().as_str() {
            "video/x-h264" => Self::Pictures(pictures::from_caps::<H264>(caps, &NalMedia::H264)?),
            "video/x-h265" => Self::Pictures(pictures::from_caps::<H265>(caps, &NalMedia::H265)?),
            _ if caps::is_adts(caps) => Self::Adts(Adts::default()),
            "image/jpeg" => packets(caps::jpeg_track(caps)),
            _ => packets(caps::audio_track(caps)?),
        })
    }

    /// What the buffers of a data pad need, whatever their caps say.
    pub(super) fn data(caps: &gst::CapsRef) -> Result<Self, CapsError> {
        Ok(Self::Data {
            format: Some(caps::data_track(caps)?),
        })
    }

    /// Whether what lies outside its segment may be left out: nobody sees or hears it, and others
    /// do without.
    pub(super) fn may_be_clipped(&self) -> bool {
        matches!(self, Self::Packets { .. } | Self::Adts(_))
    }

    /// The format, where the caps alone say it.
    pub(super) fn early_format(&self) -> Option<TrackFormat> {
        match self {
            Self::Packets { format } | Self::Data { format } => format.clone(),
            Self::Adts(_) => None,
            Self::Pictures(pictures) => pictures.format(),
        }
    }

    /// Takes a buffer; what is complete goes to `frames`.
    ///
    /// `ends_picture` says that the source marked the end of an access unit.
    pub(super) fn push(
        &mut self,
        data: &[u8],
        stamp: Stamp,
        ends_picture: bool,
        chunks: &mut Chunks,
        frames: &mut VecDeque<CodedFrame>,
    ) -> Result<(), AssemblyError> {
        match self {
            Self::Packets { format } | Self::Data { format } => {
                frames.push_back(CodedFrame {
                    data: chunks.copy(data),
                    key: true,
                    stamp,
                    format: format.take(),
                });
                Ok(())
            }
            Self::Adts(adts) => {
                adts.push(data, stamp, chunks, frames);
                Ok(())
            }
            Self::Pictures(pictures) => pictures.push(data, stamp, ends_picture, frames),
        }
    }

    /// The stream ends: what there is of a picture is complete.
    pub(super) fn finish(
        &mut self,
        frames: &mut VecDeque<CodedFrame>,
    ) -> Result<(), AssemblyError> {
        match self {
            Self::Packets { .. } | Self::Data { .. } | Self::Adts(_) => Ok(()),
            Self::Pictures(pictures) => pictures.finish(frames),
        }
    }

    /// Forgets what is under way.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Packets { .. } | Self::Data { .. } => {}
            Self::Adts(adts) => adts.reset(),
            Self::Pictures(pictures) => pictures.reset(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// avcC of baseline, 16 × 16 pixels: one SPS, one PPS.
    const AVCC: &str = "0142c00affe1000867 42c00a da11 62c0 01 0004 68ce3c80";
    const IDR: [u8; 3] = [0x65, 0x88, 0x84];
    const P: [u8; 3] = [0x41, 0x9A, 0x02];

    fn frames(caps: &str, buffers: &[(&[u8], bool)]) -> Vec<(Vec<u8>, bool, bool)> {
        gst::init().expect("GStreamer initialises");
        let caps: gst::Caps = caps.parse().expect("valid caps");
        let mut codec = Codec::from_caps(&caps).expect("H.264 can be sent");
        let (mut chunks, mut frames) = (Chunks::default(), VecDeque::new());
        for (data, ends_picture) in buffers {
            codec
                .push(
                    data,
                    Stamp::default(),
                    *ends_picture,
                    &mut chunks,
                    &mut frames,
                )
                .expect("it is assembled");
        }
        codec.finish(&mut frames).expect("it ends");
        let known = |frame: CodedFrame| (frame.data.to_vec(), frame.key, frame.format.is_some());
        frames.into_iter().map(known).collect()
    }

    fn prefixed(nal: &[u8]) -> Vec<u8> {
        let length = u32::try_from(nal.len()).expect("a short one");
        [&length.to_be_bytes()[..], nal].concat()
    }

    #[test]
    fn a_nal_unit_that_is_cut_off_is_refused() {
        gst::init().expect("GStreamer initialises");
        let avcc = AVCC.replace(' ', "");
        let caps =
            format!("video/x-h264,stream-format=avc,alignment=nal,codec_data=(buffer){avcc}");
        let caps: gst::Caps = caps.parse().expect("valid caps");
        let mut codec = Codec::from_caps(&caps).expect("H.264 can be sent");
        let (mut chunks, mut frames) = (Chunks::default(), VecDeque::new());
        let idr = prefixed(&IDR);
        let cut = &idr[..idr.len() - 1];
        let result = codec.push(cut, Stamp::default(), true, &mut chunks, &mut frames);
        assert_eq!(result, Err(AssemblyError::CutOff));
        assert!(frames.is_empty());
    }

    #[test]
    fn single_nal_units_with_lengths_become_pictures() {
        let avcc = AVCC.replace(' ', "");
        let caps =
            format!("video/x-h264,stream-format=avc,alignment=nal,codec_data=(buffer){avcc}");
        let (idr, p) = (prefixed(&IDR), prefixed(&P));
        let found = frames(&caps, &[(&idr, true), (&p, false), (&p, false)]);
        let keys: Vec<_> = found.iter().map(|(_, key, _)| *key).collect();
        assert_eq!(keys, [true, false, false]);
        assert_eq!((&found[0].0, &found[1].0), (&idr, &p));
        assert!(found[0].2, "the first frame brings the format");
    }
}

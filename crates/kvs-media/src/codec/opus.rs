//! Opus as Matroska carries it: packets, with an OpusHead (RFC 7845 section 5.1) as CodecPrivate.

use bytes::{BufMut, Bytes, BytesMut};

/// Matroska's codec id.
pub const CODEC_ID: &str = "A_OPUS";
/// Opus always decodes to this rate.
pub const SAMPLE_RATE: u32 = 48_000;

const MAGIC: &[u8] = b"OpusHead";
const VERSION: u8 = 1;
/// Versions up to here can be read by whoever knows version 1.
const VERSION_MAX: u8 = 15;

/// What a decoder has to know before the first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// How many channels come out, 1 to 255.
    pub channels: u8,
    /// Samples at 48 kHz that a decoder leaves out at the start.
    pub pre_skip: u16,
    /// Samples a second before they were encoded; 0: not known.
    pub input_rate: u32,
    /// Gain in 1/256 dB.
    pub gain: i16,
    /// 0: mono or stereo, without a table. 1: surround. Others: see RFC 7845 section 5.1.1.
    pub family: u8,
    /// The streams and where each channel comes from; `None` of family 0.
    pub mapping: Option<OpusMapping>,
}

/// The channel mapping table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusMapping {
    /// Streams in each packet.
    pub streams: u8,
    /// How many of them are stereo.
    pub coupled: u8,
    /// The decoded channel that each channel takes; one for each.
    pub channels: Vec<u8>,
}

/// Bytes that are no OpusHead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpusHeadError {
    /// It begins with other bytes.
    #[error("it does not begin with OpusHead")]
    Magic,
    /// It ends too early.
    #[error("the OpusHead is cut off")]
    CutOff,
    /// A version that is laid out otherwise.
    #[error("the OpusHead is of version {0}")]
    Version(u8),
    /// No channels, or more than family 0 has.
    #[error("the OpusHead has {0} channels")]
    Channels(u8),
}

impl OpusHead {
    /// Reads an OpusHead.
    ///
    /// # Errors
    /// The bytes are none, or it is cut off.
    pub fn parse(bytes: &[u8]) -> Result<Self, OpusHeadError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(OpusHeadError::Magic)?;
        let cut = OpusHeadError::CutOff;
        let (&[version, channels, p0, p1, r0, r1, r2, r3, g0, g1, family], rest) =
            rest.split_first_chunk().ok_or(cut)?;
        if version > VERSION_MAX {
            return Err(OpusHeadError::Version(version));
        }
        if channels == 0 || (family == 0 && channels > 2) {
            return Err(OpusHeadError::Channels(channels));
        }
        let mapping = match family {
            0 => None,
            _ => {
                let (&[streams, coupled], rest) = rest.split_first_chunk().ok_or(cut)?;
                Some(OpusMapping {
                    streams,
                    coupled,
                    channels: rest.get(..channels.into()).ok_or(cut)?.to_vec(),
                })
            }
        };
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([p0, p1]),
            input_rate: u32::from_le_bytes([r0, r1, r2, r3]),
            gain: i16::from_le_bytes([g0, g1]),
            family,
            mapping,
        })
    }

    /// Writes the OpusHead.
    pub fn build(&self) -> Bytes {
        let mut out = BytesMut::from(MAGIC);
        out.put_slice(&[VERSION, self.channels]);
        out.put_u16_le(self.pre_skip);
        out.put_u32_le(self.input_rate);
        out.put_i16_le(self.gain);
        out.put_u8(self.family);
        if let Some(mapping) = &self.mapping {
            out.put_slice(&[mapping.streams, mapping.coupled]);
            out.put_slice(&mapping.channels);
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surround() -> OpusHead {
        OpusHead {
            channels: 3,
            pre_skip: 312,
            input_rate: 44_100,
            gain: -256,
            family: 1,
            mapping: Some(OpusMapping {
                streams: 2,
                coupled: 1,
                channels: vec![0, 2, 1],
            }),
        }
    }

    #[test]
    fn what_is_built_parses() {
        let stereo = OpusHead {
            channels: 2,
            family: 0,
            mapping: None,
            ..surround()
        };
        for head in [stereo, surround()] {
            assert_eq!(OpusHead::parse(&head.build()), Ok(head));
        }
    }

    #[test]
    fn every_cut_is_refused() {
        let built = surround().build();
        for len in 0..built.len() {
            let error = OpusHead::parse(&built[..len]).expect_err("cut off");
            let expected = match len < MAGIC.len() {
                true => OpusHeadError::Magic,
                false => OpusHeadError::CutOff,
            };
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn channels_without_a_table_are_two_at_most() {
        let mut bytes = surround().build().to_vec();
        bytes[18] = 0;
        assert_eq!(OpusHead::parse(&bytes), Err(OpusHeadError::Channels(3)));
    }
}

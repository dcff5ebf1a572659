//! AAC as Matroska carries it: raw packets, with an AudioSpecificConfig as CodecPrivate.

use bytes::Bytes;

/// Matroska's codec id.
pub const CODEC_ID: &str = "A_AAC";

/// Sampling rates by samplingFrequencyIndex (ISO/IEC 14496-3 table 1.18).
pub(super) const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000,
    7350,
];
/// The index that says: 24 bits of sampling rate follow.
const RATE_FOLLOWS: u32 = 15;
/// The object type that says: 6 bits of object type follow.
const TYPE_FOLLOWS: u32 = 31;
/// AAC Main, LC, SSR and LTP are laid out alike; so are their scalable and error-resilient kin.
const AAC_LC: u8 = 2;
/// Spectral band replication: a second, higher sampling rate and the true object type follow.
const SBR: u8 = 5;
/// Parametric stereo, likewise.
const PS: u8 = 29;

/// The AudioSpecificConfig of ISO/IEC 14496-3 section 1.6.2.1, as far as it is of use outside a
/// decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// Audio object type; 2 is AAC LC, 5 HE-AAC, 29 HE-AAC v2.
    pub object_type: u8,
    /// Samples a second that come out of a decoder.
    pub sample_rate: u32,
    /// How many channels are coded; 0 where only the coded data tells.
    pub channels: u8,
    /// Samples a channel in each packet: 1024 or 960, twice that with band replication.
    pub samples_per_packet: u16,
}

/// Bytes that are no AudioSpecificConfig, or values that have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AacError {
    /// It ends too early.
    #[error("the AudioSpecificConfig is cut off")]
    CutOff,
    /// A reserved sampling rate or channel configuration, or 0 Hz.
    #[error("the AudioSpecificConfig has an impossible {0}")]
    Impossible(&'static str),
}

impl AudioSpecificConfig {
    /// AAC LC at that rate, with 1024 samples a packet.
    pub fn low_complexity(sample_rate: u32, channels: u8) -> Self {
        Self {
            object_type: AAC_LC,
            sample_rate,
            channels,
            samples_per_packet: 1024,
        }
    }

    /// Reads an AudioSpecificConfig.
    ///
    /// # Errors
    /// It is cut off, or has values that are reserved.
    pub fn parse(config: &[u8]) -> Result<Self, AacError> {
        let mut bits = Bits {
            bytes: config,
            at: 0,
        };
        let object_type = bits.object_type()?;
        let mut sample_rate = bits.sample_rate()?;
        let channels = match bits.take(4)? {
            channels @ 0..=6 => channels as u8,
            7 | 12 | 14 => 8,
            11 => 7,
            _ => return Err(AacError::Impossible("channel configuration")),
        };
        let replicated = matches!(object_type, SBR | PS);
        if replicated {
            sample_rate = bits.sample_rate()?;
            bits.object_type()?;
        }
        // frameLengthFlag stands at this place in all that are AAC; its lack means 1024.
        let short = bits.take(1) == Ok(1);
        let samples = if short { 960 } else { 1024 };
        Ok(Self {
            object_type,
            sample_rate,
            channels: if object_type == PS { 2 } else { channels },
            samples_per_packet: if replicated { 2 * samples } else { samples },
        })
    }

    /// Writes the AudioSpecificConfig of an object type without band replication.
    ///
    /// # Errors
    /// More than 8 channels, no channels or 7 of them (of which there are two layouts), a sampling
    /// rate of 0 or of 2^24 and more, or an object type that needs more than is known here.
    pub fn build(&self) -> Result<Bytes, AacError> {
        let channels = match self.channels {
            channels @ 1..=6 => channels,
            8 => 7,
            _ => return Err(AacError::Impossible("channel configuration")),
        };
        if !(1..=4).contains(&self.object_type) {
            return Err(AacError::Impossible("object type"));
        }
        let mut bits = BitsOut::default();
        bits.put(self.object_type.into(), 5);
        match SAMPLE_RATES
            .iter()
            .position(|&rate| rate == self.sample_rate)
        {
            Some(index) => bits.put(index as u32, 4),
            None if (1..1 << 24).contains(&self.sample_rate) => {
                bits.put(RATE_FOLLOWS, 4);
                bits.put(self.sample_rate, 24);
            }
            None => return Err(AacError::Impossible("sampling rate")),
        }
        bits.put(channels.into(), 4);
        bits.put((self.samples_per_packet == 960).into(), 1);
        bits.put(0, 2); // dependsOnCoreCoder, extensionFlag
        Ok(bits.bytes.into())
    }

    /// The codec as web pages and playlists name it (RFC 6381): `mp4a.40.2`.
    pub fn rfc6381(&self) -> String {
        format!("mp4a.40.{}", self.object_type)
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<u32, AacError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8).ok_or(AacError::CutOff)?;
            value = (value << 1) | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    fn object_type(&mut self) -> Result<u8, AacError> {
        Ok(match self.take(5)? {
            TYPE_FOLLOWS => 32 + self.take(6)? as u8,
            object_type => object_type as u8,
        })
    }

    fn sample_rate(&mut self) -> Result<u32, AacError> {
        let rate = match self.take(4)? {
            RATE_FOLLOWS => self.take(24)?,
            index => *SAMPLE_RATES
                .get(index as usize)
                .ok_or(AacError::Impossible("sampling rate"))?,
        };
        match rate {
            0 => Err(AacError::Impossible("sampling rate")),
            rate => Ok(rate),
        }
    }
}

#[derive(Default)]
struct BitsOut {
    bytes: Vec<u8>,
    /// In bits.
    len: usize,
}

impl BitsOut {
    fn put(&mut self, value: u32, count: usize) {
        for at in (0..count).rev() {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (value >> at & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.len % 8);
            }
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_complexity_comes_back_as_it_was_built() {
        for rate in [8000, 44_100, 48_000, 12_345] {
            for channels in [1, 2, 6, 8] {
                let config = AudioSpecificConfig::low_complexity(rate, channels);
                let built = config.build().expect("possible");
                assert_eq!(AudioSpecificConfig::parse(&built), Ok(config));
            }
        }
        let built = AudioSpecificConfig::low_complexity(44_100, 2).build();
        assert_eq!(built.as_deref(), Ok(&[0x12, 0x10][..]));
    }

    #[test]
    fn reads_what_encoders_write() {
        // with the backward compatible extension behind it, as in AWS's own sample
        let config = AudioSpecificConfig::parse(&[0x12, 0x08, 0x56, 0xE5, 0x00]).expect("valid");
        assert_eq!((config.sample_rate, config.channels), (44_100, 1));
        assert_eq!(config.rfc6381(), "mp4a.40.2");
        // HE-AAC: 22 050 doubled
        let config = AudioSpecificConfig::parse(&[0x2B, 0x92, 0x08, 0x00]).expect("valid");
        assert_eq!((config.object_type, config.sample_rate), (5, 44_100));
        assert_eq!(config.samples_per_packet, 2048);
    }

    #[test]
    fn refuses_what_is_cut_off_or_reserved() {
        assert_eq!(AudioSpecificConfig::parse(&[]), Err(AacError::CutOff));
        assert_eq!(AudioSpecificConfig::parse(&[0x12]), Err(AacError::CutOff));
        assert!(
            AudioSpecificConfig::parse(&[0x16, 0x90]).is_err(),
            "rate index 13"
        );
        assert!(
            AudioSpecificConfig::parse(&[0x12, 0x78]).is_err(),
            "channels 15"
        );
        assert!(AudioSpecificConfig::low_complexity(0, 2).build().is_err());
        assert!(
            AudioSpecificConfig::low_complexity(8000, 7)
                .build()
                .is_err()
        );
    }
}

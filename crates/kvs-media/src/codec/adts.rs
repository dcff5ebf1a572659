//! AAC in ADTS (ISO/IEC 14496-3 annex 1.A): a header before each packet, as MPEG-TS and many
//! encoders send it.

use super::aac::SAMPLE_RATES;

/// Header bytes without and with a checksum.
const HEADER_BYTES: usize = 7;
const CHECKSUM_BYTES: usize = 2;
/// Samples in a raw data block.
const SAMPLES: u64 = 1024;

/// One packet, without its header.
#[derive(Debug, PartialEq, Eq)]
pub struct AdtsPacket<'a, T> {
    /// The AudioSpecificConfig that its header amounts to.
    pub config: [u8; 2],
    /// How long it lasts.
    pub duration_ns: u64,
    /// The raw packet.
    pub data: &'a [u8],
    /// That of the buffer in which it begins, if it is the first there.
    pub stamp: Option<T>,
}

/// Takes packets out of a stream that may be cut anywhere.
#[derive(Debug)]
pub struct AdtsReader<T> {
    /// The packet that has not all come, of 8191 bytes at most.
    tail: Vec<u8>,
    tail_stamp: Option<T>,
}

impl<T> Default for AdtsReader<T> {
    fn default() -> Self {
        Self {
            tail: Vec::new(),
            tail_stamp: None,
        }
    }
}

impl<T> AdtsReader<T> {
    /// Takes the next bytes; whole packets go to `out`. Answers how many bytes were none and were
    /// passed over.
    pub fn push(
        &mut self,
        data: &[u8],
        mut stamp: Option<T>,
        mut out: impl FnMut(AdtsPacket<'_, T>),
    ) -> usize {
        let old = self.tail.len();
        let mut joined = std::mem::take(&mut self.tail);
        let bytes = if old == 0 {
            data
        } else {
            joined.extend_from_slice(data);
            &joined
        };
        let (mut at, mut skipped) = (0, 0);
        loop {
            let rest = &bytes[at..];
            let header = match Header::parse(rest) {
                Parsed::Header(header) if header.bytes <= rest.len() => header,
                Parsed::Header(_) | Parsed::CutOff => break,
                Parsed::Other => {
                    (at, skipped) = (at + 1, skipped + 1);
                    continue;
                }
            };
            out(AdtsPacket {
                config: header.config,
                duration_ns: header.duration_ns,
                data: &rest[header.data_from..header.bytes],
                stamp: match at < old {
                    true => self.tail_stamp.take(),
                    false => stamp.take(),
                },
            });
            at += header.bytes;
        }
        if at >= old {
            self.tail_stamp = stamp;
        }
        self.tail = bytes[at..].to_vec();
        skipped
    }

    /// Forgets the packet under way, as after a seek.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

struct Header {
    config: [u8; 2],
    duration_ns: u64,
    /// Where the packet begins, and where it ends.
    data_from: usize,
    bytes: usize,
}

enum Parsed {
    Header(Header),
    CutOff,
    /// No header begins here, or one of a form that nobody sends: several packets behind one
    /// header, or channels that only the coded data tells.
    Other,
}

impl Header {
    fn parse(bytes: &[u8]) -> Parsed {
        // What cannot become a header is passed over at once.
        if bytes.first().is_some_and(|&first| first != 0xFF)
            || bytes.get(1).is_some_and(|&second| second & 0xF6 != 0xF0)
        {
            return Parsed::Other;
        }
        let Some(&[_, b1, b2, b3, b4, b5, b6]) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Parsed::CutOff;
        };
        let has_checksum = b1 & 1 == 0;
        let (object_type, rate_index) = ((b2 >> 6) + 1, b2 >> 2 & 0xF);
        let channels = (b2 & 1) << 2 | b3 >> 6;
        let length = usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5 >> 5);
        let more_packets = b6 & 3;
        let data_from = HEADER_BYTES + if has_checksum { CHECKSUM_BYTES } else { 0 };
        let Some(&rate) = SAMPLE_RATES.get(usize::from(rate_index)) else {
            return Parsed::Other;
        };
        if length <= data_from || channels == 0 || more_packets > 0 {
            return Parsed::Other;
        }
        Parsed::Header(Self {
            config: [
                object_type << 3 | rate_index >> 1,
                (rate_index & 1) << 7 | channels << 3,
            ],
            duration_ns: SAMPLES * 1_000_000_000 / u64::from(rate),
            data_from,
            bytes: length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::aac::AudioSpecificConfig;

    /// AAC LC, 48 kHz, stereo.
    fn packet(data: &[u8], checksum: bool) -> Vec<u8> {
        let header = HEADER_BYTES + if checksum { CHECKSUM_BYTES } else { 0 };
        let length = header + data.len();
        let mut bytes = vec![
            0xFF,
            if checksum { 0xF0 } else { 0xF1 },
            0x4C,
            0x80 | (length >> 11) as u8,
            (length >> 3) as u8,
            (length << 5) as u8 | 0x1F,
            0xFC,
        ];
        bytes.resize(header, 0xAB);
        bytes.extend(data);
        bytes
    }

    type Seen = (Vec<u8>, Option<u32>);

    fn read(pieces: &[&[u8]]) -> (Vec<Seen>, usize) {
        let (mut reader, mut seen, mut skipped) = (AdtsReader::default(), Vec::new(), 0);
        for (piece, stamp) in pieces.iter().zip(1..) {
            skipped += reader.push(piece, Some(stamp), |packet| {
                seen.push((packet.data.to_vec(), packet.stamp));
            });
        }
        (seen, skipped)
    }

    #[test]
    fn the_header_says_what_a_decoder_has_to_know() {
        let mut reader = AdtsReader::<()>::default();
        let mut found = Vec::new();
        let bytes = packet(&[1, 2, 3], false);
        reader.push(&bytes, None, |packet| {
            found.push((packet.config, packet.duration_ns));
        });
        let expected = AudioSpecificConfig::low_complexity(48_000, 2);
        let (config, duration_ns) = found[0];
        assert_eq!(AudioSpecificConfig::parse(&config), Ok(expected));
        assert_eq!(expected.build().as_deref(), Ok(&config[..]));
        assert_eq!(duration_ns, 21_333_333);
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_packets() {
        let bytes = [
            packet(&[1; 30], false),
            packet(&[2; 9], true),
            packet(&[3], false),
        ]
        .concat();
        let second = packet(&[1; 30], false).len();
        for cut in 1..bytes.len() {
            let (seen, skipped) = read(&[&bytes[..cut], &bytes[cut..]]);
            let data: Vec<_> = seen.iter().map(|(data, _)| data.clone()).collect();
            assert_eq!(data, [vec![1; 30], vec![2; 9], vec![3]], "cut at {cut}");
            assert_eq!(skipped, 0);
            assert_eq!(seen[0].1, Some(1));
            // The second packet is the first that begins in the second piece, or has no stamp.
            let expected = if cut <= second { Some(2) } else { None };
            assert_eq!(seen[1].1, expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_packet_is_passed_over_and_counted() {
        let bytes = [&[7, 0xFF, 9][..], &packet(&[1, 2], false)].concat();
        let (seen, skipped) = read(&[&bytes]);
        assert_eq!((seen, skipped), (vec![(vec![1, 2], Some(1))], 3));
        let (seen, skipped) = read(&[&[0; 9000]]);
        assert_eq!((seen.len(), skipped), (0, 9000));
    }
}

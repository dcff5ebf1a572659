//! avcC, hvcC, parameter sets, OpusHead, AudioSpecificConfig and WAVEFORMATEX: what parses can be
//! built again.
#![no_main]

use kvs_media::codec::nal::DecoderConfig;
use kvs_media::codec::opus::OpusHead;
use kvs_media::codec::{aac::AudioSpecificConfig, g711::G711, h264, h265};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = h264::AvcConfig::parse(bytes) {
        assert_eq!(h264::AvcConfig::parse(&config.build()), Ok(config));
    }
    if let Ok(config) = h265::HevcConfig::parse(bytes) {
        assert_eq!(h265::HevcConfig::parse(&config.build()), Ok(config));
    }
    if let Ok(head) = OpusHead::parse(bytes) {
        assert_eq!(OpusHead::parse(&head.build()), Ok(head));
    }
    if let Ok(format) = G711::parse(bytes) {
        assert_eq!(G711::parse(&format.build()), Ok(format));
    }
    if let Ok(config) = AudioSpecificConfig::parse(bytes)
        && let Ok(built) = config.build()
    {
        let again = AudioSpecificConfig::parse(&built);
        assert!(again.is_ok_and(|again| again.sample_rate == config.sample_rate));
    }
    let _ = h264::Sps::parse(bytes);
    let _ = h265::Sps::parse(bytes);
});

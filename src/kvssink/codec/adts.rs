//! AAC behind ADTS headers: each packet is a frame.

use std::collections::VecDeque;

use kvs_media::codec::adts::AdtsReader;

use super::{CodedFrame, Stamp};
use crate::kvssink::caps;
use crate::kvssink::chunks::Chunks;
use crate::kvssink::imp::CAT;

/// Takes the packets out of a pad's buffers.
#[derive(Debug, Default)]
pub(in crate::kvssink) struct Adts {
    reader: AdtsReader<Stamp>,
    /// What the last header amounted to.
    config: Option<[u8; 2]>,
    told_of_garbage: bool,
}

impl Adts {
    pub(super) fn push(
        &mut self,
        data: &[u8],
        stamp: Stamp,
        chunks: &mut Chunks,
        frames: &mut VecDeque<CodedFrame>,
    ) {
        let skipped = self.reader.push(data, Some(stamp), |packet| {
            let is_new = self.config.replace(packet.config) != Some(packet.config);
            let format = is_new.then(|| caps::adts_track(packet.config)).flatten();
            frames.push_back(CodedFrame {
                data: chunks.copy(packet.data),
                key: true,
                stamp: Stamp {
                    duration_ns: Some(packet.duration_ns),
                    ..packet.stamp.unwrap_or_default()
                },
                format,
            });
        });
        if skipped > 0 && !std::mem::replace(&mut self.told_of_garbage, true) {
            gst::warning!(
                CAT,
                "{skipped} bytes between the ADTS packets are none, and are left out"
            );
        }
    }

    pub(super) fn reset(&mut self) {
        self.reader.reset();
    }
}

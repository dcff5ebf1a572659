//! Which frames of a fragment have been given, when the fragment is read again from its start.

use std::collections::HashMap;

use kvs_media::{Frame, ProducerTime, TrackNumber};

/// A frame, by what two copies of it have in common.
type FrameKey = (TrackNumber, ProducerTime);

/// The frames of one fragment that have been given.
#[derive(Debug, Default)]
pub(super) struct FramesGiven {
    given: Vec<FrameKey>,
    /// Those that are still to come again.
    again: HashMap<FrameKey, u32>,
}

impl FramesGiven {
    /// The fragment will be read again from its start.
    pub(super) fn rewind(&mut self) {
        self.again.clear();
        for key in &self.given {
            *self.again.entry(*key).or_insert(0) += 1;
        }
    }

    /// Whether this frame is to be given: it has not been given before.
    pub(super) fn admit(&mut self, frame: &Frame) -> bool {
        let key = (frame.track, frame.time);
        if !self.again.is_empty()
            && let Some(count) = self.again.get_mut(&key)
        {
            *count -= 1;
            if *count == 0 {
                self.again.remove(&key);
            }
            return false;
        }
        self.given.push(key);
        true
    }
}

#[cfg(test)]
mod tests {
    use kvs_media::FrameData;

    use super::*;

    fn frame(track: u64, ms: u64) -> Frame {
        Frame {
            track: TrackNumber::new(track).expect("a track"),
            time: ProducerTime::from_ms(ms),
            decode_time: None,
            duration_ns: None,
            key: false,
            data: FrameData::new(),
        }
    }

    #[test]
    fn a_second_reading_gives_only_the_rest() {
        // Two data items of one instant are two frames.
        let all = [frame(1, 0), frame(2, 0), frame(2, 0), frame(1, 40)];
        for cut in 0..=all.len() {
            let mut given = FramesGiven::default();
            assert!(all[..cut].iter().all(|frame| given.admit(frame)));
            for again in cut..=all.len() {
                given.rewind();
                let new = all[..again]
                    .iter()
                    .filter(|frame| given.admit(frame))
                    .count();
                assert_eq!(
                    new,
                    usize::from(again > cut),
                    "cut at {cut}, again at {again}"
                );
            }
        }
    }
}

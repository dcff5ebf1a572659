//! Where a frame without a time belongs: behind the one before, at the stream's own pace.

use super::timeline::Now;

/// The pace where nothing tells it. Wrong for most streams, and better than all frames at once.
const STEP_UNKNOWN_NS: i64 = 40_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// How long a frame lasts, as the caps have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Each as long.
    Frame { ns: u64 },
    /// As many bytes as it has, at so many a second.
    Bytes { per_second: u64 },
}

/// The pace of a pad's stream, and how far it has got.
#[derive(Debug, Default)]
pub(super) struct Cadence {
    pace: Option<Pace>,
    last_ns: Option<i64>,
    /// Between the last two frames that told.
    measured_ns: Option<i64>,
    /// How long the last frame lasts.
    step_ns: i64,
}

impl Cadence {
    /// Takes over what new caps tell.
    pub(super) fn set_caps(&mut self, caps: &gst::CapsRef) {
        self.pace = caps.structure(0).and_then(pace);
    }

    /// A flush: what comes next has nothing to do with what was before, but for its pace.
    pub(super) fn flush(&mut self) {
        *self = Self {
            pace: self.pace,
            ..Self::default()
        };
    }

    /// The running time of a frame that has none.
    pub(super) fn next_ns(&self, now: Now) -> i64 {
        match self.last_ns {
            Some(last_ns) => last_ns.saturating_add(self.step_ns),
            None => now.running_ns.unwrap_or(0),
        }
    }

    /// Takes note of a frame of so many bytes.
    pub(super) fn takes(&mut self, running_ns: i64, duration_ns: Option<u64>, bytes: usize) {
        let since_last_ns = self
            .last_ns
            .map(|last_ns| running_ns.saturating_sub(last_ns));
        self.measured_ns = since_last_ns
            .filter(|&since_last_ns| since_last_ns > 0)
            .or(self.measured_ns);
        let told_ns = duration_ns.filter(|&ns| ns > 0).or(match self.pace {
            Some(Pace::Frame { ns }) => Some(ns),
            Some(Pace::Bytes { per_second }) => Some(bytes as u64 * SECOND_NS / per_second),
            None => None,
        });
        let told_ns = told_ns.and_then(|ns| i64::try_from(ns).ok());
        self.step_ns = told_ns.or(self.measured_ns).unwrap_or(STEP_UNKNOWN_NS);
        self.last_ns = self.last_ns.max(Some(running_ns));
    }
}

/// The pace that caps tell.
fn pace(caps: &gst::StructureRef) -> Option<Pace> {
    /// AAC has 1024 samples in a packet (ISO/IEC 14496-3, but for its low-delay forms).
    const AAC_SAMPLES: u64 = 1024;
    let number = |field| {
        let value = caps.get::<i32>(field).ok()?;
        u64::try_from(value).ok().filter(|&value| value > 0)
    };
    match caps.name().as_str() {
        "audio/mpeg" => Some(Pace::Frame {
            ns: AAC_SAMPLES * SECOND_NS / number("rate")?,
        }),
        "audio/x-alaw" | "audio/x-mulaw" => Some(Pace::Bytes {
            per_second: number("rate")? * number("channels")?,
        }),
        _ => {
            let rate = caps.get::<gst::Fraction>("framerate").ok()?;
            let number = |value: i32| u64::try_from(value).ok().filter(|&value| value > 0);
            Some(Pace::Frame {
                ns: number(rate.denom())? * SECOND_NS / number(rate.numer())?,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        wall_ns: 0,
        running_ns: None,
    };

    fn of(caps: &str) -> Cadence {
        gst::init().expect("GStreamer initialises");
        let caps: gst::Caps = caps.parse().expect("valid caps");
        let mut cadence = Cadence::default();
        cadence.set_caps(&caps);
        cadence
    }

    /// The places of three frames that have neither a time nor a duration.
    fn places(mut cadence: Cadence, bytes: usize) -> [i64; 3] {
        std::array::from_fn(|_| {
            let at = cadence.next_ns(NOW);
            cadence.takes(at, None, bytes);
            at
        })
    }

    #[test]
    fn caps_tell_the_pace() {
        let video = of("video/x-h264,framerate=25/1");
        assert_eq!(places(video, 9), [0, 40_000_000, 80_000_000]);
        let aac = of("audio/mpeg,mpegversion=4,rate=48000,channels=2");
        assert_eq!(places(aac, 9), [0, 21_333_333, 42_666_666]);
        let phone = of("audio/x-alaw,rate=8000,channels=1");
        assert_eq!(places(phone, 160), [0, 20_000_000, 40_000_000]);
    }

    #[test]
    fn without_a_word_of_the_caps_the_last_step_is_taken_again() {
        let mut cadence = of("video/x-h264,framerate=0/1");
        cadence.takes(100_000_000, None, 9);
        assert_eq!(cadence.next_ns(NOW), 100_000_000 + STEP_UNKNOWN_NS);
        cadence.takes(110_000_000, None, 9);
        assert_eq!(cadence.next_ns(NOW), 120_000_000);
    }

    #[test]
    fn a_duration_wins() {
        let mut cadence = of("video/x-h264,framerate=25/1");
        cadence.takes(0, Some(7), 9);
        assert_eq!(cadence.next_ns(NOW), 7);
    }

    #[test]
    fn a_picture_shown_before_others_does_not_turn_time_back() {
        let mut cadence = of("video/x-h264");
        for running_ns in [0, 90, 30, 60] {
            cadence.takes(running_ns, Some(30), 9);
        }
        assert_eq!(cadence.next_ns(NOW), 120);
    }
}

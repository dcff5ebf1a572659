//! From a pad's running time to producer time: one offset for all pads of an element.

use std::sync::{Mutex, OnceLock};

use kvs_media::ProducerTime;

use crate::lock::lock;

/// 2010: a clock that shows less has never been set. The service itself is younger.
const EARLIEST_CREDIBLE_NS: u64 = 1_262_304_000 * 1_000_000_000;
/// A camera's clock that is further ahead of ours has been set wrong. One day allows for a camera
/// that takes its local time for UTC.
const AHEAD_MAX_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// What is read off the clocks when a buffer arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Wall time, ns since 1970.
    pub(super) wall_ns: u64,
    /// The pipeline's running time; `None` where its clock does not run.
    pub(super) running_ns: Option<i64>,
}

/// How an element turns running time into producer time.
#[derive(Debug)]
pub(super) enum Timeline {
    /// By the wall clock.
    Live(Mutex<Live>),
    /// The wall clock when a frame arrives, whatever its own time.
    Arrival,
    /// The buffers' PTS, as ns since 1970.
    Original,
    /// Running time 0 has a given producer time.
    File {
        /// Nanoseconds since 1970; where nobody gave it, the wall clock at the first frame.
        start_ns: OnceLock<u64>,
    },
}

/// The offset that all pads share.
#[derive(Debug, Default)]
pub(super) struct Live {
    offset_ns: Option<i128>,
    is_stale: bool,
    /// Since a flush running time counts from 0, and the pipeline's clock does not.
    is_flushed: bool,
}

impl Timeline {
    pub(super) fn live() -> Self {
        Self::Live(Mutex::default())
    }

    /// A file's; without a start it begins when its first frame comes.
    pub(super) fn file(start_ns: Option<u64>) -> Self {
        Self::File {
            start_ns: start_ns.map_or_else(OnceLock::new, OnceLock::from),
        }
    }

    /// Which of a buffer's times counts: its place in the segment, or that on the running clock.
    pub(super) fn choose<T>(&self, position: T, running: T) -> T {
        match self {
            Self::Original => position,
            Self::Live(_) | Self::Arrival | Self::File { .. } => running,
        }
    }

    /// Whether the camera's own clock would be better.
    pub(super) fn may_be_better(&self) -> bool {
        matches!(self, Self::Live(_) | Self::File { .. })
    }

    /// Whether frames are shown in the order of these times.
    pub(super) fn is_shown_in_order(&self) -> bool {
        !matches!(self, Self::Arrival)
    }

    /// The pipeline's clock starts or goes on: running time stood still while wall time did not.
    pub(super) fn clock_starts(&self) {
        if let Self::Live(live) = self {
            let mut live = lock(live);
            (live.is_stale, live.is_flushed) = (true, false);
        }
    }

    /// Running time begins anew, as after a flushing seek.
    pub(super) fn flushed(&self) {
        if let Self::Live(live) = self {
            *lock(live) = Live {
                is_flushed: true,
                ..Live::default()
            };
        }
    }

    /// The producer time of `running_ns`, which is what [`choose`](Self::choose) chose.
    ///
    /// A stale offset is read again only where `may_jump`, which is where a fragment may start:
    /// inside one, frames stay in order.
    pub(super) fn time(&self, running_ns: i64, may_jump: bool, now: Now) -> ProducerTime {
        let offset_ns = match self {
            Self::Arrival => return ProducerTime::from_ns(now.wall_ns),
            Self::Original => 0,
            Self::File { start_ns } => i128::from(*start_ns.get_or_init(|| now.wall_ns)),
            Self::Live(live) => {
                let mut live = lock(live);
                let running_now_ns = now.running_ns.filter(|_| !live.is_flushed);
                let read =
                    || i128::from(now.wall_ns) - i128::from(running_now_ns.unwrap_or(running_ns));
                match live.offset_ns {
                    Some(offset_ns) if !(live.is_stale && may_jump) => offset_ns,
                    _ => {
                        live.is_stale = live.is_stale && now.running_ns.is_none();
                        *live.offset_ns.insert(read())
                    }
                }
            }
        };
        let ns = offset_ns + i128::from(running_ns);
        ProducerTime::from_ns(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
    }
}

/// Whether a camera's clock can be right, as far as ours can tell.
pub(super) fn is_credible(camera_ns: u64, wall_ns: u64) -> bool {
    let ours_is_set = wall_ns >= EARLIEST_CREDIBLE_NS;
    camera_ns >= EARLIEST_CREDIBLE_NS
        && (!ours_is_set || camera_ns <= wall_ns.saturating_add(AHEAD_MAX_NS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL_NS: u64 = 1_700_000_000_000_000_000;
    const SECOND_NS: u64 = 1_000_000_000;

    fn at(wall_s: u64, running_s: impl Into<Option<i64>>) -> Now {
        Now {
            wall_ns: WALL_NS + wall_s * SECOND_NS,
            running_ns: running_s.into().map(|s: i64| s * SECOND_NS as i64),
        }
    }

    fn after(time: ProducerTime) -> u64 {
        (time.as_ns() - WALL_NS) / SECOND_NS
    }

    #[test]
    fn the_first_frame_sets_the_offset_of_all() {
        let timeline = Timeline::live();
        // 3 s of running time have passed, the frame is 1 s old.
        let first = timeline.time(2 * SECOND_NS as i64, true, at(10, 3));
        assert_eq!(after(first), 9);
        let late = timeline.time(3 * SECOND_NS as i64, true, at(99, 90));
        assert_eq!(
            after(late),
            10,
            "the offset stays although the frame is late"
        );
    }

    #[test]
    fn after_a_pause_the_next_fragment_has_a_new_offset() {
        let timeline = Timeline::live();
        timeline.time(0, true, at(10, 0));
        timeline.clock_starts();
        let second = SECOND_NS as i64;
        assert_eq!(after(timeline.time(second, false, at(31, 1))), 11);
        assert_eq!(after(timeline.time(second, true, at(31, 1))), 31);
        assert_eq!(after(timeline.time(2 * second, true, at(50, 1))), 32);
    }

    #[test]
    fn after_a_flush_the_next_frame_is_now() {
        let timeline = Timeline::live();
        timeline.time(0, true, at(10, 0));
        timeline.flushed();
        assert_eq!(after(timeline.time(0, true, at(70, 60))), 70);
        assert_eq!(after(timeline.time(SECOND_NS as i64, true, at(71, 61))), 71);
    }

    #[test]
    fn without_a_running_clock_the_first_buffer_is_now() {
        let timeline = Timeline::live();
        let hour_1000 = 3_600_000 * SECOND_NS as i64;
        assert_eq!(after(timeline.time(hour_1000, true, at(10, None))), 10);
    }

    #[test]
    fn a_file_has_its_own_start() {
        let timeline = Timeline::file(Some(WALL_NS));
        assert_eq!(
            after(timeline.time(5 * SECOND_NS as i64, false, at(99, 9))),
            5
        );
        timeline.clock_starts();
        assert_eq!(
            after(timeline.time(6 * SECOND_NS as i64, true, at(99, 9))),
            6
        );
    }

    #[test]
    fn a_file_without_a_start_begins_with_its_first_frame() {
        let timeline = Timeline::file(None);
        assert_eq!(after(timeline.time(0, true, at(10, None))), 10);
        assert_eq!(
            after(timeline.time(SECOND_NS as i64, true, at(90, None))),
            11
        );
    }

    #[test]
    fn a_clock_that_was_never_set_is_not_credible() {
        assert!(is_credible(WALL_NS, WALL_NS));
        assert!(is_credible(WALL_NS - 86_400 * SECOND_NS, WALL_NS));
        assert!(!is_credible(12 * SECOND_NS, WALL_NS));
        assert!(!is_credible(WALL_NS + 366 * 86_400 * SECOND_NS, WALL_NS));
        assert!(
            is_credible(WALL_NS, 60 * SECOND_NS),
            "ours is the wrong one"
        );
    }

    #[test]
    fn original_times_and_times_of_arrival_need_no_clock_of_the_pipeline() {
        let now = at(10, None);
        let (position, running) = (70 * SECOND_NS as i64, 3 * SECOND_NS as i64);
        let original = Timeline::Original;
        let chosen = original.choose(position, running);
        assert_eq!(original.time(chosen, true, now).as_ns(), 70 * SECOND_NS);
        let arrival = Timeline::Arrival;
        let chosen = arrival.choose(position, running);
        assert_eq!(after(arrival.time(chosen, true, now)), 10);
        assert!(!arrival.is_shown_in_order());
    }
}

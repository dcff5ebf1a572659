//! The timeline of the output: which timestamp a frame's time becomes.

use std::sync::{Arc, OnceLock};

use kvs_client::{FragmentInfo, FragmentNumber, Timestamp};
use kvs_media::ProducerTime;

use super::TimeBase;

/// How far the server's clock and the producer's may drift apart before the timeline by server
/// time follows: less is jitter of the network, which no player should see.
const SERVER_DRIFT_MAX_MS: u64 = 1000;

/// One point of the timeline, and from it on every frame until the clock steps.
#[derive(Debug)]
pub(super) struct Anchor {
    at: ProducerTime,
    pts: OnceLock<gst::ClockTime>,
}

impl Anchor {
    /// Frames of the time `at` get the timestamp `pts`.
    pub(super) fn fixed(at: ProducerTime, pts: gst::ClockTime) -> Self {
        Self {
            at,
            pts: OnceLock::from(pts),
        }
    }

    /// Frames of the time `at` get the running time at which the first frame leaves.
    fn pending(at: ProducerTime) -> Self {
        Self {
            at,
            pts: OnceLock::new(),
        }
    }

    /// The timestamp of a frame; `now` is asked only by the first frame of a live anchor.
    pub(super) fn pts(
        &self,
        time: ProducerTime,
        now: impl FnOnce() -> gst::ClockTime,
    ) -> gst::ClockTime {
        let pts = *self.pts.get_or_init(now);
        let after = gst::ClockTime::from_nseconds(time.saturating_ns_since(self.at));
        let before = gst::ClockTime::from_nseconds(self.at.saturating_ns_since(time));
        (pts + after).saturating_sub(before)
    }
}

/// Anchors each fragment. It changes the anchor only between fragments, so that the frames of one
/// keep their distances.
#[derive(Debug)]
pub(super) struct Timeline {
    rule: Rule,
    current: Option<(FragmentNumber, ProducerTime, Arc<Anchor>)>,
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    /// On the running time at which the frames were captured relative to each other. A producer
    /// whose clock steps back starts anew at the running time of then.
    Live,
    /// Time zero is the start of the range.
    Archive { base: TimeBase, start: Timestamp },
}

impl Timeline {
    pub(super) fn live() -> Self {
        Self {
            rule: Rule::Live,
            current: None,
        }
    }

    pub(super) fn archive(base: TimeBase, start: Timestamp) -> Self {
        Self {
            rule: Rule::Archive { base, start },
            current: None,
        }
    }

    /// Forgets the fragment before: there was a seek.
    pub(super) fn reset(&mut self) {
        self.current = None;
    }

    /// The anchor of a fragment that begins.
    pub(super) fn anchor(&mut self, fragment: &FragmentInfo) -> Arc<Anchor> {
        let time = ProducerTime::from_ms(fragment.producer_time.as_ms());
        let anchor = match &self.current {
            Some((number, _, anchor)) if *number == fragment.number => anchor.clone(),
            Some((_, before, anchor)) => self
                .step(fragment, time, *before, anchor)
                .unwrap_or_else(|| anchor.clone()),
            None => Arc::new(self.first(fragment, time)),
        };
        self.current = Some((fragment.number.clone(), time, anchor.clone()));
        anchor
    }

    fn first(&self, fragment: &FragmentInfo, time: ProducerTime) -> Anchor {
        match self.rule {
            Rule::Live => Anchor::pending(time),
            Rule::Archive {
                base: TimeBase::Producer,
                start,
            } => Anchor::fixed(ProducerTime::from_ms(start.as_ms()), gst::ClockTime::ZERO),
            Rule::Archive {
                base: TimeBase::Server,
                start,
            } => Anchor::fixed(time, since(start, fragment.server_time)),
        }
    }

    /// A new anchor where the clock of the rule steps at this fragment.
    fn step(
        &self,
        fragment: &FragmentInfo,
        time: ProducerTime,
        before: ProducerTime,
        anchor: &Anchor,
    ) -> Option<Arc<Anchor>> {
        let stepped = match self.rule {
            Rule::Live => (time < before).then(|| Anchor::pending(time)),
            Rule::Archive {
                base: TimeBase::Producer,
                ..
            } => None,
            Rule::Archive {
                base: TimeBase::Server,
                start,
            } => {
                let wanted = since(start, fragment.server_time);
                let earliest = anchor.pts(before, || wanted);
                let expected = anchor.pts(time, || wanted);
                let drift = wanted.absdiff(expected);
                (time < before || drift > gst::ClockTime::from_mseconds(SERVER_DRIFT_MAX_MS))
                    .then(|| Anchor::fixed(time, wanted.max(earliest)))
            }
        };
        stepped.map(Arc::new)
    }
}

fn since(start: Timestamp, time: Timestamp) -> gst::ClockTime {
    gst::ClockTime::from_mseconds(time.as_ms().saturating_sub(start.as_ms()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A fragment of the number `n` with these times in milliseconds.
    pub(in crate::kvssrc) fn fragment(n: u64, producer_ms: u64, server_ms: u64) -> FragmentInfo {
        FragmentInfo {
            number: n.to_string().parse().expect("digits are a number"),
            producer_time: Timestamp::from_ms(producer_ms),
            server_time: Timestamp::from_ms(server_ms),
        }
    }

    fn ms(pts: gst::ClockTime) -> u64 {
        pts.mseconds()
    }

    fn at(anchor: &Anchor, time_ms: u64, now_ms: u64) -> u64 {
        ms(anchor.pts(ProducerTime::from_ms(time_ms), || {
            gst::ClockTime::from_mseconds(now_ms)
        }))
    }

    #[test]
    fn live_begins_now_and_keeps_the_distances() {
        let mut timeline = Timeline::live();
        let first = timeline.anchor(&fragment(1, 10_000, 0));
        assert_eq!(at(&first, 10_000, 700), 700);
        assert_eq!(at(&first, 10_040, 9999), 740);
        let second = timeline.anchor(&fragment(2, 12_000, 0));
        assert_eq!(at(&second, 12_000, 9999), 2700);
    }

    #[test]
    fn live_begins_anew_where_the_producers_clock_steps_back() {
        let mut timeline = Timeline::live();
        let first = timeline.anchor(&fragment(1, 10_000, 0));
        assert_eq!(at(&first, 10_000, 0), 0);
        let again = timeline.anchor(&fragment(1, 10_000, 0));
        assert!(
            Arc::ptr_eq(&first, &again),
            "the same fragment, after a reconnect"
        );
        let stepped = timeline.anchor(&fragment(2, 5000, 0));
        assert_eq!(at(&stepped, 5000, 2000), 2000);
    }

    #[test]
    fn the_archive_counts_from_the_start_of_the_range() {
        let mut timeline = Timeline::archive(TimeBase::Producer, Timestamp::from_ms(10_000));
        let first = timeline.anchor(&fragment(1, 10_000, 0));
        assert_eq!(at(&first, 10_000, 0), 0);
        let after_a_hole = timeline.anchor(&fragment(2, 60_000, 0));
        assert_eq!(at(&after_a_hole, 60_033, 0), 50_033);
        assert_eq!(at(&first, 9000, 0), 0, "nothing is before zero");
    }

    #[test]
    fn by_server_time_jitter_is_not_seen_but_a_hole_is() {
        let mut timeline = Timeline::archive(TimeBase::Server, Timestamp::from_ms(1000));
        let first = timeline.anchor(&fragment(1, 500_000, 1000));
        assert_eq!(at(&first, 500_000, 0), 0);
        let late = timeline.anchor(&fragment(2, 502_000, 3400));
        assert_eq!(at(&late, 502_000, 0), 2000);
        let hole = timeline.anchor(&fragment(3, 504_000, 65_000));
        assert_eq!(at(&hole, 504_000, 0), 64_000);
        let stepped = timeline.anchor(&fragment(4, 7000, 67_000));
        assert_eq!(at(&stepped, 7000, 0), 66_000);
    }
}

//! The latency of several sources together.

use gst::prelude::*;

use super::imp::KvsSink;

impl KvsSink {
    /// The pipeline is live if any source is, and waits for the slowest.
    pub(super) fn fold_latency(&self, query: &mut gst::query::Latency) -> bool {
        let mut folded = (false, gst::ClockTime::ZERO, gst::ClockTime::NONE);
        let mut any = false;
        for pad in self.pads() {
            let mut upstream = gst::query::Latency::new();
            if !pad.peer_query(&mut upstream) {
                continue;
            }
            any = true;
            let (is_live, min, max) = upstream.result();
            if is_live {
                folded.0 = true;
                folded.1 = folded.1.max(min);
                folded.2 = match (folded.2, max) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
        }
        if any {
            query.set(folded.0, folded.1, folded.2);
        }
        any
    }
}

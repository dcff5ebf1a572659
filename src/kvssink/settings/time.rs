//! The producer's time: where it comes from, and how it is sent.

use gst::glib;
use gst::prelude::*;
use kvs_client::producer::ProducerConfig;

use crate::kvssink::StreamingType;
use crate::kvssink::timeline::Timeline;
use crate::property::{switch, take};

#[derive(Clone)]
pub(super) struct TimeSettings {
    pub(super) streaming_type: StreamingType,
    /// Seconds since 1970; 0: when the first frame comes.
    file_start_time_s: u64,
    frame_timecodes: bool,
    use_original_pts: bool,
    absolute_fragment_times: bool,
    disable_buffer_clipping: bool,
}

impl Default for TimeSettings {
    fn default() -> Self {
        Self {
            streaming_type: StreamingType::Realtime,
            file_start_time_s: 0,
            frame_timecodes: true,
            use_original_pts: false,
            absolute_fragment_times: true,
            disable_buffer_clipping: false,
        }
    }
}

impl TimeSettings {
    pub(super) fn specs() -> Vec<glib::ParamSpec> {
        vec![
            glib::ParamSpecEnum::builder_with_default("streaming-type", StreamingType::Realtime)
                .nick("Streaming type")
                .blurb("Whether the source can wait: offline holds it back, the others drop")
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt64::builder("file-start-time")
                .nick("File start time")
                .blurb(
                    "With streaming-type=offline: the producer time of running time 0 \
                     (s since 1970); 0: when the first frame comes",
                )
                .maximum(u64::MAX / 1_000_000_000)
                .mutable_ready()
                .build(),
            switch(
                "frame-timecodes",
                "Frame timecodes",
                "Take the frames' own times; else the time at which each arrives",
                true,
            ),
            switch(
                "use-original-pts",
                "Use original PTS",
                "Send the buffers' PTS as it is: as ns since 1970",
                false,
            ),
            switch(
                "absolute-fragment-times",
                "Absolute fragment times",
                "Send times since 1970; else times since the start of the connection, which the \
                 service adds up to the same",
                true,
            ),
            switch(
                "disable-buffer-clipping",
                "Disable buffer clipping",
                "Send audio outside its segment as well",
                false,
            ),
        ]
    }

    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "streaming-type" => take(&mut self.streaming_type, value),
            "file-start-time" => take(&mut self.file_start_time_s, value),
            "frame-timecodes" => take(&mut self.frame_timecodes, value),
            "use-original-pts" => take(&mut self.use_original_pts, value),
            "absolute-fragment-times" => take(&mut self.absolute_fragment_times, value),
            "disable-buffer-clipping" => take(&mut self.disable_buffer_clipping, value),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "streaming-type" => self.streaming_type.to_value(),
            "file-start-time" => self.file_start_time_s.to_value(),
            "frame-timecodes" => self.frame_timecodes.to_value(),
            "use-original-pts" => self.use_original_pts.to_value(),
            "absolute-fragment-times" => self.absolute_fragment_times.to_value(),
            "disable-buffer-clipping" => self.disable_buffer_clipping.to_value(),
            _ => return None,
        })
    }

    pub(super) fn apply(&self, config: &mut ProducerConfig) {
        config.absolute_times = self.absolute_fragment_times;
    }

    /// How running time becomes producer time.
    pub(super) fn timeline(&self) -> Timeline {
        let start_s = self.file_start_time_s;
        match (self.use_original_pts, self.frame_timecodes) {
            (true, _) => Timeline::Original,
            (false, false) => Timeline::Arrival,
            (false, true) if self.streaming_type == StreamingType::Offline => {
                Timeline::file((start_s > 0).then(|| start_s.saturating_mul(1_000_000_000)))
            }
            (false, true) => Timeline::live(),
        }
    }

    /// Whether audio outside its segment is left out.
    pub(super) fn clips(&self) -> bool {
        !self.disable_buffer_clipping
    }
}

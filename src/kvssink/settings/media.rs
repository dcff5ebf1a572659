//! The media: how it is cut and described.

use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use kvs_client::producer::{ProducerConfig, TrackFormat};
use kvs_media::TrackKind;

use crate::property::{number, switch, take, text_of};

const DEFAULT_FRAGMENT_DURATION_MS: u32 = 2000;
/// The service refuses longer fragments.
const FRAGMENT_DURATION_MS_MAX: u32 = 20_000;
const DEFAULT_TIMECODE_SCALE_MS: u32 = 1;
/// Coarser, and the frames of a camera would have one time together.
const TIMECODE_SCALE_MS_MAX: u32 = 1000;
const DEFAULT_CODEC_ID: &str = "V_MPEG4/ISO/AVC";
const DEFAULT_TRACK_NAME: &str = "kinesis_video";

#[derive(Clone, Debug)]
pub(in crate::kvssink) struct MediaSettings {
    key_frame_fragmentation: bool,
    fragment_duration_ms: u32,
    timecode_scale_ms: u32,
    /// As they were set; `None` takes what the caps say.
    codec_id: Option<String>,
    track_name: Option<String>,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            key_frame_fragmentation: true,
            fragment_duration_ms: DEFAULT_FRAGMENT_DURATION_MS,
            timecode_scale_ms: DEFAULT_TIMECODE_SCALE_MS,
            codec_id: None,
            track_name: None,
        }
    }
}

impl MediaSettings {
    pub(super) fn specs() -> Vec<glib::ParamSpec> {
        let text = |name: &str, nick: &str, blurb: &str, default: &str| {
            glib::ParamSpecString::builder(name)
                .nick(nick)
                .blurb(blurb)
                .default_value(default)
                .mutable_ready()
                .build()
        };
        vec![
            switch(
                "key-frame-fragmentation",
                "Key-frame fragmentation",
                "Start a fragment at each key frame; else after each fragment-duration",
                true,
            ),
            number(
                "fragment-duration",
                "Fragment duration",
                "How long a fragment is where no key frame decides (ms)",
                1..=FRAGMENT_DURATION_MS_MAX,
                DEFAULT_FRAGMENT_DURATION_MS,
            ),
            number(
                "timecode-scale",
                "Timecode scale",
                "Unit of the times in Matroska (ms); finer times are rounded down",
                1..=TIMECODE_SCALE_MS_MAX,
                DEFAULT_TIMECODE_SCALE_MS,
            ),
            text(
                "codec-id",
                "Codec ID",
                "Matroska's codec id of the video; where not set, that of its caps",
                DEFAULT_CODEC_ID,
            ),
            text(
                "track-name",
                "Track name",
                "Name of the video track",
                DEFAULT_TRACK_NAME,
            ),
        ]
    }

    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "key-frame-fragmentation" => take(&mut self.key_frame_fragmentation, value),
            "fragment-duration" => take(&mut self.fragment_duration_ms, value),
            "timecode-scale" => take(&mut self.timecode_scale_ms, value),
            "codec-id" => self.codec_id = text_of(value),
            "track-name" => self.track_name = text_of(value),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        let text = |text: &Option<String>, default| text.as_deref().unwrap_or(default).to_value();
        Some(match name {
            "key-frame-fragmentation" => self.key_frame_fragmentation.to_value(),
            "fragment-duration" => self.fragment_duration_ms.to_value(),
            "timecode-scale" => self.timecode_scale_ms.to_value(),
            "codec-id" => text(&self.codec_id, DEFAULT_CODEC_ID),
            "track-name" => text(&self.track_name, DEFAULT_TRACK_NAME),
            _ => return None,
        })
    }

    pub(super) fn apply(&self, config: &mut ProducerConfig) {
        config.key_frame_fragmentation = self.key_frame_fragmentation;
        config.fragment_duration = Duration::from_millis(self.fragment_duration_ms.into());
        config.timecode_scale = Duration::from_millis(self.timecode_scale_ms.into());
    }

    /// A track as it is declared: what was set wins over what its caps say.
    pub(in crate::kvssink) fn declare(&self, mut track: TrackFormat) -> TrackFormat {
        if let TrackKind::Video(_) = track.kind {
            if let Some(codec_id) = &self.codec_id {
                track.codec_id.clone_from(codec_id);
            }
            track.name = self.track_name.clone().or(track.name);
        }
        track
    }
}

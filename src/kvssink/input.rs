//! From the buffers of one pad to samples with a producer time.

use std::collections::VecDeque;

use kvs_client::producer::{Sample, TrackFormat};
use kvs_media::codec::nal::AssemblyError;
use kvs_media::{FrameData, ProducerTime};

use super::cadence::Cadence;
use super::chunks::Chunks;
use super::codec::{Codec, CodedFrame, Stamp};
use super::imp::CAT;
use super::timeline::{Now, Timeline, is_credible};

/// From 1900 (NTP) to 1970 (Unix): 70 years, 17 of them leap years.
const NTP_TO_UNIX_NS: u64 = (70 * 365 + 17) * 24 * 60 * 60 * 1_000_000_000;

/// Why a buffer cannot be taken. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    /// Nothing says what is in it.
    #[error("a buffer came before caps: put the parser of its format before the element")]
    NoCaps,
    /// Nothing says when it is due.
    #[error("a buffer came before a segment in time format: put a parser before the element")]
    NoSegment,
    /// Its memory cannot be read.
    #[error("a buffer cannot be mapped for reading")]
    Unreadable,
    /// It does not end.
    #[error("{0}: the input is not what its caps say")]
    Assembly(#[from] AssemblyError),
}

/// What a pad knows of its stream.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) segment: Option<gst::FormattedSegment<gst::ClockTime>>,
    codec: Option<Codec>,
    chunks: Chunks,
    frames: VecDeque<CodedFrame>,
    cadence: Cadence,
    told: Told,
}

/// What the log has been told once.
#[derive(Debug, Default)]
struct Told {
    no_time: bool,
    camera_clock: bool,
    clipped: bool,
}

impl Input {
    /// Takes new caps over. What the old ones left unfinished becomes a frame first.
    pub(super) fn set_caps(&mut self, codec: Codec, caps: &gst::CapsRef) {
        if self.finish().is_err() {
            gst::warning!(
                CAT,
                "the last picture before new caps is lost: it does not end"
            );
        }
        self.codec = Some(codec);
        self.cadence.set_caps(caps);
    }

    /// The format, where it is known before the first frame.
    pub(super) fn early_format(&self) -> Option<TrackFormat> {
        self.codec.as_ref()?.early_format()
    }

    /// Takes a buffer; [`next_frame`](Self::next_frame) then gives what is complete.
    ///
    /// `clips` leaves audio out that lies outside its segment.
    pub(super) fn push(&mut self, buffer: &gst::BufferRef, clips: bool) -> Result<(), InputError> {
        let codec = self.codec.as_mut().ok_or(InputError::NoCaps)?;
        let segment = self.segment.as_ref().ok_or(InputError::NoSegment)?;
        if clips && codec.may_be_clipped() && is_clipped(segment, buffer) {
            if !std::mem::replace(&mut self.told.clipped, true) {
                gst::info!(
                    CAT,
                    "audio outside its segment is left out, as it is not to be heard"
                );
            }
            return Ok(());
        }
        let map = buffer.map_readable().map_err(|_| InputError::Unreadable)?;
        if map.is_empty() {
            return Ok(());
        }
        let ends_picture = buffer.flags().contains(gst::BufferFlags::MARKER);
        let stamp = stamp(segment, buffer);
        codec.push(
            &map,
            stamp,
            ends_picture,
            &mut self.chunks,
            &mut self.frames,
        )?;
        Ok(())
    }

    /// The stream ends: what there is of a picture is complete.
    pub(super) fn finish(&mut self) -> Result<(), AssemblyError> {
        let Some(codec) = &mut self.codec else {
            return Ok(());
        };
        codec.finish(&mut self.frames)
    }

    /// A flush: everything under way is void.
    pub(super) fn flush(&mut self) {
        self.segment = None;
        self.frames.clear();
        self.cadence.flush();
        if let Some(codec) = &mut self.codec {
            codec.reset();
        }
    }

    /// The next complete frame.
    pub(super) fn next_frame(&mut self) -> Option<CodedFrame> {
        self.frames.pop_front()
    }

    /// Gives a frame its place in time. `cuts` says that a fragment may start at its key frames.
    pub(super) fn place(
        &mut self,
        frame: CodedFrame,
        timeline: &Timeline,
        cuts: bool,
        now: Now,
    ) -> Sample {
        let stamp = frame.stamp;
        let told_ns = timeline.choose(stamp.position_ns, stamp.running_ns);
        let at_ns = self.at_ns(told_ns, &frame, now);
        let camera_ns = stamp.camera_ns.filter(|_| timeline.may_be_better());
        let camera_ns = camera_ns.filter(|&camera_ns| {
            let credible = is_credible(camera_ns, now.wall_ns);
            if !credible && !std::mem::replace(&mut self.told.camera_clock, true) {
                let time = ProducerTime::from_ns(camera_ns);
                gst::warning!(CAT, "the camera's clock says {time}: ours is taken instead");
            }
            credible
        });
        let time = match camera_ns {
            Some(camera_ns) => ProducerTime::from_ns(camera_ns),
            None => timeline.time(at_ns, cuts && frame.key, now),
        };
        Sample {
            time,
            decode_time: { stamp.decode_lead_ns }
                .filter(|_| timeline.is_shown_in_order())
                .and_then(|lead_ns| time.as_ns().checked_add_signed(-lead_ns))
                .map(ProducerTime::from_ns),
            duration_ns: stamp.duration_ns,
            key: frame.key,
            data: FrameData::from(frame.data),
        }
    }

    /// Where a frame stands in time: where it was told, else behind the one before.
    fn at_ns(&mut self, told_ns: Option<i64>, frame: &CodedFrame, now: Now) -> i64 {
        let at_ns = told_ns.unwrap_or_else(|| {
            if !std::mem::replace(&mut self.told.no_time, true) {
                gst::warning!(
                    CAT,
                    "buffers without a time are placed behind the one before"
                );
            }
            self.cadence.next_ns(now)
        });
        let bytes = frame.data.len();
        self.cadence.takes(at_ns, frame.stamp.duration_ns, bytes);
        at_ns
    }
}

/// Running time of a position, also of one before the segment.
pub(super) fn running_ns(
    segment: &gst::FormattedSegment<gst::ClockTime>,
    position: gst::ClockTime,
) -> Option<i64> {
    match segment.to_running_time_full(position)? {
        gst::Signed::Positive(time) => i64::try_from(time.nseconds()).ok(),
        gst::Signed::Negative(time) => i64::try_from(time.nseconds()).ok().map(|ns| -ns),
    }
}

/// Audio outside the segment is not to be heard. Video is never left out: pictures inside the
/// segment are decoded from those before it.
fn is_clipped(segment: &gst::FormattedSegment<gst::ClockTime>, buffer: &gst::BufferRef) -> bool {
    buffer
        .pts()
        .is_some_and(|pts| segment.to_running_time(pts).is_none())
}

fn stamp(segment: &gst::FormattedSegment<gst::ClockTime>, buffer: &gst::BufferRef) -> Stamp {
    let (pts, dts) = (buffer.pts(), buffer.dts());
    let signed = |time: gst::ClockTime| i64::try_from(time.nseconds()).ok();
    Stamp {
        position_ns: pts.or(dts).and_then(signed),
        running_ns: pts.or(dts).and_then(|time| running_ns(segment, time)),
        decode_lead_ns: pts
            .zip(dts)
            .and_then(|(pts, dts)| signed(pts)?.checked_sub(signed(dts)?)),
        duration_ns: buffer.duration().map(gst::ClockTime::nseconds),
        camera_ns: camera_ns(buffer),
    }
}

/// The camera's clock, ns since 1970, where a meta carries it.
fn camera_ns(buffer: &gst::BufferRef) -> Option<u64> {
    buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find_map(|meta| {
            let ns = meta.timestamp().nseconds();
            match meta.reference().structure(0)?.name().as_str() {
                "timestamp/x-unix" => Some(ns),
                "timestamp/x-ntp" => ns.checked_sub(NTP_TO_UNIX_NS),
                _ => None,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX_NS: u64 = 1_700_000_000_000_000_000;
    const SECOND_NS: i64 = 1_000_000_000;
    const NOW: Now = Now {
        wall_ns: UNIX_NS,
        running_ns: Some(0),
    };

    fn alaw() -> Input {
        gst::init().expect("GStreamer initialises");
        let caps = gst::Caps::builder("audio/x-alaw")
            .field("rate", 8000)
            .field("channels", 1)
            .build();
        let mut input = Input::default();
        let codec = Codec::from_caps(&caps).expect("A-law can be sent");
        input.set_caps(codec, &caps);
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(gst::ClockTime::from_seconds(10));
        input.segment = Some(segment);
        input
    }

    fn buffer(pts: Option<gst::ClockTime>) -> gst::Buffer {
        let mut buffer = gst::Buffer::from_slice([0x55; 160]);
        let fresh = buffer.get_mut().expect("nobody else has it");
        fresh.set_pts(pts);
        fresh.set_duration(gst::ClockTime::from_mseconds(20));
        buffer
    }

    fn sample(input: &mut Input, buffer: &gst::BufferRef) -> Option<Sample> {
        input.push(buffer, true).expect("the buffer is taken");
        let frame = input.next_frame()?;
        let timeline = Timeline::file(Some(UNIX_NS));
        Some(input.place(frame, &timeline, true, NOW))
    }

    fn seconds(time: ProducerTime) -> i64 {
        (time.as_ns() as i64 - UNIX_NS as i64) / SECOND_NS
    }

    #[test]
    fn times_are_those_of_the_segment_not_of_the_buffers() {
        let mut input = alaw();
        let first = sample(&mut input, &buffer(Some(gst::ClockTime::from_seconds(12))));
        assert_eq!(seconds(first.expect("a sample").time), 2);
    }

    #[test]
    fn audio_before_the_segment_is_left_out() {
        let mut input = alaw();
        assert!(sample(&mut input, &buffer(Some(gst::ClockTime::from_seconds(9)))).is_none());
        assert!(sample(&mut input, &buffer(Some(gst::ClockTime::from_seconds(10)))).is_some());
    }

    #[test]
    fn audio_before_the_segment_is_sent_where_nothing_is_to_be_clipped() {
        let mut input = alaw();
        let early = buffer(Some(gst::ClockTime::from_seconds(9)));
        input.push(&early, false).expect("the buffer is taken");
        assert!(input.next_frame().is_some());
    }

    #[test]
    fn a_buffer_without_a_time_follows_the_one_before() {
        let mut input = alaw();
        let one = sample(&mut input, &buffer(Some(gst::ClockTime::from_seconds(12))));
        let two = sample(&mut input, &buffer(None)).expect("a sample");
        let apart_ns = two.time.saturating_ns_since(one.expect("a sample").time);
        assert_eq!(apart_ns, 20_000_000);
    }

    #[test]
    fn the_clock_of_the_camera_wins_if_it_can_be_right() {
        let mut input = alaw();
        let with_meta = |name: &str, ns: u64| {
            let mut buffer = buffer(Some(gst::ClockTime::from_seconds(12)));
            let reference = gst::Caps::builder(name).build();
            gst::ReferenceTimestampMeta::add(
                buffer.get_mut().expect("nobody else has it"),
                &reference,
                gst::ClockTime::from_nseconds(ns),
                gst::ClockTime::NONE,
            );
            buffer
        };
        let hour_ns = 3600 * SECOND_NS as u64;
        let ntp = with_meta("timestamp/x-ntp", NTP_TO_UNIX_NS + UNIX_NS - hour_ns);
        let unix = with_meta("timestamp/x-unix", UNIX_NS - hour_ns);
        for buffer in [ntp, unix] {
            let time = sample(&mut input, &buffer).expect("a sample").time;
            assert_eq!(seconds(time), -3600);
        }
        let never_set = with_meta("timestamp/x-ntp", NTP_TO_UNIX_NS + hour_ns);
        let server = with_meta("timestamp/x-kvs-server", UNIX_NS - hour_ns);
        for buffer in [never_set, server] {
            let time = sample(&mut input, &buffer).expect("a sample").time;
            assert_eq!(seconds(time), 2);
        }
    }

    #[test]
    fn a_buffer_needs_caps_and_a_segment() {
        let mut input = alaw();
        input.flush();
        let buffer = buffer(None);
        assert!(matches!(
            input.push(&buffer, true),
            Err(InputError::NoSegment)
        ));
        assert!(matches!(
            Input::default().push(&buffer, true),
            Err(InputError::NoCaps)
        ));
    }
}

//! A frame as a buffer: its bytes, its timestamp, and both clocks as reference timestamps.

use std::sync::LazyLock;

use kvs_client::FragmentInfo;
use kvs_media::{Frame, ProducerTime};

use super::queue::Sample;

/// Reference of the producer's clock: nanoseconds since 1970. It is the name that GStreamer's own
/// elements use.
static PRODUCER_CLOCK: LazyLock<gst::Caps> =
    LazyLock::new(|| gst::Caps::new_empty_simple("timestamp/x-unix"));

/// Reference of the service's clock. A name of its own, since a look-up by caps takes the first
/// subset, so that a second `x-unix` could be found in place of the producer's.
static SERVER_CLOCK: LazyLock<gst::Caps> =
    LazyLock::new(|| gst::Caps::new_empty_simple("timestamp/x-kvs-server"));

/// Makes the buffer of a frame. Its bytes are not copied: each piece becomes one memory.
///
/// It has no DTS: Matroska carries none, and an invented one makes parsers change the PTS.
pub(super) fn of_sample(
    sample: Sample,
    pts: gst::ClockTime,
    flags: gst::BufferFlags,
) -> gst::Buffer {
    let Sample {
        frame, fragment, ..
    } = sample;
    let mut buffer = gst::Buffer::new();
    let buffer_ref = buffer.make_mut();
    buffer_ref.set_pts(pts);
    let duration = frame.duration_ns.map(gst::ClockTime::from_nseconds);
    buffer_ref.set_duration(duration);
    buffer_ref.set_flags(flags);
    for piece in frame.data.pieces() {
        buffer_ref.append_memory(gst::Memory::from_slice(piece.clone()));
    }
    let producer = gst::ClockTime::from_nseconds(frame.time.as_ns());
    let server = gst::ClockTime::from_nseconds(server_ns(&frame, &fragment));
    gst::ReferenceTimestampMeta::add(buffer_ref, &PRODUCER_CLOCK, producer, duration);
    gst::ReferenceTimestampMeta::add(buffer_ref, &SERVER_CLOCK, server, duration);
    buffer
}

/// The service stamps fragments only: a frame's time is as far behind its fragment's as it is by
/// the producer's clock.
fn server_ns(frame: &Frame, fragment: &FragmentInfo) -> u64 {
    let start = ProducerTime::from_ms(fragment.producer_time.as_ms());
    let server = ProducerTime::from_ms(fragment.server_time.as_ms());
    server
        .saturating_add_ns(frame.time.saturating_ns_since(start))
        .as_ns()
        .saturating_sub(start.saturating_ns_since(frame.time))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use kvs_media::{FrameData, TrackNumber};

    use super::super::timeline::{Anchor, tests::fragment};
    use super::*;

    fn sample(pieces: &[&'static [u8]]) -> Sample {
        let mut data = FrameData::new();
        for piece in pieces {
            data.push(Bytes::from_static(piece));
        }
        Sample {
            frame: Frame {
                track: TrackNumber::new(1).expect("a track number"),
                time: ProducerTime::from_ms(5040),
                decode_time: None,
                duration_ns: None,
                key: true,
                data,
            },
            fragment: Arc::new(fragment(1, 5000, 9000)),
            anchor: Arc::new(Anchor::fixed(
                ProducerTime::from_ms(5000),
                gst::ClockTime::ZERO,
            )),
        }
    }

    #[test]
    fn pieces_are_memories_and_nothing_is_copied() {
        gst::init().expect("GStreamer starts");
        let sample = sample(&[b"ab", b"c"]);
        let first = sample.frame.data.pieces()[0].as_ptr();
        let buffer = of_sample(sample, gst::ClockTime::ZERO, gst::BufferFlags::empty());
        assert_eq!(buffer.n_memory(), 2);
        let memory = buffer.peek_memory(0).map_readable().expect("readable");
        assert_eq!(memory.as_ptr(), first);
        drop(memory);
        let whole = buffer.map_readable().expect("readable");
        assert_eq!(whole.as_slice(), b"abc");
    }

    #[test]
    fn the_producers_clock_comes_first_and_the_servers_has_its_own_name() {
        gst::init().expect("GStreamer starts");
        let pts = gst::ClockTime::from_mseconds(40);
        let buffer = of_sample(sample(&[b"a"]), pts, gst::BufferFlags::DISCONT);
        assert_eq!((buffer.pts(), buffer.dts()), (Some(pts), None));
        assert!(buffer.flags().contains(gst::BufferFlags::DISCONT));
        let metas: Vec<_> = buffer
            .iter_meta::<gst::ReferenceTimestampMeta>()
            .map(|meta| (meta.reference().to_string(), meta.timestamp().mseconds()))
            .collect();
        assert_eq!(
            metas,
            [
                ("timestamp/x-unix".to_owned(), 5040),
                ("timestamp/x-kvs-server".to_owned(), 9040),
            ]
        );
    }
}

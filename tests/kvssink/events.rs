//! Events and queries, as a base class would handle them.

use gst::prelude::*;
use gst_check::Harness;

use super::element;
use crate::harness::Server;

/// One packet of A-law: 20 ms.
const PACKET_MS: u64 = 20;

/// A telephone: kvssink with one A-law pad, its messages and its server.
struct Phone {
    server: Server,
    harness: Harness,
    bus: gst::Bus,
    sent: u64,
}

impl Phone {
    fn new() -> Self {
        let sink = element();
        let server = Server::start();
        sink.set_property("stream-name", "phone");
        sink.set_property("endpoint", server.url());
        sink.set_property("fragment-duration", 500u32);
        let bus = gst::Bus::new();
        sink.set_bus(Some(&bus));
        let mut harness = Harness::with_element(&sink, Some("audio_0"), None);
        harness.play();
        let caps = gst::Caps::builder("audio/x-alaw")
            .field("rate", 8000)
            .field("channels", 1)
            .build();
        harness.set_src_caps(caps);
        Self {
            server,
            harness,
            bus,
            sent: 0,
        }
    }

    /// Sends packets one behind the other, the first one at `start_ms`.
    fn send(&mut self, start_ms: u64, packets: u64) {
        for packet in 0..packets {
            let mut buffer = gst::Buffer::from_slice([0x55; 160]);
            let fresh = buffer.get_mut().expect("nobody else has it");
            fresh.set_pts(gst::ClockTime::from_mseconds(start_ms + packet * PACKET_MS));
            fresh.set_duration(gst::ClockTime::from_mseconds(PACKET_MS));
            assert_eq!(self.harness.push(buffer), Ok(gst::FlowSuccess::Ok));
        }
        self.sent += packets;
    }

    fn event(&mut self, event: gst::Event) -> bool {
        self.harness.push_event(event)
    }

    fn wait_for(&self, wanted: gst::MessageType) -> gst::Message {
        let ends = [wanted, gst::MessageType::Error];
        let hang = gst::ClockTime::from_seconds(60);
        let message = self
            .bus
            .timed_pop_filtered(hang, &ends)
            .expect("a message in time");
        assert_eq!(message.type_(), wanted, "{message:?}");
        message
    }

    /// Ends the stream; every packet sent is stored.
    fn hang_up(&mut self) {
        assert!(self.event(gst::event::Eos::new()));
        self.wait_for(gst::MessageType::Eos);
        let stored = self.server.read_back("phone");
        assert_eq!(stored.frames.len() as u64, self.sent);
    }
}

#[test]
fn eos_and_stream_start_are_posted_by_the_element() {
    let mut phone = Phone::new();
    phone.send(0, 50);
    let message = phone.wait_for(gst::MessageType::StreamStart);
    assert_eq!(
        message.src(),
        phone.harness.element().as_ref().map(Cast::upcast_ref)
    );
    let eos = gst::event::Eos::new();
    let seqnum = eos.seqnum();
    assert!(phone.event(eos));
    assert_eq!(phone.wait_for(gst::MessageType::Eos).seqnum(), seqnum);
}

#[test]
fn upstream_events_reach_the_source() {
    let mut phone = Phone::new();
    phone.send(0, 1);
    let element = phone.harness.element().expect("the element");
    let seek = gst::event::Seek::new(
        1.0,
        gst::SeekFlags::FLUSH,
        gst::SeekType::Set,
        gst::ClockTime::ZERO,
        gst::SeekType::None,
        gst::ClockTime::NONE,
    );
    // The harness has nothing to seek in, so nobody takes the event; it arrives all the same.
    element.send_event(seek);
    let mut events = std::iter::from_fn(|| phone.harness.try_pull_upstream_event());
    assert!(events.any(|event| event.type_() == gst::EventType::Seek));
}

#[test]
fn latency_is_that_of_the_sources() {
    let mut phone = Phone::new();
    phone.send(0, 1);
    phone
        .harness
        .set_upstream_latency(gst::ClockTime::from_mseconds(70));
    let element = phone.harness.element().expect("the element");
    let mut query = gst::query::Latency::new();
    assert!(element.query(&mut query));
    assert_eq!(query.result().1, gst::ClockTime::from_mseconds(70));
}

#[test]
fn a_flush_goes_back_in_time_and_loses_nothing_that_was_sent() {
    let mut phone = Phone::new();
    phone.send(0, 100);
    assert!(phone.event(gst::event::FlushStart::new()));
    assert!(phone.event(gst::event::FlushStop::new(true)));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(phone.event(gst::event::Segment::new(&segment)));
    phone.send(0, 100);
    phone.hang_up();
}

#[test]
fn media_after_eos_and_a_flush_is_another_upload() {
    let mut phone = Phone::new();
    phone.send(0, 50);
    phone.hang_up();
    assert!(phone.event(gst::event::FlushStart::new()));
    assert!(phone.event(gst::event::FlushStop::new(true)));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(phone.event(gst::event::Segment::new(&segment)));
    phone.send(2000, 50);
    phone.hang_up();
}

#[test]
fn a_gap_is_no_loss() {
    let mut phone = Phone::new();
    phone.send(0, 50);
    let gap = gst::event::Gap::builder(gst::ClockTime::from_seconds(1))
        .duration(gst::ClockTime::from_seconds(9))
        .build();
    assert!(phone.event(gap));
    phone.send(10_000, 50);
    phone.hang_up();
}

#[test]
fn media_that_plays_backwards_is_refused() {
    let mut phone = Phone::new();
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_rate(-1.0);
    segment.set_stop(gst::ClockTime::from_seconds(1));
    phone.event(gst::event::Segment::new(&segment));
    phone.wait_for(gst::MessageType::Error);
}

#[test]
fn a_buffer_before_caps_is_an_error_that_names_the_cure() {
    let sink = element();
    sink.set_property("endpoint", "http://127.0.0.1:9");
    let bus = gst::Bus::new();
    sink.set_bus(Some(&bus));
    let mut harness = Harness::with_element(&sink, Some("video_0"), None);
    harness.play();
    assert_eq!(
        harness.push(gst::Buffer::from_slice([0; 8])),
        Err(gst::FlowError::NotNegotiated)
    );
    let hang = gst::ClockTime::from_seconds(60);
    let message = bus.timed_pop_filtered(hang, &[gst::MessageType::Error]);
    let message = message.expect("an ERROR in time");
    let gst::MessageView::Error(error) = message.view() else {
        panic!("{message:?}");
    };
    assert!(
        error.error().message().contains("caps"),
        "{}",
        error.error()
    );
}

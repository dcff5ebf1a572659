//! A `kvssink` whose pads are fed by hand: the test is the source of every pad.

use gst::prelude::*;
use gst_check::Harness;

use super::{CAMERA, element};
use crate::harness::{self, Recording, Server};

/// Producer time of running time 0.
pub(crate) const START_MS: u64 = 1_700_000_000_000;
/// Packets of A-law in a second: one each 100 ms.
pub(crate) const PACKETS: u64 = 10;

/// The element, its server, its messages and its sources.
pub(crate) struct Fed {
    pub(crate) server: Server,
    pub(crate) sink: gst::Element,
    pub(crate) bus: gst::Bus,
}

impl Fed {
    /// An element in NULL that uploads a file.
    pub(crate) fn new() -> Self {
        let (sink, server) = (element(), Server::start());
        sink.set_property("stream-name", "cam");
        sink.set_property("endpoint", server.url());
        sink.set_property_from_str("streaming-type", "offline");
        sink.set_property("file-start-time", START_MS / 1000);
        let bus = gst::Bus::new();
        sink.set_bus(Some(&bus));
        Self { server, sink, bus }
    }

    /// The same, PLAYING.
    pub(crate) fn playing() -> Self {
        let fed = Self::new();
        fed.set_state(gst::State::Playing);
        fed
    }

    pub(crate) fn set_state(&self, state: gst::State) {
        let changed = self.sink.set_state(state);
        assert_eq!(changed, Ok(gst::StateChangeSuccess::Success), "{state:?}");
    }

    /// A source on a new pad; it has sent its caps and a segment from 0.
    pub(crate) fn source(&self, pad: &str, caps: &gst::Caps) -> Source {
        let sink = self.sink.request_pad_simple(pad).expect("a pad");
        let source = Source(gst::Pad::new(gst::PadDirection::Src));
        source.0.set_active(true).expect("it is new");
        source.0.link(&sink).expect("the caps fit");
        source.event(gst::event::StreamStart::new(pad));
        source.event(gst::event::Caps::new(caps));
        source.segment(&gst::FormattedSegment::new());
        source
    }

    /// Waits for a message; an ERROR fails.
    pub(crate) fn wait_for(&self, wanted: gst::MessageType) -> gst::Message {
        let ends = [wanted, gst::MessageType::Error];
        let hang = gst::ClockTime::from_seconds(60);
        let message = self.bus.timed_pop_filtered(hang, &ends);
        let message = message.expect("a message in time");
        assert_eq!(message.type_(), wanted, "{message:?}");
        message
    }

    /// Waits for an element message of that name, in which a field has that value.
    pub(crate) fn wait_for_text(&self, name: &str, field: &str, value: &str) {
        loop {
            let message = self.wait_for(gst::MessageType::Element);
            let structure = message.structure().expect("an element message has one");
            if structure.has_name(name) && structure.get::<&str>(field) == Ok(value) {
                return;
            }
        }
    }

    pub(crate) fn stat(&self, name: &str) -> u64 {
        let stats: gst::Structure = self.sink.property("stats");
        stats.get(name).expect("a figure")
    }

    /// Ends every source. What was taken is confirmed, and stored.
    pub(crate) fn end(&self, sources: &[&Source]) -> Recording {
        for source in sources {
            source.event(gst::event::Eos::new());
        }
        self.wait_for(gst::MessageType::Eos);
        assert_eq!(self.stat("fragments-refused"), 0);
        self.server.read_back("cam")
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        // A test that has failed already shall show its own failure.
        let _ = self.sink.set_state(gst::State::Null);
    }
}

/// The source of one pad.
pub(crate) struct Source(gst::Pad);

impl Source {
    pub(crate) fn event(&self, event: gst::Event) {
        assert!(self.0.push_event(event), "the event is taken");
    }

    pub(crate) fn segment(&self, segment: &gst::FormattedSegment<gst::ClockTime>) {
        self.event(gst::event::Segment::new(segment));
    }

    /// A flush, as a seek makes it.
    pub(crate) fn flush(&self) {
        self.event(gst::event::FlushStart::new());
        self.event(gst::event::FlushStop::new(true));
        self.segment(&gst::FormattedSegment::new());
    }

    pub(crate) fn push(&self, buffer: &gst::Buffer, pts_ms: impl Into<Option<u64>>) {
        let pushed = self.try_push(buffer, pts_ms);
        assert_eq!(pushed, Ok(gst::FlowSuccess::Ok));
    }

    pub(crate) fn try_push(
        &self,
        buffer: &gst::Buffer,
        pts_ms: impl Into<Option<u64>>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut buffer = buffer.copy();
        let fresh = buffer.make_mut();
        fresh.set_pts(pts_ms.into().map(gst::ClockTime::from_mseconds));
        fresh.set_dts(gst::ClockTime::NONE);
        fresh.set_duration(gst::ClockTime::NONE);
        self.0.push(buffer)
    }
}

/// Two seconds of video, a key frame each half second, in the order in which it is shown.
pub(crate) struct Film {
    pub(crate) caps: gst::Caps,
    pub(crate) pictures: Vec<gst::Buffer>,
}

impl Film {
    pub(crate) fn new() -> Self {
        harness::init();
        let camera = format!(
            "{CAMERA} tune=zerolatency \
             ! capsfilter caps=video/x-h264,stream-format=avc,alignment=au"
        );
        let camera = gst::parse::bin_from_description(&camera, true).expect("it is valid");
        let mut camera = Harness::with_element(&camera, None, Some("src"));
        camera.play();
        let pictures = (0..super::FRAMES)
            .map(|_| camera.pull().expect("a picture"))
            .collect();
        let caps = camera.sinkpad().expect("a pad").current_caps();
        let caps = caps.expect("caps come before pictures");
        Self { caps, pictures }
    }
}

/// The caps of a telephone.
pub(crate) fn phone() -> gst::Caps {
    gst::Caps::builder("audio/x-alaw")
        .field("rate", 8000)
        .field("channels", 1)
        .build()
}

/// What a telephone says in a tenth of a second.
pub(crate) fn packet() -> gst::Buffer {
    gst::Buffer::from_slice([0x55; 800])
}

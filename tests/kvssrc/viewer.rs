//! A viewer for tests: `kvssrc` with an appsink on each pad, and all that happens in one channel.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use gst::prelude::*;

/// How long something may take to happen before the test fails.
const WAIT: Duration = Duration::from_secs(15);

/// Something that was seen.
#[derive(Debug)]
pub(crate) enum Seen {
    Frame {
        pad: String,
        buffer: gst::Buffer,
        segment: gst::FormattedSegment<gst::ClockTime>,
        caps: gst::Caps,
    },
    Eos {
        pad: String,
    },
    NoMorePads,
    Message(gst::Structure),
    Error {
        error: gst::glib::Error,
    },
    PipelineEos(gst::Seqnum),
    Prerolled,
}

pub(crate) struct Viewer {
    pub(crate) pipeline: gst::Pipeline,
    pub(crate) element: gst::Element,
    seen: Receiver<Seen>,
}

impl Viewer {
    /// A pipeline with a `kvssrc`, whose pads get appsinks as they appear.
    pub(crate) fn new(url: &str, stream: &str, properties: &[(&str, &str)]) -> Self {
        let element = gst::ElementFactory::make("kvssrc")
            .property("endpoint", url)
            .property("stream-name", stream)
            .build()
            .expect("kvssrc is registered");
        for (name, value) in properties {
            element.set_property_from_str(name, value);
        }
        let pipeline = gst::Pipeline::new();
        pipeline.add(&element).expect("the pipeline is empty");
        let (sender, seen) = channel();
        let bus = pipeline.bus().expect("a pipeline has a bus");
        bus.set_sync_handler({
            let sender = sender.clone();
            move |_, message| {
                report(&sender, message);
                gst::BusSyncReply::Drop
            }
        });
        element.connect_no_more_pads({
            let sender = sender.clone();
            move |_| drop(sender.send(Seen::NoMorePads))
        });
        let weak = pipeline.downgrade();
        element.connect_pad_added(move |_, pad| {
            if let Some(pipeline) = weak.upgrade() {
                link(&pipeline, pad, &sender);
            }
        });
        Self {
            pipeline,
            element,
            seen,
        }
    }

    /// The same, and playing.
    pub(crate) fn play(url: &str, stream: &str, properties: &[(&str, &str)]) -> Self {
        let viewer = Self::new(url, stream, properties);
        viewer.set_state(gst::State::Playing);
        viewer
    }

    pub(crate) fn set_state(&self, state: gst::State) -> gst::StateChangeSuccess {
        self.pipeline
            .set_state(state)
            .expect("the state can be changed")
    }

    /// Waits until the pipeline is where it was told to go.
    pub(crate) fn settled(&self) {
        let wait = gst::ClockTime::from_seconds(WAIT.as_secs());
        let (settled, _, _) = self.pipeline.state(wait);
        assert_eq!(settled, Ok(gst::StateChangeSuccess::Success));
    }

    /// What is seen next.
    pub(crate) fn next(&self) -> Seen {
        self.seen
            .recv_timeout(WAIT)
            .expect("something happens in time")
    }

    /// What has been seen already.
    pub(crate) fn try_next(&self) -> Option<Seen> {
        self.seen.try_recv().ok()
    }

    /// Skips to the next of a kind.
    pub(crate) fn find<T>(&self, wanted: impl Fn(Seen) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next()) {
                return found;
            }
        }
    }

    /// The bytes of the next `count` frames, each with its pad.
    pub(crate) fn frames(&self, count: usize) -> Vec<(String, Vec<u8>)> {
        (0..count)
            .map(|_| self.frame())
            .map(|(pad, buffer)| (pad, bytes(&buffer)))
            .collect()
    }

    /// The next frame.
    pub(crate) fn frame(&self) -> (String, gst::Buffer) {
        self.find(|seen| match seen {
            Seen::Frame { pad, buffer, .. } => Some((pad, buffer)),
            Seen::Error { error } => panic!("{error}"),
            Seen::Eos { pad } => panic!("EOS on {pad}"),
            _ => None,
        })
    }

    /// All frames until the pipeline ends.
    pub(crate) fn until_eos(&self) -> Vec<(String, gst::Buffer)> {
        self.until_eos_of(|_| true)
    }

    /// All frames until the pipeline ends with an EOS of a certain seek.
    pub(crate) fn until_eos_of(
        &self,
        wanted: impl Fn(gst::Seqnum) -> bool,
    ) -> Vec<(String, gst::Buffer)> {
        let mut frames = Vec::new();
        loop {
            match self.next() {
                Seen::Frame { pad, buffer, .. } => frames.push((pad, buffer)),
                Seen::Error { error } => panic!("{error}"),
                Seen::PipelineEos(seqnum) if wanted(seqnum) => return frames,
                _ => {}
            }
        }
    }

    /// Waits until all sinks have their first frame.
    pub(crate) fn prerolled(&self) {
        self.find(|seen| match seen {
            Seen::Prerolled => Some(()),
            Seen::Error { error } => panic!("{error}"),
            _ => None,
        });
    }

    /// The text of the next error.
    pub(crate) fn error(&self) -> gst::glib::Error {
        self.find(|seen| match seen {
            Seen::Error { error } => Some(error),
            _ => None,
        })
    }

    /// The next element message of that name.
    pub(crate) fn message(&self, name: &str) -> gst::Structure {
        self.find(|seen| match seen {
            Seen::Message(structure) if structure.name() == name => Some(structure),
            Seen::Error { error } => panic!("{error}"),
            _ => None,
        })
    }

    pub(crate) fn stat(&self, name: &str) -> u64 {
        let stats: gst::Structure = self.element.property("stats");
        stats.get(name).expect("a counter")
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ends_in_any_case = self.pipeline.set_state(gst::State::Null);
    }
}

pub(crate) fn bytes(buffer: &gst::Buffer) -> Vec<u8> {
    buffer.map_readable().expect("readable").to_vec()
}

fn report(sender: &Sender<Seen>, message: &gst::Message) {
    let seen = match message.view() {
        gst::MessageView::Error(error) => Seen::Error {
            error: error.error(),
        },
        gst::MessageView::Eos(_) => Seen::PipelineEos(message.seqnum()),
        gst::MessageView::AsyncDone(_) => Seen::Prerolled,
        gst::MessageView::Element(element) => match element.structure() {
            Some(structure) => Seen::Message(structure.to_owned()),
            None => return,
        },
        _ => return,
    };
    // The test may have ended.
    let _ = sender.send(seen);
}

fn link(pipeline: &gst::Pipeline, pad: &gst::Pad, sender: &Sender<Seen>) {
    let name = pad.name().to_string();
    let (eos_name, eos_sender) = (name.clone(), sender.clone());
    let sender = sender.clone();
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let segment = sample.segment().expect("a sample has a segment");
            let _ = sender.send(Seen::Frame {
                pad: name.clone(),
                buffer: sample.buffer_owned().expect("a sample has a buffer"),
                segment: segment.downcast_ref().expect("in TIME").clone(),
                caps: sample.caps_owned().expect("a sample has caps"),
            });
            Ok(gst::FlowSuccess::Ok)
        })
        .eos(move |_| {
            let _ = eos_sender.send(Seen::Eos {
                pad: eos_name.clone(),
            });
        })
        .build();
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .callbacks(callbacks)
        .build();
    pipeline.add(&sink).expect("the sink is new");
    sink.sync_state_with_parent().expect("the sink starts");
    let sink_pad = sink.static_pad("sink").expect("a sink has a pad");
    pad.link(&sink_pad).expect("an appsink takes anything");
}

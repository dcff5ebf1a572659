//! The lines that show how far the frames have come.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use gst::prelude::*;

use crate::delay::{Delays, Media};

/// What `kvssink` and the reader have counted at one moment.
pub(crate) struct Tally {
    pub(crate) sent: u64,
    persisted: u64,
    fragments: u64,
    pub(crate) read_back: u64,
    delays: Vec<String>,
}

impl Tally {
    pub(crate) fn now(sink: &gst::Element, delays: &Delays) -> Self {
        let stats = sink.property::<gst::Structure>("stats");
        let count = |name: &str| stats.get::<u64>(name).unwrap_or(0);
        let delay = |media, name: &str| {
            let p50 = delays.percentile_ms(media, 0.5)?;
            let p99 = delays.percentile_ms(media, 0.99)?;
            Some(format!("{name} {p50:.1} ms (99 %: {p99:.1} ms)"))
        };
        let video = delay(Media::Video, "video");
        let audio = delay(Media::Audio, "audio");
        Self {
            sent: count("frames-sent"),
            persisted: count("frames-persisted"),
            fragments: count("fragments-persisted"),
            read_back: delays.frames_out(),
            delays: video.into_iter().chain(audio).collect(),
        }
    }

    /// Whether every frame that was sent was stored and came back.
    pub(crate) fn is_whole(&self) -> bool {
        self.sent > 0 && self.sent == self.persisted && self.sent == self.read_back
    }

    /// Writes the live line anew; where stdout is not a terminal, a line of its own each time.
    #[allow(clippy::print_stdout, reason = "the live line is what the demo is for")]
    pub(crate) fn show(&self, elapsed: Duration) {
        let Self {
            sent,
            fragments,
            read_back,
            delays,
            ..
        } = self;
        let seconds = elapsed.as_secs();
        let line = format!(
            "{seconds:4} s  {sent} frames sent · {fragments} fragments persisted · \
             {read_back} frames read back · delay {}",
            delays.join(", ")
        );
        let mut stdout = std::io::stdout();
        if stdout.is_terminal() {
            print!("\r\x1b[K{line}");
            // A terminal that has gone ends the program by its own signal.
            let _ = stdout.flush();
        } else {
            println!("{line}");
        }
    }

    /// Writes what became of all frames.
    #[allow(clippy::print_stdout, reason = "the summary is what the demo is for")]
    pub(crate) fn summary(&self) {
        println!("\n");
        println!("frames sent       {:8}", self.sent);
        println!("frames persisted  {:8}", self.persisted);
        println!("frames read back  {:8}", self.read_back);
        println!("\nfrom frame in to frame out, median and 99th percentile:");
        self.delays.iter().for_each(|delay| println!("  {delay}"));
    }
}

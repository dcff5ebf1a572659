//! What `kvssink` costs beside a `fakesink`, and how long a frame takes to come back.
//!
//! ```text
//! cargo build --release -p kvs-server && cargo bench -p gst-plugin-kvs --bench live
//! ```
//!
//! One 1080p30 stream of 4 Mb/s, live, 30 s each: CPU time and memory of a process that sends it to
//! `fakesink` and of one that sends it to `kvssink`, three times in turn; then delay through
//! `kvssink`, a `kvs-server` of its own process, and `kvssrc`. Each part is a child process, so
//! that nothing of one stands in another's figures.

#![allow(
    clippy::print_stdout,
    reason = "the figures are what a benchmark is for"
)]

#[path = "../examples/demo/delay.rs"]
mod delay;
mod media;

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use gst::prelude::*;

use crate::delay::{Delays, Media};

/// Says to a child what it is.
const ROLE: &str = "KVS_BENCH_ROLE";
/// How often the two sinks take turns.
const ROUNDS: usize = 3;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    match std::env::var(ROLE).as_deref() {
        Ok("fakesink") => record("fakesink sync=false"),
        Ok("kvssink") => record(&format!("kvssink stream-name=cost {}", endpoint()?)),
        Ok("delay") => delay(),
        _ => compare(),
    }
}

fn endpoint() -> Result<String> {
    Ok(format!("endpoint={}", std::env::var("KVS_BENCH_ENDPOINT")?))
}

/// Runs all parts and prints their figures.
fn compare() -> Result<()> {
    let folder = std::env::temp_dir().join("gst-plugin-kvs-bench");
    let movie = media::movie(&folder)?;
    let server = Server::start(&folder.join("data"))?;
    println!(
        "1080p30 4 Mb/s, {} s live: CPU s, peak RSS MB",
        media::SECONDS
    );
    for _ in 0..ROUNDS {
        for role in ["fakesink", "kvssink"] {
            println!("  {role:9} {}", child(role, &movie, &server.url)?);
        }
    }
    println!(
        "frame in to frame out: {}",
        child("delay", &movie, &server.url)?
    );
    Ok(())
}

/// A server process that ends with this one.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(data: &Path) -> Result<Self> {
        let program = std::env::current_exe()?;
        let program = program
            .ancestors()
            .nth(2)
            .ok_or("no target folder")?
            .join("kvs-server");
        let mut process = Command::new(&program)
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| {
                format!(
                    "{}: {e}: cargo build --release -p kvs-server",
                    program.display()
                )
            })?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let url = line
            .split_whitespace()
            .last()
            .ok_or("the server did not start")?
            .to_owned();
        Ok(Self { process, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the children would have reported.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs this program again in a role, and gives its last line.
fn child(role: &str, movie: &Path, url: &str) -> Result<String> {
    let output = Command::new(std::env::current_exe()?)
        .env(ROLE, role)
        .env("KVS_BENCH_MOVIE", movie)
        .env("KVS_BENCH_ENDPOINT", url)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the {role} part failed").into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

/// Plays the movie at its own pace into `sink`.
fn playing(sink: &str) -> Result<gst::Pipeline> {
    gst::init()?;
    gstkvs::plugin_register_static()?;
    let movie = std::env::var("KVS_BENCH_MOVIE")?;
    let description =
        format!("filesrc location={movie} ! qtdemux ! h264parse ! clocksync ! {sink} name=sink");
    gst::parse::launch(&description)?
        .downcast()
        .map_err(|_| "not a pipeline".into())
}

fn play_to_end(pipeline: &gst::Pipeline) -> Result<()> {
    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().ok_or("no bus")?;
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    match bus
        .timed_pop_filtered(gst::ClockTime::NONE, &wanted)
        .as_ref()
        .map(|m| m.view())
    {
        Some(gst::MessageView::Error(error)) => Err(error.error().to_string().into()),
        _ => Ok(()),
    }
}

fn record(sink: &str) -> Result<()> {
    let pipeline = playing(sink)?;
    play_to_end(&pipeline)?;
    println!("{:6.3} {:6.1}", cpu_seconds()?, peak_rss_mb()?);
    pipeline.set_state(gst::State::Null)?;
    Ok(())
}

fn delay() -> Result<()> {
    let endpoint = endpoint()?;
    let delays = Arc::new(Delays::default());
    let recorder = playing(&format!("kvssink stream-name=delay {endpoint}"))?;
    let sink = recorder.by_name("sink").ok_or("no sink")?;
    sink.pads()
        .iter()
        .for_each(|pad| delays.note_frames_in(pad));

    let source = format!("kvssrc name=source stream-name=delay start=earliest {endpoint}");
    let player = gst::parse::launch(&format!("{source} ! fakesink sync=false async=false"))?;
    let player = player
        .downcast::<gst::Pipeline>()
        .map_err(|_| "not a pipeline")?;
    let source = player.by_name("source").ok_or("no source")?;
    source.connect_pad_added({
        let delays = delays.clone();
        move |_, pad| delays.note_frames_out(pad)
    });
    let bus = recorder.bus().ok_or("no bus")?;
    bus.set_sync_handler({
        let player = player.clone();
        move |_, message| {
            let first = message
                .structure()
                .is_some_and(|s| s.name() == "kvs-fragment-ack");
            if first && player.current_state() == gst::State::Null {
                player.call_async(|player| {
                    if let Err(error) = player.set_state(gst::State::Playing) {
                        eprintln!("kvssrc does not start: {error}");
                    }
                });
            }
            gst::BusSyncReply::Pass
        }
    });
    play_to_end(&recorder)?;
    let shown = |share| {
        delays
            .percentile_ms(Media::Video, share)
            .ok_or("no frame came back")
    };
    println!(
        "p50 {:.2} ms, p99 {:.2} ms, {} frames",
        shown(0.5)?,
        shown(0.99)?,
        delays.frames_out()
    );
    recorder.set_state(gst::State::Null)?;
    player.set_state(gst::State::Null)?;
    Ok(())
}

/// CPU time of all living threads, to the nanosecond: clock ticks would hide what we look for.
fn cpu_seconds() -> Result<f64> {
    let mut total_ns = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
        total_ns += stat
            .split(' ')
            .next()
            .ok_or("empty schedstat")?
            .parse::<u64>()?;
    }
    Ok(total_ns as f64 / 1e9)
}

fn peak_rss_mb() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

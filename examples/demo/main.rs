//! The demo: a source goes through `kvssink` into a server and comes back through `kvssrc`, and a
//! live line shows how far each frame has come.
//!
//! `pipelines/demo.sh` builds and starts everything; this is the program behind it:
//!
//! ```text
//! demo --endpoint URL --stream NAME [--seconds N] SOURCE
//! ```

mod delay;
mod options;
mod reader;
mod source;
mod tally;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::delay::Delays;
use crate::options::Options;
use crate::source::Recorder;
use crate::tally::Tally;

/// How often the live line is written anew.
const TICK: Duration = Duration::from_millis(500);
/// How long the frames under way may take to come back once the source has ended.
const CATCH_UP: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo to its end; true if every frame that was sent came back.
fn run() -> Result<bool, Box<dyn Error>> {
    gst::init()?;
    gstkvs::plugin_register_static()?;
    let options = Options::parse(std::env::args().skip(1))?;
    let delays = Arc::new(Delays::default());
    let recorder = source::recorder(&options, &delays)?;
    let player = reader::player(&options, &delays)?;
    let interrupted = watch_for_interrupt()?;

    recorder.pipeline.set_state(gst::State::Playing)?;
    let result = record(&options, &recorder, &player, &delays, &interrupted)
        .and_then(|()| catch_up(&recorder, &player, &delays));
    let tally = Tally::now(&recorder.sink, &delays);
    recorder.pipeline.set_state(gst::State::Null)?;
    player.set_state(gst::State::Null)?;
    result?;
    tally.summary();
    Ok(tally.is_whole())
}

/// Records until the source ends, the time is over or somebody presses Ctrl-C, and then until the
/// last fragment is stored. The player starts when there is something to play.
fn record(
    options: &Options,
    recorder: &Recorder,
    player: &gst::Pipeline,
    delays: &Delays,
    interrupted: &AtomicBool,
) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let bus = recorder
        .pipeline
        .bus()
        .ok_or("the recording pipeline has no bus")?;
    let mut ending = false;
    loop {
        let wait = gst::ClockTime::from_mseconds(TICK.as_millis() as u64);
        let types = [gst::MessageType::Error, gst::MessageType::Eos];
        match bus
            .timed_pop_filtered(wait, &types)
            .as_ref()
            .map(|message| message.view())
        {
            Some(gst::MessageView::Eos(_)) => return Ok(()),
            Some(gst::MessageView::Error(error)) => {
                return Err(format!("recording: {}", error.error()).into());
            }
            _ => {}
        }
        reader::failure(player)?;
        let tally = Tally::now(&recorder.sink, delays);
        tally.show(started.elapsed());
        if player.current_state() == gst::State::Null && tally.sent > 0 {
            player.set_state(gst::State::Playing)?;
        }
        let over = options
            .seconds
            .is_some_and(|seconds| started.elapsed() >= seconds);
        if !ending && (over || interrupted.load(Ordering::Relaxed)) {
            ending = true;
            recorder.pipeline.send_event(gst::event::Eos::new());
        }
    }
}

/// Waits until the player has given every frame that was sent.
fn catch_up(
    recorder: &Recorder,
    player: &gst::Pipeline,
    delays: &Delays,
) -> Result<(), Box<dyn Error>> {
    let (started, bus) = (
        Instant::now(),
        player.bus().ok_or("the playing pipeline has no bus")?,
    );
    let behind = || {
        let tally = Tally::now(&recorder.sink, delays);
        tally.read_back < tally.sent
    };
    while behind() && started.elapsed() < CATCH_UP {
        let _message =
            bus.timed_pop_filtered(gst::ClockTime::from_mseconds(20), &[gst::MessageType::Eos]);
        reader::failure(player)?;
    }
    Ok(())
}

/// A flag that the first Ctrl-C sets; a second one ends the program at once.
fn watch_for_interrupt() -> Result<Arc<AtomicBool>, Box<dyn Error>> {
    let flag = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let set = flag.clone();
    std::thread::Builder::new()
        .name("interrupt".into())
        .spawn(move || {
            runtime.block_on(async {
                while tokio::signal::ctrl_c().await.is_ok() {
                    if set.swap(true, Ordering::Relaxed) {
                        std::process::exit(130);
                    }
                }
            });
        })?;
    Ok(flag)
}

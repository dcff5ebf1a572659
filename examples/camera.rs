//! A camera for the demo: an RTSP server that plays an H.264 file in a loop, with a ticking clock.
//!
//! ```text
//! cargo run --example camera -- pipelines/street.mp4 [--audio aac|alaw|mulaw|none] [--port N]
//! ```
//!
//! The first line on stdout is its URL. Frames go out at the pace of the file, times run on across
//! the seam, and what a client gets is RTP, as from a camera on the wall.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gst::glib;
use gst::prelude::*;
use gst_rtsp_server::prelude::*;

/// What a camera's microphone sends.
#[derive(Clone, Copy)]
enum Audio {
    Aac,
    Alaw,
    Mulaw,
    None,
}

impl Audio {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "aac" => Some(Self::Aac),
            "alaw" => Some(Self::Alaw),
            "mulaw" => Some(Self::Mulaw),
            "none" => Some(Self::None),
            _ => None,
        }
    }

    /// The part of the launch line that makes the sound; payload types as RFC 3551 has them.
    fn launch(self) -> String {
        let ticks = |rate: u32| {
            format!("audiotestsrc wave=ticks volume=0.3 ! audio/x-raw,rate={rate},channels=1 ! ")
        };
        match self {
            Self::Aac => ticks(48_000) + "avenc_aac ! aacparse ! rtpmp4gpay name=pay1 pt=97",
            Self::Alaw => ticks(8_000) + "alawenc ! rtppcmapay name=pay1 pt=8",
            Self::Mulaw => ticks(8_000) + "mulawenc ! rtppcmupay name=pay1 pt=0",
            Self::None => String::new(),
        }
    }
}

struct Options {
    file: PathBuf,
    audio: Audio,
    port: u16,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        file: PathBuf::new(),
        audio: Audio::Aac,
        port: 0,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--audio" => {
                let name = arguments.next().unwrap_or_default();
                options.audio =
                    Audio::parse(&name).ok_or("--audio takes aac, alaw, mulaw, none")?;
            }
            "--port" => options.port = arguments.next().unwrap_or_default().parse()?,
            file => options.file = PathBuf::from(file),
        }
    }
    if options.file.as_os_str().is_empty() {
        return Err("usage: camera FILE [--audio aac|alaw|mulaw|none] [--port N]".into());
    }
    Ok(options)
}

/// The file's access units, to be sent again and again.
struct Film {
    caps: gst::Caps,
    buffers: Vec<gst::Buffer>,
    duration: gst::ClockTime,
}

impl Film {
    fn load(file: &Path) -> Result<Self, Box<dyn Error>> {
        let pipeline = gst::parse::launch(
            "filesrc name=file ! parsebin ! h264parse config-interval=-1 \
             ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=sink sync=false",
        )?
        .downcast::<gst::Pipeline>()
        .map_err(|_| "not a pipeline")?;
        pipeline
            .by_name("file")
            .ok_or("no file element")?
            .set_property("location", file);
        let sink = pipeline.by_name("sink").ok_or("no sink element")?;
        let sink = sink
            .downcast::<gst_app::AppSink>()
            .map_err(|_| "not an appsink")?;
        pipeline.set_state(gst::State::Playing)?;

        let mut film = Self {
            caps: gst::Caps::new_any(),
            buffers: Vec::new(),
            duration: gst::ClockTime::ZERO,
        };
        while let Ok(sample) = sink.pull_sample() {
            let buffer = sample.buffer_owned().ok_or("a sample without a buffer")?;
            let end = buffer.pts().unwrap_or_default() + buffer.duration().unwrap_or_default();
            film.duration = film.duration.max(end);
            film.caps = sample.caps_owned().ok_or("a sample without caps")?;
            film.buffers.push(buffer);
        }
        pipeline.set_state(gst::State::Null)?;
        if film.buffers.is_empty() {
            return Err(format!("{}: no H.264 video in it", file.display()).into());
        }
        Ok(film)
    }

    /// The `n`th frame of the endless film, its times running on.
    fn frame(&self, n: usize) -> gst::Buffer {
        let round = (n / self.buffers.len()) as u64;
        let shift = gst::ClockTime::from_nseconds(self.duration.nseconds() * round);
        let mut buffer = self.buffers[n % self.buffers.len()].copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(buffer.pts().map(|pts| pts + shift));
            buffer.set_dts(buffer.dts().map(|dts| dts + shift));
        }
        buffer
    }
}

/// Feeds one client's pipeline from the film; all clients share it.
fn feed(film: Film) -> impl Fn(&gst_rtsp_server::RTSPMedia) + Send + Sync + 'static {
    let film = std::sync::Arc::new(film);
    move |media| {
        let source = media
            .element()
            .downcast::<gst::Bin>()
            .ok()
            .and_then(|bin| bin.by_name("film"));
        let Some(source) = source.and_then(|element| element.downcast::<gst_app::AppSrc>().ok())
        else {
            return eprintln!("camera: the media has no appsrc");
        };
        source.set_caps(Some(&film.caps));
        let (film, next) = (film.clone(), Mutex::new(0));
        source.set_callbacks(
            gst_app::AppSrcCallbacks::builder()
                .need_data(move |source, _| {
                    let Ok(mut next) = next.lock() else { return };
                    // An error here is a client that has just gone.
                    if source.push_buffer(film.frame(*next)).is_ok() {
                        *next += 1;
                    }
                })
                .build(),
        );
    }
}

#[allow(
    clippy::print_stdout,
    reason = "the URL on stdout is what a caller waits for"
)]
fn main() -> Result<(), Box<dyn Error>> {
    gst::init()?;
    let options = options()?;
    let factory = gst_rtsp_server::RTSPMediaFactory::new();
    factory.set_launch(&format!(
        "( appsrc name=film format=time max-bytes=200000 ! h264parse config-interval=-1 \
         ! rtph264pay name=pay0 pt=96 {} )",
        options.audio.launch()
    ));
    factory.set_shared(true);
    factory.connect_media_configure({
        let feed = feed(Film::load(&options.file)?);
        move |_, media| feed(media)
    });

    let server = gst_rtsp_server::RTSPServer::new();
    server.set_address("127.0.0.1");
    server.set_service(&options.port.to_string());
    server
        .mount_points()
        .ok_or("the RTSP server has no mount points")?
        .add_factory("/", factory);
    let _source = server.attach(None).map_err(|_| {
        format!(
            "port {} is in use: choose another with --port",
            options.port
        )
    })?;
    println!("rtsp://127.0.0.1:{}/", server.bound_port());
    glib::MainLoop::new(None, false).run();
    Ok(())
}

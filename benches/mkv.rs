//! Our muxer and demuxer beside GStreamer's, over the same movie in the same run.
//!
//! ```text
//! cargo bench -p gst-plugin-kvs --bench mkv
//! ```
//!
//! Both sides work from memory to memory. GStreamer's elements run between an `appsrc` and a
//! `fakesink`; what those two cost by themselves is measured too, and stands beside it.

#![allow(
    clippy::print_stdout,
    reason = "the figures are what a benchmark is for"
)]

mod media;

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gst::prelude::*;
use kvs_media::mkv::{Demuxer, Event, Limits, Muxer, MuxerSettings};
use kvs_media::{Frame, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a socket gives at a time.
const PIECE_BYTES: usize = 64 * 1024;
const ROUNDS: usize = 15;

fn main() -> Result<()> {
    gst::init()?;
    let movie = media::movie(&std::env::temp_dir().join("gst-plugin-kvs-bench"))?;
    let (caps, buffers) = frames_of(&movie.display().to_string())?;
    let frames = buffers.iter().map(frame).collect::<Result<Vec<_>>>()?;
    let bytes = frames.iter().map(|frame| frame.data.len()).sum();
    let track = track(&caps)?;
    println!(
        "{} frames, {:.1} MB; GB/s, median of {ROUNDS}",
        frames.len(),
        bytes as f64 / 1e6
    );

    let plain = gst_rate(bytes, &caps, &buffers, "identity")?;
    println!("appsrc ! identity ! fakesink        {plain:6.2}");
    let theirs = gst_rate(bytes, &caps, &buffers, "matroskamux streamable=true")?;
    println!("appsrc ! matroskamux ! fakesink     {theirs:6.2}");
    let ours = rate(bytes, || {
        mux(&track, &frames).map(|pieces| drop(black_box(pieces)))
    })?;
    println!("kvs_media::mkv::Muxer               {ours:6.2}");

    let pieces = cut(&mux(&track, &frames)?);
    let buffers = pieces
        .iter()
        .cloned()
        .map(gst::Buffer::from_slice)
        .collect::<Vec<_>>();
    let caps = gst::Caps::new_empty_simple("video/x-matroska");
    let theirs = gst_rate(bytes, &caps, &buffers, "matroskademux")?;
    println!("appsrc ! matroskademux ! fakesink   {theirs:6.2}");
    let ours = rate(bytes, || {
        demux(&pieces).map(|found| assert_eq!(found, bytes))
    })?;
    println!("kvs_media::mkv::Demuxer             {ours:6.2}");
    Ok(())
}

/// The movie's frames as `qtdemux` gives them.
fn frames_of(movie: &str) -> Result<(gst::Caps, Vec<gst::Buffer>)> {
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={movie} ! qtdemux ! h264parse ! video/x-h264,stream-format=avc \
         ! appsink name=sink sync=false"
    ))?
    .downcast::<gst::Pipeline>()
    .map_err(|_| "not a pipeline")?;
    let sink = pipeline.by_name("sink").ok_or("no sink")?;
    let sink = sink
        .downcast::<gst_app::AppSink>()
        .map_err(|_| "not an appsink")?;
    pipeline.set_state(gst::State::Playing)?;
    let (mut caps, mut buffers) = (gst::Caps::new_any(), Vec::new());
    while let Ok(sample) = sink.pull_sample() {
        caps = sample.caps_owned().ok_or("a sample without caps")?;
        buffers.push(sample.buffer_owned().ok_or("a sample without a buffer")?);
    }
    pipeline.set_state(gst::State::Null)?;
    Ok((caps, buffers))
}

fn number() -> Result<TrackNumber> {
    TrackNumber::new(1).ok_or_else(|| "1 is a track number".into())
}

fn track(caps: &gst::Caps) -> Result<Track> {
    let format = caps.structure(0).ok_or("empty caps")?;
    let private = format
        .get::<gst::Buffer>("codec_data")?
        .map_readable()?
        .to_vec();
    Ok(Track {
        number: number()?,
        kind: TrackKind::Video(VideoFormat {
            width: 1920,
            height: 1080,
        }),
        name: None,
        codec_id: "V_MPEG4/ISO/AVC".into(),
        codec_private: Some(private.into()),
    })
}

fn frame(buffer: &gst::Buffer) -> Result<Frame> {
    Ok(Frame {
        track: number()?,
        time: ProducerTime::from_ns(buffer.pts().ok_or("a frame without a time")?.nseconds()),
        decode_time: None,
        duration_ns: None,
        key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
        data: Bytes::copy_from_slice(&buffer.map_readable()?).into(),
    })
}

fn mux(track: &Track, frames: &[Frame]) -> Result<Vec<Bytes>> {
    let mut muxer = Muxer::new(std::slice::from_ref(track), &MuxerSettings::default())?;
    let mut out = vec![muxer.header()];
    for frame in frames {
        if frame.key {
            muxer.begin_cluster(frame.time, &mut out);
        }
        muxer.frame(frame, &mut out)?;
    }
    Ok(out)
}

/// The stream as it comes from a socket: in pieces that know nothing of frames.
fn cut(pieces: &[Bytes]) -> Vec<Bytes> {
    let whole = Bytes::from(pieces.concat());
    (0..whole.len())
        .step_by(PIECE_BYTES)
        .map(|at| whole.slice(at..whole.len().min(at + PIECE_BYTES)))
        .collect()
}

fn demux(pieces: &[Bytes]) -> Result<usize> {
    let (mut demuxer, mut bytes) = (Demuxer::new(Limits::default()), 0);
    for piece in pieces {
        demuxer.push(piece.clone());
        while let Some(event) = demuxer.next()? {
            if let Event::Frame(frame) = black_box(event) {
                bytes += frame.data.len();
            }
        }
    }
    Ok(bytes)
}

/// GB/s of `work` over so many bytes: the median.
fn rate(bytes: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..=ROUNDS {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed());
    }
    Ok(median(bytes, times.split_off(1)))
}

/// The same for an element between `appsrc` and `fakesink`, from the first buffer to EOS.
fn gst_rate(bytes: usize, caps: &gst::Caps, buffers: &[gst::Buffer], element: &str) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..=ROUNDS {
        times.push(gst_run(caps, buffers, element)?);
    }
    Ok(median(bytes, times.split_off(1)))
}

fn gst_run(caps: &gst::Caps, buffers: &[gst::Buffer], element: &str) -> Result<Duration> {
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=source format=time max-bytes=0 ! {element} ! fakesink sync=false"
    ))?
    .downcast::<gst::Pipeline>()
    .map_err(|_| "not a pipeline")?;
    let source = pipeline.by_name("source").ok_or("no source")?;
    let source = source
        .downcast::<gst_app::AppSrc>()
        .map_err(|_| "not an appsrc")?;
    source.set_caps(Some(caps));
    let mut list = gst::BufferList::new();
    list.get_mut()
        .ok_or("the list is ours alone")?
        .extend(buffers.iter().cloned());
    pipeline.set_state(gst::State::Playing)?;
    let start = Instant::now();
    source.push_buffer_list(list)?;
    source.end_of_stream()?;
    let bus = pipeline.bus().ok_or("no bus")?;
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let ended = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &wanted);
    let took = start.elapsed();
    pipeline.set_state(gst::State::Null)?;
    match ended.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(took),
        Some(gst::MessageView::Error(error)) => Err(error.error().to_string().into()),
        _ => Err("no end within a minute".into()),
    }
}

fn median(bytes: usize, mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    bytes as f64 / times[times.len() / 2].as_secs_f64() / 1e9
}

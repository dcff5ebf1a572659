//! Cameras by the hundred at their own pace: what they cost, and how soon each gets PERSISTED.
//!
//! ```text
//! cargo bench -p kvs-server --bench load [-- --seconds 300] [--folder FOLDER]
//! ```
//!
//! 250 streams of 4 Mb/s at 30 frames a second, a fragment a second, on a connection each. An ack's
//! delay is counted from the write that ends its fragment (the next cluster's first byte) to its
//! PERSISTED. Then, on a server with 10,000 streams, 500 PutMedia that have each sent 1 MB and stay
//! open: what each holds of memory.

#![allow(
    clippy::print_stdout,
    reason = "the figures are what a benchmark is for"
)]

mod process;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvs_media::mkv::{Muxer, MuxerSettings};
use kvs_media::{Frame, ProducerTime, TrackNumber};
use process::{Result, Server, cpu_s, options, percentile, put_media_head, video_track};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at, sleep, timeout};

const CAMERAS: usize = 250;
const FRAMES_A_SECOND: u32 = 30;
/// 4 Mb/s.
const FRAME_BYTES: usize = 500_000 / FRAMES_A_SECOND as usize;
const START_MS: u64 = 1_700_000_000_000;
const SAMPLE: Duration = Duration::from_secs(5);
/// The longest that a run waits for its last acks.
const LAST_ACKS: Duration = Duration::from_secs(20);

const STREAMS: usize = 10_000;
const OPEN: usize = 500;
const OPEN_BYTES: usize = 1_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (seconds, folder) = options("--seconds", 300)?;
    paced(&folder.path().join("paced"), seconds).await?;
    open_sessions(&folder.path().join("open")).await
}

/// All cameras for so long.
async fn paced(data: &Path, seconds: u32) -> Result<()> {
    let server = Server::start(data, &[])?;
    let names: Vec<String> = (0..CAMERAS).map(|n| format!("cam-{n}")).collect();
    names
        .iter()
        .try_for_each(|name| server.create_stream(name))?;
    println!("{CAMERAS} cameras at 4 Mb/s for {seconds} s");
    let (server_cpu, own_cpu, start) =
        (server.cpu_s()?, cpu_s(std::process::id())?, Instant::now());
    let mut cameras = JoinSet::new();
    for (n, name) in names.iter().enumerate() {
        let socket = TcpStream::connect(&server.address).await?;
        let head = put_media_head(&server.address, name);
        // Spread over a second, as cameras are.
        let first = Duration::from_secs(1) * n as u32 / CAMERAS as u32;
        cameras.spawn(camera(socket, head, first, seconds));
    }
    let mut resident = Vec::new();
    let until = start + Duration::from_secs(u64::from(seconds));
    while Instant::now() < until {
        sleep(SAMPLE.min(until.saturating_duration_since(Instant::now()))).await;
        resident.push(server.resident_bytes()?);
    }
    let used = |now: f64, before: f64| (now - before) / start.elapsed().as_secs_f64() * 100.0;
    let (server_cpu, own_cpu) = (
        used(server.cpu_s()?, server_cpu),
        used(cpu_s(std::process::id())?, own_cpu),
    );
    let mut delays = Vec::new();
    while let Some(camera) = cameras.join_next().await {
        delays.extend(camera??);
    }
    delays.sort_by(f64::total_cmp);
    let sent = CAMERAS * seconds as usize;
    println!("  PERSISTED {} of {sent} fragments", delays.len());
    println!(
        "  ack p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        percentile(&delays, 0.50),
        percentile(&delays, 0.99),
        percentile(&delays, 1.0)
    );
    println!("  CPU {server_cpu:.1} % of a core (the cameras themselves: {own_cpu:.1} %)");
    for (half, samples) in ["first", "second"]
        .iter()
        .zip(resident.chunks(resident.len().div_ceil(2)))
    {
        let (least, most) = (samples.iter().min(), samples.iter().max());
        let mb = |bytes: Option<&u64>| bytes.map_or(f64::NAN, |bytes| *bytes as f64 / 1e6);
        println!("  RSS, {half} half: {:.1} to {:.1} MB", mb(least), mb(most));
    }
    Ok(())
}

/// When each fragment that waits for its PERSISTED ended.
type Ended = Arc<Mutex<VecDeque<Instant>>>;

/// Sends frames at their pace and returns the delay of each ack, in milliseconds.
async fn camera(
    socket: TcpStream,
    head: String,
    first: Duration,
    seconds: u32,
) -> Result<Vec<f64>> {
    socket.set_nodelay(true)?;
    let (acks, mut out) = socket.into_split();
    let ended = Ended::default();
    let acks = tokio::spawn(delays(acks, Arc::clone(&ended), seconds as usize));
    out.write_all(head.as_bytes()).await?;
    let mut media = Media::new()?;
    let start = tokio::time::Instant::now() + first;
    let mut tick = interval_at(start, Duration::from_secs(1) / FRAMES_A_SECOND);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for frame in 0..seconds * FRAMES_A_SECOND {
        tick.tick().await;
        let chunk = media.frame(frame, frame.is_multiple_of(FRAMES_A_SECOND), FRAME_BYTES)?;
        if frame > 0 && frame.is_multiple_of(FRAMES_A_SECOND) {
            end(&ended);
        }
        write_chunk(&mut out, &chunk).await?;
    }
    end(&ended);
    out.write_all(b"0\r\n\r\n").await?;
    timeout(LAST_ACKS, acks).await??
}

fn end(ended: &Ended) {
    let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
    ended.push_back(Instant::now());
}

/// Reads acks until so many fragments are PERSISTED or the response ends.
async fn delays(acks: OwnedReadHalf, ended: Ended, fragments: usize) -> Result<Vec<f64>> {
    let (mut lines, mut delays) = (BufReader::new(acks).lines(), Vec::new());
    while delays.len() < fragments {
        let Some(line) = lines.next_line().await? else {
            break;
        };
        if line.contains("ERROR") {
            return Err(line.into());
        }
        if line.contains("PERSISTED") {
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = ended.pop_front().ok_or("PERSISTED before its end")?;
            delays.push(ended.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(delays)
}

/// Makes the pieces of a producer's document.
struct Media {
    muxer: Muxer,
    track: TrackNumber,
    out: Vec<Bytes>,
    data: Bytes,
}

impl Media {
    fn new() -> Result<Self> {
        let track = video_track()?;
        let number = track.number;
        let muxer = Muxer::new(&[track], &MuxerSettings::default())?;
        let out = vec![muxer.header()];
        let data = Bytes::from(vec![7; FRAME_BYTES.max(OPEN_BYTES)]);
        Ok(Self {
            muxer,
            track: number,
            out,
            data,
        })
    }

    /// One more frame of this many bytes, in front of which the header and the cluster stand.
    fn frame(&mut self, number: u32, key: bool, bytes: usize) -> Result<Vec<Bytes>> {
        let ms = u64::from(number) * 1000 / u64::from(FRAMES_A_SECOND);
        let time = ProducerTime::from_ms(START_MS + ms);
        if key {
            self.muxer.begin_cluster(time, &mut self.out);
        }
        let frame = Frame {
            track: self.track,
            time,
            decode_time: None,
            duration_ns: None,
            key,
            data: self.data.slice(..bytes).into(),
        };
        self.muxer.frame(&frame, &mut self.out)?;
        Ok(std::mem::take(&mut self.out))
    }
}

async fn write_chunk(out: &mut OwnedWriteHalf, pieces: &[Bytes]) -> Result<()> {
    let len: usize = pieces.iter().map(Bytes::len).sum();
    // One write a frame, as a producer makes it.
    let mut chunk = Vec::with_capacity(len + 16);
    chunk.extend_from_slice(format!("{len:x}\r\n").as_bytes());
    pieces
        .iter()
        .for_each(|piece| chunk.extend_from_slice(piece));
    chunk.extend_from_slice(b"\r\n");
    Ok(out.write_all(&chunk).await?)
}

/// Sessions that are open and have nothing under way.
async fn open_sessions(data: &Path) -> Result<()> {
    let server = Server::start(data, &[])?;
    let idle = server.resident_bytes()?;
    (0..STREAMS).try_for_each(|n| server.create_stream(&format!("cam-{n}")))?;
    let before = server.resident_bytes()?;
    let mut sessions = Vec::new();
    for n in 0..OPEN {
        let mut socket = TcpStream::connect(&server.address).await?;
        let head = put_media_head(&server.address, &format!("cam-{n}"));
        socket.write_all(head.as_bytes()).await?;
        let (acks, mut out) = socket.into_split();
        let mut media = Media::new()?;
        write_chunk(&mut out, &media.frame(0, true, OPEN_BYTES)?).await?;
        media.muxer.end_of_fragment(&mut media.out);
        write_chunk(&mut out, &std::mem::take(&mut media.out)).await?;
        let mut lines = BufReader::new(acks).lines();
        while let Some(line) = lines.next_line().await? {
            if line.contains("PERSISTED") {
                break;
            }
        }
        sessions.push((lines, out));
    }
    let after = server.resident_bytes()?;
    println!("{STREAMS} streams, {OPEN} PutMedia that have each sent 1 MB");
    println!(
        "  RSS idle {:.1} MB, with the streams {:.1} MB",
        idle as f64 / 1e6,
        before as f64 / 1e6
    );
    println!(
        "  with the sessions {:.1} MB: {:.1} KB a session",
        after as f64 / 1e6,
        after.saturating_sub(before) as f64 / 1e3 / OPEN as f64
    );
    Ok(())
}

//! Durable ingest over HTTP, beside what the same disk does with a plain file.
//!
//! ```text
//! cargo bench -p kvs-server --bench ingest [-- FOLDER]
//! ```
//!
//! Producers send fragments of 1 MiB as fast as the server takes them, each on a connection and a
//! stream of its own; a run ends with the last PERSISTED. The baseline writes the same bytes to one
//! file and calls fdatasync after each MiB. The store lies in FOLDER (the temporary folder if none
//! is named), which decides the figures as much as the code does.

#![allow(
    clippy::print_stdout,
    reason = "the figures are what a benchmark is for"
)]

mod process;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use kvs_media::mkv::{Muxer, MuxerSettings};
use kvs_media::{Frame, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat};
use process::{Result, Server, put_media_head};

/// What one run sends over all its connections.
const RUN_MB: usize = 1024;
const FRAME_BYTES: usize = 64 * 1024;
const FRAMES_A_FRAGMENT: usize = 16;
const FRAME_MS: u64 = 33;
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let folder = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    println!("{RUN_MB} MB a run; MB/s, {ROUNDS} rounds");
    for round in 0..ROUNDS {
        let server = Server::start(&folder.path().join(format!("data-{round}")), &[])?;
        let plain = plain_file(&folder.path().join("plain"))?;
        let (one, many) = (upload(&server, 1)?, upload(&server, 64)?);
        println!("  plain file {plain:6.0}   1 stream {one:6.0}   64 streams {many:6.0}");
    }
    Ok(())
}

/// MB/s of a file with one fdatasync a fragment.
fn plain_file(path: &Path) -> Result<f64> {
    let (mut file, fragment) = (
        File::create(path)?,
        vec![7; FRAME_BYTES * FRAMES_A_FRAGMENT],
    );
    let start = Instant::now();
    for _ in 0..RUN_MB {
        file.write_all(&fragment)?;
        file.sync_data()?;
    }
    let rate = RUN_MB as f64 / start.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// MB/s of so many producers together.
fn upload(server: &Server, streams: usize) -> Result<f64> {
    let names = (0..streams)
        .map(|n| format!("bench-{streams}-{n}"))
        .collect::<Vec<_>>();
    names
        .iter()
        .try_for_each(|name| server.create_stream(name))?;
    let start = Instant::now();
    thread::scope(|scope| {
        let producers = names
            .iter()
            .map(|name| scope.spawn(move || put_media(&server.address, name, RUN_MB / streams)))
            .collect::<Vec<_>>();
        producers
            .into_iter()
            .try_for_each(|one| one.join().map_err(|_| "a producer panicked")?)
    })?;
    Ok(RUN_MB as f64 / start.elapsed().as_secs_f64())
}

/// Sends so many fragments and returns when the last one is PERSISTED.
fn put_media(address: &str, name: &str, fragments: usize) -> Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(put_media_head(address, name).as_bytes())?;
    let acks = BufReader::new(socket.try_clone()?);
    thread::scope(|scope| {
        let sender = scope.spawn(move || send(&mut socket, fragments));
        let persisted = acks
            .lines()
            .map_while(std::io::Result::ok)
            .inspect(|line| assert!(!line.contains("ERROR"), "{line}"))
            .filter(|line| line.contains("PERSISTED"))
            .take(fragments)
            .count();
        sender.join().map_err(|_| "the sender panicked")??;
        match persisted == fragments {
            true => Ok(()),
            false => Err(format!("{persisted} of {fragments} fragments persisted").into()),
        }
    })
}

fn send(socket: &mut TcpStream, fragments: usize) -> Result<()> {
    let number = TrackNumber::new(1).ok_or("1 is a track number")?;
    let track = Track {
        number,
        kind: TrackKind::Video(VideoFormat {
            width: 1920,
            height: 1080,
        }),
        name: None,
        codec_id: "V_MPEG4/ISO/AVC".into(),
        codec_private: None,
    };
    let mut muxer = Muxer::new(&[track], &MuxerSettings::default())?;
    let (data, mut out) = (Bytes::from(vec![7; FRAME_BYTES]), vec![muxer.header()]);
    for n in 0..fragments * FRAMES_A_FRAGMENT {
        let time = ProducerTime::from_ms(1_700_000_000_000 + n as u64 * FRAME_MS);
        let key = n % FRAMES_A_FRAGMENT == 0;
        if key {
            muxer.begin_cluster(time, &mut out);
        }
        let data = data.clone().into();
        let frame = Frame {
            track: number,
            time,
            decode_time: None,
            duration_ns: None,
            key,
            data,
        };
        muxer.frame(&frame, &mut out)?;
        write_chunk(socket, &mut out)?;
    }
    muxer.end_of_fragment(&mut out);
    write_chunk(socket, &mut out)?;
    socket.write_all(b"0\r\n\r\n")?;
    Ok(())
}

fn write_chunk(socket: &mut TcpStream, pieces: &mut Vec<Bytes>) -> Result<()> {
    write!(
        socket,
        "{:x}\r\n",
        pieces.iter().map(Bytes::len).sum::<usize>()
    )?;
    pieces
        .drain(..)
        .try_for_each(|piece| socket.write_all(&piece))?;
    socket.write_all(b"\r\n")?;
    Ok(())
}

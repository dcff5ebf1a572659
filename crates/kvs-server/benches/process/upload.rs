//! A producer that sends as fast as the server takes it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;

use bytes::Bytes;
use kvs_media::mkv::{Muxer, MuxerSettings};
use kvs_media::{Frame, ProducerTime};

use super::{Result, put_media_head, video_track};

/// A fragment's payload.
pub(crate) const FRAGMENT_BYTES: usize = FRAME_BYTES * FRAMES_A_FRAGMENT;
const FRAME_BYTES: usize = 64 * 1024;
const FRAMES_A_FRAGMENT: usize = 16;
const FRAME_MS: u64 = 33;

/// Sends so many fragments and returns when the last one is PERSISTED.
pub(crate) fn put_media(address: &str, name: &str, fragments: usize) -> Result<()> {
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
    let track = video_track()?;
    let number = track.number;
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

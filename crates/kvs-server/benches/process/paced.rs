//! A producer that sends fragments at their pace and measures how long each waits for its ack.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvs_media::mkv::{Muxer, MuxerSettings};
use kvs_media::{Frame, ProducerTime};

use super::{Result, put_media_head, video_track};

const FRAGMENT_BYTES: usize = 40_000;
const PACE: Duration = Duration::from_millis(20);

/// Sends while there is to be more; gives, in milliseconds, the delay of each PERSISTED from the
/// write of the tag that ends its fragment.
pub(crate) fn paced(address: &str, stream: &str, more: impl Fn() -> bool) -> Result<Vec<f64>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.write_all(put_media_head(address, stream).as_bytes())?;
    let acks = BufReader::new(socket.try_clone()?);
    let (sent, ended) = mpsc::channel::<Instant>();
    thread::scope(|scope| {
        let listener = scope.spawn(move || {
            let mut delays = Vec::new();
            // The last chunk is empty; the connection stays open behind it.
            let lines = acks.lines().map_while(std::io::Result::ok);
            for line in lines.take_while(|line| line != "0") {
                if line.contains("ERROR") {
                    return Err(line.into());
                }
                // Fragments are persisted in their order, so the oldest is meant.
                if line.contains("PERSISTED") {
                    let ended = ended.recv()?;
                    delays.push(ended.elapsed().as_secs_f64() * 1000.0);
                }
            }
            Ok(delays)
        });
        produce(&mut socket, &sent, more)?;
        listener.join().map_err(|_| "the listener panicked")?
    })
}

fn produce(
    socket: &mut TcpStream,
    sent: &mpsc::Sender<Instant>,
    more: impl Fn() -> bool,
) -> Result<()> {
    let track = video_track()?;
    let number = track.number;
    let mut muxer = Muxer::new(&[track], &MuxerSettings::default())?;
    let (data, mut out) = (Bytes::from(vec![7; FRAGMENT_BYTES]), vec![muxer.header()]);
    let start = Instant::now();
    for n in 0_u32.. {
        thread::sleep((PACE * n).saturating_sub(start.elapsed()));
        if !more() {
            break;
        }
        let time = ProducerTime::from_ms(1_700_000_000_000 + u64::from(n) * 20);
        muxer.begin_cluster(time, &mut out);
        let frame = Frame {
            track: number,
            time,
            decode_time: None,
            duration_ns: None,
            key: true,
            data: data.clone().into(),
        };
        muxer.frame(&frame, &mut out)?;
        muxer.end_of_fragment(&mut out);
        let body = out.concat();
        out.clear();
        // The time is known before the ack can be there.
        sent.send(Instant::now())?;
        write_chunk(socket, &body)?;
    }
    socket.write_all(b"0\r\n\r\n")?;
    Ok(())
}

/// One chunk of a request's body.
pub(crate) fn write_chunk(socket: &mut TcpStream, body: &[u8]) -> Result<()> {
    let head = format!("{:x}\r\n", body.len());
    socket.write_all(&[head.as_bytes(), body, b"\r\n"].concat())?;
    Ok(())
}

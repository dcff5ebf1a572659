//! What clients that mean no good cost another client: the delay of its acks before and during.
//!
//! ```text
//! cargo bench -p kvs-server --bench hostile [-- --seconds 30] [--folder FOLDER]
//! ```
//!
//! A producer sends 50 fragments of 40 KB a second on one connection; a delay is counted from the
//! write of the tag that ends a fragment to its PERSISTED. Nothing else goes on for so many
//! seconds, then each attack in turn. The server's memory is what it holds at the end of each.

#![allow(
    clippy::print_stdout,
    reason = "the figures are what a benchmark is for"
)]

mod process;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use process::paced::{paced, write_chunk};
use process::upload::put_media;
use process::{Result, Server, options, percentile, put_media_head};

/// What slow readers read, in fragments of 1 MiB.
const STORED_FRAGMENTS: usize = 32;
const SLOW_READERS: usize = 100;
const SLOW_WRITERS: usize = 100;
const IDLE_CONNECTIONS: usize = 1000;
/// Attackers that send as fast as they can.
const FLOODERS: usize = 4;

/// Goes on until the flag says stop.
type Attack = fn(&str, &AtomicBool) -> Result<()>;

const ATTACKS: [(&str, Attack); 6] = [
    ("100 readers at 1 kB/s", slow_readers),
    ("100 writers, a byte each 29 s", slow_writers),
    ("1,000 idle connections", idle_connections),
    ("100 MB of JSON, 4 at a time", json),
    ("10 MB of headers, 4 at a time", headers),
    ("bad paths and UTF-8, 4 at a time", bad_requests),
];

fn main() -> Result<()> {
    let (seconds, folder) = options("--seconds", 30)?;
    let server = Server::start(&folder.path().join("data"), &[])?;
    for name in ["victim", "read"] {
        server.create_stream(name)?;
    }
    (0..SLOW_WRITERS).try_for_each(|n| server.create_stream(&format!("slow-{n}")))?;
    put_media(&server.address, "read", STORED_FRAGMENTS)?;
    let run = Duration::from_secs(seconds);
    println!("delay of PERSISTED in ms: p50, p99, worst; {seconds} s each");
    report("nothing else", &server, run, |_, _| Ok(()))?;
    for (what, attack) in ATTACKS {
        report(what, &server, run, attack)?;
    }
    Ok(())
}

fn report(what: &str, server: &Server, run: Duration, attack: Attack) -> Result<()> {
    let stop = AtomicBool::new(false);
    let mut delays = thread::scope(|scope| {
        let attacker = scope.spawn(|| attack(&server.address, &stop));
        let start = Instant::now();
        let delays = paced(&server.address, "victim", || start.elapsed() < run);
        stop.store(true, Ordering::Relaxed);
        attacker.join().map_err(|_| "the attacker panicked")??;
        delays
    })?;
    delays.sort_by(f64::total_cmp);
    println!(
        "  {what:<34} {:6.1} {:6.1} {:7.1}   {} acks, {} MB",
        percentile(&delays, 0.5),
        percentile(&delays, 0.99),
        percentile(&delays, 1.0),
        delays.len(),
        server.resident_bytes()? / 1_000_000
    );
    Ok(())
}

/// Waits for so long, or until it is over.
fn pause(stop: &AtomicBool, wait: Duration) {
    let start = Instant::now();
    while start.elapsed() < wait && !stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50));
    }
}

fn slow_readers(address: &str, stop: &AtomicBool) -> Result<()> {
    let json = r#"{"StreamName":"read","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    let request = format!(
        "POST /getMedia HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    let mut readers = Vec::new();
    for _ in 0..SLOW_READERS {
        let mut socket = TcpStream::connect(address)?;
        socket.write_all(request.as_bytes())?;
        readers.push(socket);
    }
    while !stop.load(Ordering::Relaxed) {
        // One that is cut off reads nothing.
        for reader in &mut readers {
            let _ = reader.read(&mut [0; 1000]);
        }
        pause(stop, Duration::from_secs(1));
    }
    Ok(())
}

fn slow_writers(address: &str, stop: &AtomicBool) -> Result<()> {
    let mut writers = Vec::new();
    for n in 0..SLOW_WRITERS {
        let mut socket = TcpStream::connect(address)?;
        socket.write_all(put_media_head(address, &format!("slow-{n}")).as_bytes())?;
        writers.push(socket);
    }
    // The first bytes of an EBML header.
    for byte in [0x1A, 0x45, 0xDF, 0xA3] {
        for writer in &mut writers {
            // Those that are ended already do not take it.
            let _ = write_chunk(writer, &[byte]);
        }
        pause(stop, Duration::from_secs(29));
    }
    pause(stop, Duration::MAX);
    Ok(())
}

fn idle_connections(address: &str, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let idle = (0..IDLE_CONNECTIONS).map(|_| TcpStream::connect(address));
        let idle = idle.collect::<std::io::Result<Vec<_>>>()?;
        // About as long as the server keeps them.
        pause(stop, Duration::from_secs(10));
        drop(idle);
    }
    Ok(())
}

/// Runs it on some threads at once until it is over.
fn flood(stop: &AtomicBool, one: impl Fn() -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        for _ in 0..FLOODERS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // The server hangs up on it, which is what it should do.
                    let _ = one();
                }
            });
        }
    });
    Ok(())
}

/// A head, then so many megabytes of `x`, as far as they are taken.
fn send(address: &str, head: &str, megabytes: usize) -> Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(head.as_bytes())?;
    let filler = vec![b'x'; 1 << 20];
    (0..megabytes).try_for_each(|_| socket.write_all(&filler))?;
    socket.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn json(address: &str, stop: &AtomicBool) -> Result<()> {
    // In chunks, so that its size is not told.
    let head = format!(
        "POST /getMedia HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\r\n\
         6400000\r\n{{\"StreamName\":\""
    );
    flood(stop, || send(address, &head, 100))
}

fn headers(address: &str, stop: &AtomicBool) -> Result<()> {
    let head = format!("POST /getMedia HTTP/1.1\r\nHost: {address}\r\nx: ");
    flood(stop, || send(address, &head, 10))
}

fn bad_requests(address: &str, stop: &AtomicBool) -> Result<()> {
    let targets: [&[u8]; 4] = [
        b"//getMedia",
        b"/getMedia/..",
        b"/%2e%2e/getMedia",
        b"/getMedia\xFF\0",
    ];
    flood(stop, || {
        for target in targets {
            let mut socket = TcpStream::connect(address)?;
            let host = format!(
                " HTTP/1.1\r\nConnection: close\r\nHost: {address}\r\nContent-Length: 22\r\n\r\n"
            );
            let body = b"{\"StreamName\":\"\xFF\xC0\xAF\xED\xA0\"}";
            socket.write_all(&[b"POST ", target, host.as_bytes(), body].concat())?;
            socket.read_to_end(&mut Vec::new())?;
        }
        Ok(())
    })
}

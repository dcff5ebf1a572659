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
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use process::upload::{FRAGMENT_BYTES, put_media};
use process::{Result, Server};

/// What one run sends over all its connections.
const RUN_MB: usize = 1024;
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
    let (mut file, fragment) = (File::create(path)?, vec![7; FRAGMENT_BYTES]);
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

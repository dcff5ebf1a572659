//! Ten million fragments: a page of ListFragments among them, and a start after SIGKILL.
//!
//! ```text
//! cargo bench -p kvs-server --bench many [-- --fragments 10000000] [--folder FOLDER]
//! ```
//!
//! The fragments are numbered, sealed and indexed as always, but their records are left out of the
//! segments, which so are 4000 files of 256 MiB without a byte on the disk: a terabyte of which
//! neither a page nor a start may read.

#![allow(
    clippy::print_stdout,
    reason = "the figures are what a benchmark is for"
)]

mod process;

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kvs_server::clock::SystemClock;
use kvs_server::store::disk::{Disk, DiskFile, DiskLock, RealDisk};
use kvs_server::store::random::SystemRandom;
use kvs_server::store::{NewFragment, NewStream, SEGMENT_BYTES, Store, StoreConfig, StreamId};
use process::upload::put_media;
use process::{Result, Server, options, percentile};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const FRAGMENTS: u64 = 10_000_000;
/// What the page among many is compared with.
const FEW: u64 = 10_000;
const SEGMENTS: u64 = 4000;
/// The smallest record.
const RECORD_BYTES: u64 = 4096;
/// So many are on their way to the writer at once.
const AT_ONCE: usize = 4000;
const PAGES: usize = 1000;
const STARTS: usize = 5;
const STREAM: &str = "cam";

fn main() -> Result<()> {
    let (fragments, folder) = options("--fragments", FRAGMENTS)?;
    for fragments in [FEW, fragments] {
        let data = folder.path().join(fragments.to_string());
        let from_ms = fill(&data, fragments)?;
        println!("{fragments} fragments, {SEGMENTS} segments of 256 MiB at most");
        for origin in ["SERVER_TIMESTAMP", "PRODUCER_TIMESTAMP"] {
            pages(&data, origin, from_ms, fragments)?;
        }
        starts(&data)?;
    }
    Ok(())
}

/// Stores so many fragments, a second apart and the last one now; answers the first one's time.
fn fill(data: &Path, fragments: u64) -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let from_ms = since.as_millis() as u64 - fragments * 1000;
    let config = StoreConfig {
        segment_bytes: (fragments * RECORD_BYTES / SEGMENTS).max(RECORD_BYTES),
        ..StoreConfig::on_disk(data)
    };
    let disk = Arc::new(HollowDisk(RealDisk::new(data)?));
    let clock = Arc::new(SystemClock::new());
    let store = Store::open_on(&config, disk, clock, Arc::new(SystemRandom::new()))?;
    let stream = store.create_stream(new_stream()?)?.id;
    let (start, runtime) = (Instant::now(), Runtime::new()?);
    runtime.block_on(async {
        let mut appends = JoinSet::new();
        for at in 0..fragments {
            appends.spawn(store.append(fragment(&store, stream, from_ms + at * 1000)?));
            if appends.len() == AT_ONCE
                && let Some(stored) = appends.join_next().await
            {
                stored??;
            }
        }
        for stored in appends.join_all().await {
            stored?;
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    })?;
    drop(store);
    for segment in std::fs::read_dir(data.join("segments"))? {
        let segment = OpenOptions::new().write(true).open(segment?.path())?;
        segment.set_len(SEGMENT_BYTES)?;
    }
    eprintln!("stored in {:.0} s", start.elapsed().as_secs_f64());
    Ok(from_ms)
}

fn new_stream() -> Result<NewStream> {
    Ok(NewStream::named(
        STREAM.parse()?,
        "first".parse()?,
        10 * 365 * 24,
    ))
}

fn fragment(store: &Store, stream: StreamId, server_ms: u64) -> Result<NewFragment> {
    Ok(NewFragment {
        stream,
        number: store.begin_fragment(stream, server_ms)?,
        // As far behind as a camera's way to the server.
        producer_ms: server_ms - 100,
        length_ms: 1000,
        header: Bytes::from_static(&[7; 300]),
        cluster_bytes: 100,
        body: vec![Bytes::from_static(&[7; 100])],
    })
}

/// The time of a page of 100, over HTTP, with a connection for each.
fn pages(data: &Path, origin: &str, from_ms: u64, fragments: u64) -> Result<()> {
    let server = Server::start(data, &[])?;
    let mut took_ms = Vec::with_capacity(PAGES);
    for page in 0..PAGES as u64 {
        // Everywhere in the archive, in no order.
        let start = from_ms / 1000 + page * 7919 * (fragments / PAGES as u64) % (fragments - 200);
        let query = format!(
            r#"{{"StreamName":"{STREAM}","MaxResults":100,"FragmentSelector":{{
                "FragmentSelectorType":"{origin}",
                "TimestampRange":{{"StartTimestamp":{start},"EndTimestamp":{}}}}}}}"#,
            from_ms / 1000 + fragments
        );
        let asked = Instant::now();
        let answer = server.call("listFragments", &query)?;
        took_ms.push(asked.elapsed().as_secs_f64() * 1e3);
        let listed = answer.matches("FragmentNumber").count();
        if listed != 100 {
            return Err(format!("a page of {listed}: {answer}").into());
        }
    }
    took_ms.sort_by(f64::total_cmp);
    println!(
        "  a page of 100 by {origin}: median {:.2} ms, p99 {:.2} ms",
        percentile(&took_ms, 0.5),
        percentile(&took_ms, 0.99)
    );
    Ok(())
}

/// From the start of the process, whose predecessor was killed, to its line on stdout.
fn starts(data: &Path) -> Result<()> {
    let mut took_ms = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let mut server = Server::start(data, &[])?;
        // The index of these may not be on the disk yet.
        put_media(&server.address, STREAM, 10)?;
        server.kill()?;
        let start = Instant::now();
        let server = Server::start(data, &[])?;
        took_ms.push(start.elapsed().as_secs_f64() * 1e3);
        drop(server);
    }
    println!("  start after SIGKILL, ms: {took_ms:.1?}");
    Ok(())
}

/// A disk that keeps everything but what is written to segments, whose length it keeps.
#[derive(Debug)]
struct HollowDisk(RealDisk);

impl HollowDisk {
    fn hollow(path: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        match path.starts_with("segments/") {
            true => Arc::new(HollowFile(file)),
            false => file,
        }
    }
}

impl Disk for HollowDisk {
    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.0.list(path)
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Self::hollow(path, self.0.create(path)?))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Self::hollow(path, self.0.open(path)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.0.unlink(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }

    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.0.lock(path)
    }
}

#[derive(Debug)]
struct HollowFile(Arc<dyn DiskFile>);

impl DiskFile for HollowFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.set_len(offset + bytes.len() as u64)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    /// Nothing of it is to be kept.
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        self.0.punch_hole(offset, len)
    }
}

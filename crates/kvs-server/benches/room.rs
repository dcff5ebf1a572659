//! How soon room comes back, and what acks wait meanwhile: a delete, a retention that is lowered,
//! a backup.
//!
//! ```text
//! cargo bench -p kvs-server --bench room [-- --gb 6] [--folder FOLDER]
//! ```
//!
//! The streams that go have so many GB each, in fragments of 1 MiB that lie between each other, so
//! that each has its own room to be given back; FOLDER needs four times that. A producer sends 50
//! fragments of 40 KB a second; a delay is counted from the write of the tag that ends a fragment
//! to its PERSISTED. The baselines are `rm` of files of the same size, and `cp` of what is backed
//! up. Seconds are until the blocks are free, or copied.

#![allow(
    clippy::print_stdout,
    reason = "the figures are what a benchmark is for"
)]

mod process;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kvs_server::store::SEGMENT_BYTES;
use process::paced::paced;
use process::upload::{FRAGMENT_BYTES, put_media};
use process::{Result, Server, options, percentile};

const GB: u64 = 1_000_000_000;
/// A stream's room is looked for so often.
const LOOK: Duration = Duration::from_millis(5);
/// How long nothing else goes on.
const QUIET: Duration = Duration::from_secs(20);
/// A place that is left over somewhere does not make it wait for ever.
const LIMIT: Duration = Duration::from_secs(600);

struct Bench {
    folder: PathBuf,
    data: PathBuf,
    server: Server,
    /// What each stream has.
    bytes: u64,
}

fn main() -> Result<()> {
    let (gb, folder) = options("--gb", 6_u64)?;
    let data = folder.path().join("data");
    let bench = Bench {
        // What the clock says counts, also where nobody keeps it right.
        server: Server::start(&data, &["--trust-clock"])?,
        folder: folder.path().to_owned(),
        data,
        bytes: gb * GB,
    };
    bench.server.create_stream("paced")?;
    println!("{gb} GB each; s, s per 3 GB; delay of PERSISTED in ms: p50, p99, worst");
    bench.report("nothing else", || {
        thread::sleep(QUIET);
        Ok(())
    })?;
    bench.fill(&["kept"])?;
    let to = bench.folder.join("copy");
    bench.report("cp", || bench.copy(&to))?;
    fs::remove_dir_all(&to)?;
    bench.report("backup", || bench.back_up(&to))?;
    fs::remove_dir_all(&to)?;
    bench.write_files()?;
    bench.report("rm", || bench.remove_files())?;
    bench.fill(&["deleted", "lowered"])?;
    bench.report("delete a stream", || {
        bench.until_free(|| bench.delete("deleted"))
    })?;
    bench.report("lower a retention", || {
        bench.until_free(|| bench.lower("lowered"))
    })
}

/// What the files in a folder take of the disk.
fn allocated_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        // One may be gone since it was listed.
        bytes += entry?
            .metadata()
            .map_or(0, |metadata| metadata.blocks() * 512);
    }
    Ok(bytes)
}

impl Bench {
    /// Does something beside the producer, and says how that was for both.
    fn report(&self, what: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let over = AtomicBool::new(false);
        let (mut delays, took_s) = thread::scope(|scope| {
            let producer = scope.spawn(|| {
                let more = || !over.load(Ordering::Relaxed);
                paced(&self.server.address, "paced", more)
            });
            let start = Instant::now();
            let done = act();
            let took_s = start.elapsed().as_secs_f64();
            over.store(true, Ordering::Relaxed);
            let delays = producer.join().map_err(|_| "the producer panicked")??;
            done.map(|()| (delays, took_s))
        })?;
        delays.sort_by(f64::total_cmp);
        println!(
            "  {what:<20} {took_s:6.2} {:6.2}   {:6.1} {:6.1} {:7.1}   {} acks",
            took_s * 3.0 * GB as f64 / self.bytes as f64,
            percentile(&delays, 0.5),
            percentile(&delays, 0.99),
            percentile(&delays, 1.0),
            delays.len(),
        );
        Ok(())
    }

    /// Makes the streams and fills them side by side.
    fn fill(&self, streams: &[&str]) -> Result<()> {
        let fragments = self.bytes as usize / FRAGMENT_BYTES;
        thread::scope(|scope| {
            let mut producers = Vec::new();
            for stream in streams {
                self.server.create_stream(stream)?;
                producers.push(scope.spawn(|| put_media(&self.server.address, stream, fragments)));
            }
            for producer in producers {
                producer.join().map_err(|_| "a producer panicked")??;
            }
            Ok(())
        })
    }

    /// Until a stream's room is there, all but a hundredth of what the producer takes meanwhile.
    fn until_free(&self, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let segments = self.data.join("segments");
        let before = allocated_bytes(&segments)?;
        let start = Instant::now();
        act()?;
        while allocated_bytes(&segments)? > before.saturating_sub(self.bytes / 100 * 99) {
            if start.elapsed() > LIMIT {
                return Err("its room does not come back".into());
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// A member of a stream's description.
    fn described(&self, stream: &str, member: &str) -> Result<String> {
        let body = format!(r#"{{"StreamName":"{stream}"}}"#);
        let answer = self.server.call("describeStream", &body)?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        let value = answer["StreamInfo"][member].as_str();
        Ok(value.ok_or("no such member")?.to_owned())
    }

    fn delete(&self, stream: &str) -> Result<()> {
        let arn = self.described(stream, "StreamARN")?;
        let body = format!(r#"{{"StreamARN":"{arn}"}}"#);
        self.server.call("deleteStream", &body).map(drop)
    }

    /// To nothing: all of it is past that.
    fn lower(&self, stream: &str) -> Result<()> {
        let version = self.described(stream, "Version")?;
        let body = format!(
            r#"{{"StreamName":"{stream}","CurrentVersion":"{version}",
            "Operation":"DECREASE_DATA_RETENTION","DataRetentionChangeInHours":24}}"#
        );
        self.server.call("updateDataRetention", &body)?;
        let all = r#"{"StartTimestamp":1,"EndTimestamp":4000000000}"#;
        let body = format!(
            r#"{{"StreamName":"{stream}","FragmentSelector":
            {{"FragmentSelectorType":"SERVER_TIMESTAMP","TimestampRange":{all}}}}}"#
        );
        let answer = self.server.call("listFragments", &body)?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        match answer["Fragments"].as_array().is_some_and(Vec::is_empty) {
            true => Ok(()),
            false => Err("fragments past their retention can be seen".into()),
        }
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let files = 0..self.bytes / SEGMENT_BYTES;
        files.map(|file| self.folder.join(format!("plain-{file}")))
    }

    fn write_files(&self) -> Result<()> {
        const PIECE_BYTES: usize = 1 << 20;
        let piece = vec![7; PIECE_BYTES];
        for path in self.files() {
            let mut file = File::create(path)?;
            for _ in 0..SEGMENT_BYTES as usize / PIECE_BYTES {
                file.write_all(&piece)?;
            }
            file.sync_all()?;
        }
        Ok(())
    }

    fn remove_files(&self) -> Result<()> {
        self.files()
            .try_for_each(|path| fs::remove_file(path).map_err(Into::into))
    }

    fn copy(&self, to: &Path) -> Result<()> {
        fs::create_dir(to)?;
        for entry in fs::read_dir(self.data.join("segments"))? {
            let entry = entry?;
            let to = to.join(entry.file_name());
            fs::copy(entry.path(), &to)?;
            File::open(&to)?.sync_all()?;
        }
        Ok(())
    }

    fn back_up(&self, to: &Path) -> Result<()> {
        let ended = Command::new(env!("CARGO_BIN_EXE_kvs-server"))
            .args(["backup", "--data"])
            .arg(&self.data)
            .arg("--to")
            .arg(to)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        match ended.success() {
            true => Ok(()),
            false => Err("the backup failed".into()),
        }
    }
}

//! The server in a process of its own: started, asked what it uses, killed.
#![allow(dead_code, reason = "each benchmark needs some of it")]

pub(crate) mod paced;
pub(crate) mod upload;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;

use kvs_media::{Track, TrackKind, TrackNumber, VideoFormat};
use tempfile::TempDir;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The kernel counts the time of processes in these.
const TICKS_A_SECOND: f64 = 100.0;

/// A server that is killed when this is dropped.
pub(crate) struct Server {
    process: Child,
    /// Its address and port.
    pub(crate) address: String,
}

impl Server {
    /// Returns once it listens.
    pub(crate) fn start(data: &Path, flags: &[&str]) -> Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_kvs-server"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let address = line.trim().rsplit('/').next().unwrap_or_default();
        let address = address.to_owned();
        if address.is_empty() {
            return Err("the server did not start".into());
        }
        Ok(Self { process, address })
    }

    /// What it holds of memory in all, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        status_bytes(self.process.id(), "VmRSS:")
    }

    /// The processor time that it has used, in seconds.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        cpu_s(self.process.id())
    }

    /// Ends it as a power cut would, but for the page cache.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Makes a stream that keeps its fragments for a day.
    pub(crate) fn create_stream(&self, name: &str) -> Result<()> {
        let body = format!(r#"{{"StreamName":"{name}","DataRetentionInHours":24}}"#);
        self.call("createStream", &body).map(drop)
    }

    /// The body of an operation's answer.
    pub(crate) fn call(&self, operation: &str, body: &str) -> Result<String> {
        let mut socket = TcpStream::connect(&self.address)?;
        write!(
            socket,
            "POST /{operation} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        match head.starts_with("HTTP/1.1 200") {
            true => Ok(body.to_owned()),
            false => Err(answer.into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which whoever used it has noticed.
        let _ = self.kill();
    }
}

/// What a benchmark is told: `[NAME NUMBER] [--folder FOLDER]`. What it writes goes into a new
/// folder below that one, or else below the one for temporary files.
pub(crate) fn options<N: FromStr>(name: &str, default: N) -> Result<(N, TempDir)>
where
    N::Err: Error + Send + Sync + 'static,
{
    let (mut number, mut folder) = (default, std::env::temp_dir());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        if argument == name {
            number = value()?.parse()?;
        } else if argument == "--folder" {
            folder = value()?.into();
        }
    }
    Ok((number, tempfile::tempdir_in(folder)?))
}

/// A size that the kernel tells of a process.
pub(crate) fn status_bytes(pid: u32, member: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(member));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.ok_or("no such member")?.parse::<u64>()? << 10)
}

/// The processor time that a process has used, in seconds.
pub(crate) fn cpu_s(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces.
    let (_, members) = stat.rsplit_once(") ").ok_or("no stat")?;
    let mut times = members
        .split(' ')
        .skip(11)
        .map_while(|time| time.parse::<f64>().ok());
    let (user, system) = (
        times.next().ok_or("no time")?,
        times.next().ok_or("no time")?,
    );
    Ok((user + system) / TICKS_A_SECOND)
}

/// The head of a PutMedia request.
pub(crate) fn put_media_head(address: &str, stream: &str) -> String {
    format!(
        "POST /putMedia HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\
         x-amzn-stream-name: {stream}\r\nx-amzn-fragment-timecode-type: ABSOLUTE\r\n\
         x-amzn-producer-start-timestamp: 1.0\r\n\r\n"
    )
}

/// The one track of what is sent.
pub(crate) fn video_track() -> Result<Track> {
    Ok(Track {
        number: TrackNumber::new(1).ok_or("1 is a track number")?,
        kind: TrackKind::Video(VideoFormat {
            width: 1920,
            height: 1080,
        }),
        name: None,
        codec_id: "V_MPEG4/ISO/AVC".into(),
        codec_private: None,
    })
}

/// The value at this part of the whole, of values in order.
pub(crate) fn percentile(sorted: &[f64], part: f64) -> f64 {
    let at = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

//! How soon a server answers, and what it holds of memory when nothing goes on, beside moto's.
//!
//! ```text
//! python3 -m venv moto && moto/bin/pip install 'moto[server]'
//! cargo bench -p kvs-server --bench start -- [moto/bin/moto_server]
//! ```
//!
//! Both are started on an empty folder, in turn; the time runs from the start of the process to the
//! first answer to a request over HTTP. Memory is what is resident a second later.

#![allow(
    clippy::print_stdout,
    reason = "the figures are what a benchmark is for"
)]

mod process;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use process::{Result, percentile, status_bytes};

const ROUNDS: usize = 9;
/// Fine enough for what takes some milliseconds.
const POLL: Duration = Duration::from_micros(200);
const GIVE_UP: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let moto = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let (mut ours, mut theirs) = (Figures::default(), Figures::default());
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir()?;
        let mut server = Command::new(env!("CARGO_BIN_EXE_kvs-server"));
        server.arg("--data").arg(folder.path().join("data"));
        ours.measure(server.arg("--listen"), |port| format!("127.0.0.1:{port}"))?;
        if let Some(moto) = &moto {
            let mut server = Command::new(moto);
            server.args(["-H", "127.0.0.1"]).current_dir(folder.path());
            theirs.measure(server.arg("-p"), |port| port.to_string())?;
        }
    }
    ours.print("kvs-server");
    if moto.is_some() {
        theirs.print("moto");
    }
    Ok(())
}

#[derive(Default)]
struct Figures {
    answered_ms: Vec<f64>,
    resident_mb: Vec<f64>,
}

impl Figures {
    /// Starts a server whose last argument says the port.
    fn measure(&mut self, server: &mut Command, last: impl Fn(u16) -> String) -> Result<()> {
        // Free now, and nobody else is about to take one.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let start = Instant::now();
        let (out, err) = (Stdio::null(), Stdio::null());
        let mut process = server.arg(last(port)).stdout(out).stderr(err).spawn()?;
        let measured = answered(port, start).and_then(|answered_ms| {
            sleep(SETTLE);
            Ok((answered_ms, status_bytes(process.id(), "VmRSS:")?))
        });
        process.kill()?;
        process.wait()?;
        let (answered_ms, resident) = measured?;
        self.answered_ms.push(answered_ms);
        self.resident_mb.push(resident as f64 / 1e6);
        Ok(())
    }

    fn print(mut self, name: &str) {
        for figures in [&mut self.answered_ms, &mut self.resident_mb] {
            figures.sort_by(f64::total_cmp);
        }
        println!(
            "{name}: first answer after {:.1} ms (fastest {:.1}, slowest {:.1}), idle RSS {:.1} MB",
            percentile(&self.answered_ms, 0.5),
            percentile(&self.answered_ms, 0.0),
            percentile(&self.answered_ms, 1.0),
            percentile(&self.resident_mb, 0.5)
        );
    }
}

/// When something answered on this port, in milliseconds.
fn answered(port: u16, start: Instant) -> Result<f64> {
    while start.elapsed() < GIVE_UP {
        if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) {
            write!(
                socket,
                "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
            )?;
            let mut first = [0];
            socket.read_exact(&mut first)?;
            return Ok(start.elapsed().as_secs_f64() * 1e3);
        }
        sleep(POLL);
    }
    Err("it does not answer".into())
}

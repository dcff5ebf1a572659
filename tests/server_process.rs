//! `kvs-server` as a process of its own, to be killed and started again on the same data.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running `kvs-server`.
pub(crate) struct ServerProcess {
    process: Child,
    url: String,
}

impl ServerProcess {
    /// Starts it on a free port.
    pub(crate) fn start(data: &Path) -> Self {
        Self::listen(data, "127.0.0.1:0")
    }

    /// Kills it with SIGKILL; `start_again` brings it back at the same address.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("a process that can be killed");
        self.process
            .wait()
            .expect("a process that can be waited for");
    }

    /// Starts it again at the same address, after [`kill`](Self::kill).
    pub(crate) fn start_again(&mut self, data: &Path) {
        let address = self.url.trim_start_matches("http://").to_owned();
        *self = Self::listen(data, &address);
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn listen(data: &Path, address: &str) -> Self {
        let mut process = Command::new(program())
            .args(["--listen", address, "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .expect("kvs-server starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("a first line");
        let url = line
            .split_whitespace()
            .last()
            .unwrap_or_default()
            .to_owned();
        assert!(
            url.starts_with("http://"),
            "kvs-server did not start at {address}: {line:?}"
        );
        Self { process, url }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `kvs-server check --full` finds; nothing where all invariants hold.
pub(crate) fn check(data: &Path) -> String {
    let output = Command::new(program())
        .args(["check", "--full", "--data"])
        .arg(data)
        .output()
        .expect("kvs-server runs");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => String::new(),
        false => format!("{found}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// The server's binary, built by the same `cargo test --workspace` as this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let program = test
        .ancestors()
        .nth(2)
        .expect("a target folder")
        .join("kvs-server");
    assert!(
        program.exists(),
        "{} is missing: cargo build -p kvs-server",
        program.display()
    );
    program
}

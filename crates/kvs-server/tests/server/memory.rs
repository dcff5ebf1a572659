//! How much memory the binary takes for what is too large, or never ends.

use crate::harness::{create, short, upload};
use crate::movie::{Movie, START_MS};
use crate::startup::run;

/// A fragment of the greatest size under way in each of two sessions, and what a server with a
/// debug build's buffers takes besides.
const PEAK_BYTES_MAX: u64 = (2 * 50 + 60) << 20;

/// The most that a process has had in memory at once.
pub(crate) fn peak_bytes(process: u32) -> u64 {
    memory_bytes(process, "VmHWM:")
}

/// What the system says of a process's memory.
pub(crate) fn memory_bytes(process: u32, of: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status
        .lines()
        .find(|line| line.starts_with(of))
        .expect("Linux says it");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("KiB");
    kib << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_that_are_too_large_take_no_more_than_their_bound() {
    let data = tempfile::tempdir().expect("a folder");
    let path = data.path().to_str().expect("a path in UTF-8");
    let (mut server, url) = run(&["--listen", "127.0.0.1:0", "--data", path]);
    let address = url
        .strip_prefix("http://")
        .and_then(|address| address.parse().ok());
    let address = address.expect("an address");
    create(address, "cam", 24).await;
    let mut movie = Movie::new();
    movie.frame_bytes = 1 << 20;
    let mut body = [movie.header(), movie.cluster(START_MS)].concat();
    for at in 0..60 {
        body.extend(movie.frame(1, START_MS + at * 10));
    }
    // The same as one frame, which has to be at hand as a whole.
    movie.frame_bytes = 60 << 20;
    let one = [
        movie.header(),
        movie.cluster(START_MS),
        movie.frame(1, START_MS),
    ]
    .concat();
    for body in [&body, &one] {
        let (first, second) =
            tokio::join!(upload(address, "cam", body), upload(address, "cam", body));
        assert_eq!(
            (&*short(&first), &*short(&second)),
            ("B1 E4001@1", "B1 E4001@1")
        );
    }
    let peak = peak_bytes(server.id());
    server.kill().expect("it runs");
    server.wait().expect("it was killed");
    eprintln!("peak: {} MiB", peak >> 20);
    assert!(peak < PEAK_BYTES_MAX, "{} MiB", peak >> 20);
}

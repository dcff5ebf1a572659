//! Starting and stopping, again and again and at any moment, leaves nothing behind.

use std::fs;
use std::time::{Duration, Instant};

use super::LIVE_CAMERA;
use crate::harness::{Run, Server};

/// How many connections the server has, by the system's own list.
fn connections(server: &Server) -> usize {
    const ESTABLISHED: &str = "01";
    let port = server.url().rsplit(':').next().expect("a port");
    let port: u16 = port.parse().expect("a number");
    let local = format!(":{port:04X}");
    let list = fs::read_to_string("/proc/self/net/tcp").expect("Linux has it");
    let is_ours = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let address = fields.next();
        address.is_some_and(|address| address.ends_with(&local))
            && fields.nth(1) == Some(ESTABLISHED)
    };
    list.lines().filter(is_ours).count()
}

#[test]
fn forty_starts_and_stops_leave_no_connection() {
    /// It takes some milliseconds; a machine that is busy with other tests takes longer.
    const SOON: Duration = Duration::from_secs(5);
    let server = Server::start();
    let url = server.url().to_owned();
    let mut sink = Run::new(&format!(
        "{LIVE_CAMERA} ! kvssink stream-name=cam endpoint={url}"
    ));
    let mut source = Run::new(&format!(
        "kvssrc stream-name=cam start=earliest endpoint={url} ! fakesink"
    ));
    let mut most = 0;
    for n in 0..40 {
        sink.set_state(gst::State::Playing);
        source.set_state(gst::State::Playing);
        // A moment later both are somewhere else on their way.
        std::thread::park_timeout(Duration::from_millis(n * 7 % 150));
        most = most.max(connections(&server));
        let below = [gst::State::Null, gst::State::Ready][n as usize % 2];
        for run in [&sink, &source] {
            let begin = Instant::now();
            run.set_state(below);
            let took = begin.elapsed();
            assert!(took < SOON, "{took:?} to {below:?}");
        }
        // A message of a task that is not taken would keep the task.
        drop((sink.pending(), source.pending()));
    }
    assert!(most > 0, "they did connect");
    let begin = Instant::now();
    while connections(&server) > 0 {
        let left = connections(&server);
        assert!(begin.elapsed() < 2 * SOON, "{left} connections are left");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

//! Starting and stopping, again and again and at any moment, leaves nothing behind.

use std::time::{Duration, Instant};

use super::LIVE_CAMERA;
use crate::harness::{Run, Server};

#[test]
fn forty_starts_and_stops_leave_no_connection() {
    /// It takes some milliseconds; a machine that is busy with other tests takes longer.
    const SOON: Duration = Duration::from_secs(5);
    let server = Server::start();
    let url = server.url().to_owned();
    let sink = Run::new(&format!(
        "{LIVE_CAMERA} ! kvssink stream-name=cam endpoint={url}"
    ));
    let source = Run::new(&format!(
        "kvssrc stream-name=cam start=earliest endpoint={url} ! fakesink"
    ));
    let mut most = 0;
    for n in 0..40 {
        sink.set_state(gst::State::Playing);
        source.set_state(gst::State::Playing);
        // A moment later both are somewhere else on their way.
        std::thread::park_timeout(Duration::from_millis(n * 7 % 150));
        most = most.max(server.connections());
        let below = [gst::State::Null, gst::State::Ready][n as usize % 2];
        for run in [&sink, &source] {
            let begin = Instant::now();
            run.set_state(below);
            let took = begin.elapsed();
            assert!(took < SOON, "{took:?} to {below:?}");
        }
    }
    assert!(most > 0, "they did connect");
    server.wait_until_left();
}

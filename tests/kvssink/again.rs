//! What `kvssrc` reads, `kvssink` can send on.

use super::{CAMERA, FRAMES};
use crate::harness::{Run, Server};

#[test]
fn a_copy_of_a_stream_has_the_times_of_its_producer() {
    let server = Server::start();
    let url = server.url();
    Run::to_end(&format!(
        "{CAMERA} ! kvssink stream-name=cam endpoint={url}"
    ));
    Run::to_end(&format!(
        "kvssrc stream-name=cam mode=archive endpoint={url} \
         ! kvssink stream-name=copy streaming-type=offline endpoint={url}"
    ));
    let (one, other) = (server.read_back("cam"), server.read_back("copy"));
    assert_eq!(one.frames.len(), FRAMES);
    assert_eq!(other.frames.len(), FRAMES);
    for (one, other) in one.frames.iter().zip(&other.frames) {
        assert_eq!(one.time.as_ms(), other.time.as_ms());
        assert_eq!(one.data.to_bytes(), other.data.to_bytes());
    }
}

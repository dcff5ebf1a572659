//! `--seed`: a file is a stream from the first request on, once, and a bad one is no start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvs_server::clock::SimulatedClock;
use kvs_server::{Config, Handle, Seed, Server};

use crate::harness::post;
use crate::movie::{self, FRAGMENT_MS, START_MS};
use crate::read::earliest;

/// Long after every movie was made.
const NOW_MS: u64 = START_MS + 100_000_000;

fn street() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/street.mp4")
}

async fn start(data: &Path, seeds: &[(PathBuf, Option<&str>)]) -> Result<Handle, String> {
    let seed = |(file, stream): &(PathBuf, Option<&str>)| Seed {
        file: file.clone(),
        stream: stream.map(String::from),
    };
    let config = Config {
        data: Some(data.into()),
        get_media_idle: Some(std::time::Duration::from_millis(50)),
        seeds: seeds.iter().map(seed).collect(),
        clock: Arc::new(SimulatedClock::new(NOW_MS)),
        ..Config::default()
    };
    Server::start(config)
        .await
        .map_err(|error| error.to_string())
}

/// What is listed: the numbers in their order.
async fn listed(server: &Handle, stream: &str) -> Vec<String> {
    let json = format!(
        r#"{{"StreamName":"{stream}","FragmentSelector":{{
            "FragmentSelectorType":"SERVER_TIMESTAMP",
            "TimestampRange":{{"StartTimestamp":0,"EndTimestamp":{}}}}}}}"#,
        NOW_MS / 1000 + 1
    );
    let reply = post(server.address(), "/listFragments", &json).await.json();
    let fragments = reply["Fragments"].as_array().expect("a list");
    let number =
        |fragment: &serde_json::Value| fragment["FragmentNumber"].as_str().map(String::from);
    fragments.iter().filter_map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mp4_becomes_a_stream_that_ends_now() {
    let data = tempfile::tempdir().expect("a folder");
    let seeds = [(street(), Some("cam-1"))];
    let server = start(data.path(), &seeds).await.expect("a good file");
    let numbers = listed(&server, "cam-1").await;
    // A key frame each 2 s.
    assert_eq!(numbers.len(), 15);
    let chunks = earliest(&server, "cam-1").await;
    let read: Vec<_> = chunks.iter().map(|chunk| chunk.number.clone()).collect();
    assert_eq!(read, numbers);
    assert!(chunks.iter().all(|chunk| chunk.frames[0].key));
    let frames: Vec<_> = chunks.into_iter().flat_map(|chunk| chunk.frames).collect();
    let last_ms = frames.iter().map(|frame| frame.time.as_ms()).max();
    assert_eq!(last_ms, Some(NOW_MS));
    assert_eq!(frames[0].time.as_ms(), NOW_MS - 29_900);
    // One track only: its frames, one after the other, are the file's media.
    let file = std::fs::read(street()).expect("it is there");
    let media = file
        .windows(4)
        .position(|kind| kind == b"mdat")
        .expect("media")
        + 4;
    let bytes: Vec<_> = frames.iter().map(|frame| frame.data.to_bytes()).collect();
    assert_eq!(bytes.len(), 300);
    assert!(bytes.concat() == file[media..]);
    server.stop().await;
    // It has data, so it is left alone, whatever became of the file.
    let server = start(
        data.path(),
        &[(data.path().join("none.mp4"), Some("cam-1"))],
    )
    .await;
    let server = server.expect("the stream has data");
    assert_eq!(listed(&server, "cam-1").await, numbers);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matroska_file_keeps_its_frames_and_gives_the_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("door.2.mkv");
    let body = movie::body(3);
    std::fs::write(&file, &body).expect("writable");
    let seeds = [(file, None), (street(), None)];
    let data = folder.path().join("data");
    let server = start(&data, &seeds).await.expect("good files");
    let chunks = earliest(&server, "door.2").await;
    assert_eq!(chunks.len(), 3);
    let frames = |chunks: Vec<movie::Chunk>| -> Vec<_> {
        chunks.into_iter().flat_map(|chunk| chunk.frames).collect()
    };
    let (seeded, made) = (frames(chunks), frames(movie::chunks(&body)));
    let later_ms = NOW_MS - (START_MS + 3 * FRAGMENT_MS - movie::FRAME_MS);
    for (seeded, made) in seeded.iter().zip(&made) {
        assert_eq!(seeded.data, made.data);
        assert_eq!(seeded.time.as_ms(), made.time.as_ms() + later_ms);
    }
    assert_eq!(seeded.len(), made.len());
    assert_eq!(listed(&server, "street").await.len(), 15);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_no_start_and_leaves_no_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(path(name), bytes).expect("writable");
        path(name)
    };
    let good = std::fs::read(street()).expect("it is there");
    let mkv = movie::body(2);
    for (file, stream, says) in [
        (path("none.mp4"), None, "No such file"),
        (path(""), Some("cam"), "directory"),
        (write("empty.mp4", b""), None, "neither Matroska nor MP4"),
        (
            write("text.mkv", b"not a movie"),
            None,
            "neither Matroska nor MP4",
        ),
        (write("short.mp4", &good[..good.len() - 1]), None, "cut off"),
        (write("noindex.mp4", &good[..32]), None, "no index"),
        (write("bare.mkv", &mkv[..40]), None, "no tracks"),
        (
            write("cut.mkv", &mkv[..mkv.len() - 1]),
            None,
            "damaged Matroska",
        ),
        (write("odd name.mp4", &good), None, "--seed FILE=STREAM"),
        (write("good.mp4", &good), Some("a/b"), "\"a/b\" is no name"),
    ] {
        let named = format!("--seed {}: ", file.display());
        let error = start(&data, &[(file, stream)]).await;
        let error = error.map(|_| ()).expect_err(says);
        assert!(error.starts_with(&named) && error.contains(says), "{error}");
    }
    let server = start(&data, &[]).await.expect("an empty folder");
    let streams = post(server.address(), "/listStreams", "{}").await.json();
    assert_eq!(streams["StreamInfoList"], serde_json::json!([]));
    server.stop().await;
}

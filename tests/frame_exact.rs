//! What goes through the service and back decodes to the same frames as a plain remux.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{self, Run};

/// Matroska's clock here is one millisecond.
const TICK_MS: f64 = 1.0;

fn ffmpeg(arguments: &[&str]) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-y"])
        .args(arguments)
        .output()
        .expect("ffmpeg: run ./setup.sh");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("framemd5 is text")
}

/// A decoded frame: its time in milliseconds after the first, size and hash.
#[derive(Debug)]
struct Decoded {
    time_ms: f64,
    bytes_and_hash: (String, String),
}

/// Every decoded frame of one stream of a file.
fn decode(file: &Path, stream: &str) -> Vec<Decoded> {
    let file = file.to_str().expect("a path that is text");
    let arguments = [
        "-i",
        file,
        "-map",
        stream,
        "-fps_mode",
        "passthrough",
        "-f",
        "framemd5",
        "-",
    ];
    let text = ffmpeg(&arguments);
    let base = text
        .lines()
        .find_map(|line| line.strip_prefix("#tb 0: "))
        .and_then(|base| base.split_once('/'))
        .expect("framemd5 names its time base");
    let number = |text: &str| text.trim().parse::<f64>().expect("a number");
    let tick_ms = 1000.0 * number(base.0) / number(base.1);
    let mut frames = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields = line.split(',').map(str::trim).collect::<Vec<_>>();
            Decoded {
                time_ms: number(fields[2]) * tick_ms,
                bytes_and_hash: (fields[4].to_owned(), fields[5].to_owned()),
            }
        })
        .collect::<Vec<_>>();
    let first = frames.first().map_or(0.0, |frame| frame.time_ms);
    frames.iter_mut().for_each(|frame| frame.time_ms -= first);
    frames
}

fn assert_same(stream: &str, wanted: &Path, found: &Path) {
    let (wanted, found) = (decode(wanted, stream), decode(found, stream));
    assert!(!wanted.is_empty(), "{stream}: nothing to compare");
    assert_eq!(wanted.len(), found.len(), "{stream}: number of frames");
    for (at, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
        assert_eq!(
            wanted.bytes_and_hash, found.bytes_and_hash,
            "{stream}: frame {at}"
        );
        let apart = (wanted.time_ms - found.time_ms).abs();
        assert!(
            apart <= TICK_MS + 1e-6,
            "{stream}: frame {at} is {apart} ms off"
        );
    }
}

/// Sends `movie` through the service and back, and compares with what GStreamer itself remuxes.
fn goes_through_unchanged(movie: &Path, audio: bool) {
    let server = harness::Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (remuxed, back) = (file("remuxed.mkv"), file("back.mkv"));

    // One line serves both ways: the same branches from `d`, to the same pads of `k`.
    let branches = |video: &str, sound: &str| match audio {
        true => format!("d.video_0 ! {video} k.video_0 d.audio_0 ! {sound} k.audio_0"),
        false => format!("d.video_0 ! {video} k.video_0"),
    };
    let source = format!("filesrc location={} ! qtdemux name=d", movie.display());
    let parsed = branches("queue ! h264parse !", "queue ! aacparse !");
    let file_sink = |path: &str| format!("matroskamux name=k ! filesink location={path}");
    let connection = format!("stream-name=exact endpoint={}", server.url());

    Run::to_end(&format!("{source} {parsed} {}", file_sink(&remuxed)));
    Run::to_end(&format!(
        "{source} kvssink name=k {connection} streaming-type=offline {parsed}"
    ));
    let queued = branches("queue !", "queue !");
    Run::to_end(&format!(
        "kvssrc name=d {connection} mode=archive {queued} {}",
        file_sink(&back)
    ));

    let (remuxed, back) = (PathBuf::from(remuxed), PathBuf::from(back));
    assert_same("0:v:0", &remuxed, &back);
    if audio {
        assert_same("0:a:0", &remuxed, &back);
    }
}

#[test]
fn the_street_camera_comes_back_frame_for_frame() {
    goes_through_unchanged(&harness::file("pipelines/street.mp4"), false);
}

#[test]
fn a_movie_with_b_frames_and_sound_comes_back_frame_for_frame() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let movie = folder.path().join("movie.mp4");
    let path = movie.to_str().expect("a path that is text");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=1280x720:rate=30:duration=60",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:beep_factor=4:sample_rate=48000:duration=60",
        "-pix_fmt",
        "yuv420p",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-bf",
        "3",
        "-g",
        "60",
        "-c:a",
        "aac",
        "-b:a",
        "128k",
        path,
    ]);
    goes_through_unchanged(&movie, true);
}

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

/// One elementary stream of a movie.
struct Branch {
    /// Its pad at the demuxer.
    pad: &'static str,
    /// What stands between demuxer and muxer in the plain remux.
    remuxed: &'static str,
    /// What stands between demuxer and kvssink.
    sent: &'static str,
}

impl Branch {
    /// Parsed alike on both ways.
    const fn parsed(pad: &'static str, parser: &'static str) -> Self {
        Self {
            pad,
            remuxed: parser,
            sent: parser,
        }
    }
}

/// Sends a movie through the service and back, and compares with what GStreamer itself remuxes.
fn goes_through_unchanged(movie: &Path, branches: &[Branch]) {
    let server = harness::Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (remuxed, back) = (file("remuxed.mkv"), file("back.mkv"));

    let is_mp4 = movie
        .extension()
        .is_some_and(|extension| extension == "mp4");
    let demuxer = if is_mp4 { "qtdemux" } else { "matroskademux" };
    let source = format!("filesrc location={} ! {demuxer} name=d", movie.display());
    // One line serves both ways: the same branches from `d`, to the same pads of `k`.
    let line = |between: &dyn Fn(&Branch) -> &'static str| {
        let lines = branches.iter().map(|branch| {
            let (pad, between) = (branch.pad, between(branch));
            format!("d.{pad} ! queue ! {between} k.{pad} ")
        });
        lines.collect::<String>()
    };
    let file_sink = |path: &str| format!("matroskamux name=k ! filesink location={path}");
    let connection = format!("stream-name=exact endpoint={}", server.url());

    let plain = line(&|branch| branch.remuxed);
    Run::to_end(&format!("{source} {plain} {}", file_sink(&remuxed)));
    let sent = line(&|branch| branch.sent);
    Run::to_end(&format!(
        "{source} kvssink name=k {connection} streaming-type=offline {sent}"
    ));
    let read = line(&|_| "");
    Run::to_end(&format!(
        "kvssrc name=d {connection} mode=archive {read} {}",
        file_sink(&back)
    ));

    let (remuxed, back) = (PathBuf::from(remuxed), PathBuf::from(back));
    for branch in branches {
        let stream = if branch.pad.starts_with("video") {
            "0:v:0"
        } else {
            "0:a:0"
        };
        assert_same(stream, &remuxed, &back);
    }
}

/// A movie of these seconds, coded as ffmpeg is told.
fn movie(folder: &Path, name: &str, seconds: u32, coded: &[&str]) -> PathBuf {
    let movie = folder.join(name);
    let path = movie.to_str().expect("a path that is text");
    let video = format!("testsrc2=size=640x360:rate=30:duration={seconds}");
    let sound = format!("sine=frequency=440:beep_factor=4:sample_rate=48000:duration={seconds}");
    let sources = ["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &sound];
    let format = ["-pix_fmt", "yuv420p"];
    ffmpeg(&[&sources[..], &format, coded, &[path]].concat());
    movie
}

const H264: &[&str] = &[
    "-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "60",
];
const H265: &[&str] = &[
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "log-level=error:keyint=30:bframes=3",
];

#[test]
fn the_street_camera_comes_back_frame_for_frame() {
    let street = harness::file("pipelines/street.mp4");
    goes_through_unchanged(&street, &[Branch::parsed("video_0", "h264parse !")]);
}

#[test]
fn a_movie_with_b_frames_and_sound_comes_back_frame_for_frame() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let coded = [H264, &["-c:a", "aac", "-b:a", "128k"]].concat();
    let movie = movie(folder.path(), "movie.mp4", 60, &coded);
    let branches = [
        Branch::parsed("video_0", "h264parse !"),
        Branch::parsed("audio_0", "aacparse !"),
    ];
    goes_through_unchanged(&movie, &branches);
}

#[test]
fn h264_in_every_form_comes_back_frame_for_frame() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let movie = movie(folder.path(), "movie.mp4", 3, &[H264, &["-an"]].concat());
    for sent in [
        "h264parse ! video/x-h264,stream-format=avc,alignment=au !",
        "h264parse ! video/x-h264,stream-format=avc3,alignment=au !",
        "h264parse ! video/x-h264,stream-format=byte-stream,alignment=au !",
        "h264parse ! video/x-h264,stream-format=byte-stream,alignment=nal !",
    ] {
        let remuxed = "h264parse !";
        let pad = "video_0";
        goes_through_unchanged(&movie, &[Branch { pad, remuxed, sent }]);
    }
}

#[test]
fn h265_in_every_form_comes_back_frame_for_frame() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let movie = movie(folder.path(), "movie.mkv", 3, &[H265, &["-an"]].concat());
    for sent in [
        "",
        "h265parse ! video/x-h265,stream-format=hvc1,alignment=au !",
        "h265parse ! video/x-h265,stream-format=hev1,alignment=au !",
        "h265parse ! video/x-h265,stream-format=byte-stream,alignment=au !",
        "h265parse ! video/x-h265,stream-format=byte-stream,alignment=nal !",
    ] {
        let remuxed = "h265parse !";
        let pad = "video_0";
        goes_through_unchanged(&movie, &[Branch { pad, remuxed, sent }]);
    }
}

#[test]
fn jpeg_and_opus_come_back_frame_for_frame() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // So long that the last packet is full: what a decoder is to leave out of it has no place in
    // the service's profile of Matroska.
    let coded = ["-c:v", "mjpeg", "-c:a", "libopus", "-t", "2.9935"];
    let movie = movie(folder.path(), "movie.mkv", 3, &coded);
    let branches = [
        Branch::parsed("video_0", "jpegparse !"),
        Branch::parsed("audio_0", "opusparse !"),
    ];
    goes_through_unchanged(&movie, &branches);
}

#[test]
fn aac_with_adts_headers_comes_back_frame_for_frame() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let coded = ["-vn", "-c:a", "aac"];
    let movie = movie(folder.path(), "sound.mp4", 3, &coded);
    let adts = Branch {
        pad: "audio_0",
        remuxed: "aacparse ! audio/mpeg,stream-format=adts ! aacparse \
                  ! audio/mpeg,stream-format=raw !",
        sent: "aacparse ! audio/mpeg,stream-format=adts !",
    };
    goes_through_unchanged(&movie, &[adts]);
}

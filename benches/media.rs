//! The movie that the benchmarks share.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How long the movie is.
pub(crate) const SECONDS: u32 = 30;

/// Makes the movie once, 1080p30 at 4 Mb/s: a moving picture with noise, so that the rate is used.
pub(crate) fn movie(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let movie = folder.join("1080p30.mp4");
    if !movie.exists() {
        let picture = format!("testsrc2=size=1920x1080:rate=30:duration={SECONDS},noise=alls=8");
        let made = Command::new("ffmpeg")
            .args([
                "-nostdin",
                "-loglevel",
                "error",
                "-f",
                "lavfi",
                "-i",
                &picture,
            ])
            .args([
                "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-bf", "0",
            ])
            .args(["-b:v", "4M", "-maxrate", "4M", "-bufsize", "4M", "-g", "60"])
            .arg(&movie)
            .status()?;
        if !made.success() {
            return Err("ffmpeg could not make the movie: run ./setup.sh".into());
        }
    }
    Ok(movie)
}

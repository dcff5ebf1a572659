//! What the demo was asked to do.

use std::time::Duration;

/// The command line, parsed.
pub(crate) struct Options {
    /// The server's base URL.
    pub(crate) endpoint: String,
    /// The stream to record into and to play from.
    pub(crate) stream: String,
    /// When to stop by itself.
    pub(crate) seconds: Option<Duration>,
    /// Where the media comes from.
    pub(crate) source: Source,
}

/// A place that media comes from.
pub(crate) enum Source {
    /// An RTSP camera, by URL.
    Rtsp(String),
    /// A V4L2 device.
    Device(String),
    /// A movie, played once at its own pace.
    File(String),
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut endpoint, mut stream, mut seconds, mut source) = (None, None, None, None);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--endpoint" => endpoint = Some(value()?),
                "--stream" => stream = Some(value()?),
                "--seconds" => {
                    let text = value()?;
                    let number = text
                        .parse()
                        .map_err(|_| format!("--seconds {text}: a number"))?;
                    seconds = Some(Duration::from_secs(number));
                }
                place if place.starts_with("rtsp://") => source = Some(Source::Rtsp(place.into())),
                place if place.starts_with("/dev/") => source = Some(Source::Device(place.into())),
                file => source = Some(Source::File(file.into())),
            }
        }
        Ok(Self {
            endpoint: endpoint.ok_or("--endpoint URL is missing")?,
            stream: stream.ok_or("--stream NAME is missing")?,
            seconds,
            source: source.ok_or("name a source: rtsp://…, /dev/video0 or a file")?,
        })
    }
}

//! Media made for a test: a movie of as many fragments as are asked for.

use bytes::Bytes;
use kvs_media::mkv::{Demuxer, Event, Limits, Muxer, MuxerSettings, Tag};
use kvs_media::{
    AudioFormat, Frame, FrameData, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat,
};

/// When every movie begins.
pub(crate) const START_MS: u64 = 1_700_000_000_000;
/// Frames a second apart by this, five a fragment.
pub(crate) const FRAME_MS: u64 = 200;
pub(crate) const FRAMES: u64 = 5;
pub(crate) const FRAGMENT_MS: u64 = FRAMES * FRAME_MS;

/// Writes a movie piece by piece.
pub(crate) struct Movie {
    muxer: Muxer,
    pub(crate) frame_bytes: usize,
}

pub(crate) fn track(number: u64) -> Track {
    let kind = match number {
        1 => TrackKind::Video(VideoFormat {
            width: 640,
            height: 480,
        }),
        _ => TrackKind::Audio(AudioFormat {
            sample_rate: 8000.0,
            channels: 1,
            bit_depth: None,
        }),
    };
    Track {
        number: TrackNumber::new(number).expect("a track number"),
        kind,
        name: None,
        codec_id: if number == 1 {
            "V_MPEG4/ISO/AVC"
        } else {
            "A_AAC"
        }
        .into(),
        codec_private: Some(Bytes::from_static(b"private")),
    }
}

pub(crate) fn frame(track: u64, time_ms: u64, bytes: usize) -> Frame {
    // Content that tells where it belongs.
    let data: Vec<u8> = (0..bytes)
        .map(|at| (time_ms as usize + track as usize + at) as u8)
        .collect();
    Frame {
        track: TrackNumber::new(track).expect("a track number"),
        time: ProducerTime::from_ms(time_ms),
        decode_time: None,
        duration_ns: None,
        key: true,
        data: FrameData::from(Bytes::from(data)),
    }
}

impl Movie {
    pub(crate) fn new() -> Self {
        Self::of_tracks(&[track(1)])
    }

    pub(crate) fn of_tracks(tracks: &[Track]) -> Self {
        let settings = MuxerSettings {
            timecode_scale_ns: 1_000_000,
            title: "test".into(),
            writing_app: "test".into(),
            segment_uid: [7; 16],
            ..MuxerSettings::default()
        };
        let muxer = Muxer::new(tracks, &settings).expect("good tracks");
        Self {
            muxer,
            frame_bytes: 1000,
        }
    }

    pub(crate) fn header(&self) -> Vec<u8> {
        self.muxer.header().to_vec()
    }

    /// The beginning of a cluster.
    pub(crate) fn cluster(&mut self, start_ms: u64) -> Vec<u8> {
        let mut out = Vec::new();
        self.muxer
            .begin_cluster(ProducerTime::from_ms(start_ms), &mut out);
        out.concat()
    }

    /// One frame.
    pub(crate) fn frame(&mut self, track: u64, time_ms: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let frame = frame(track, time_ms, self.frame_bytes);
        self.muxer
            .frame(&frame, &mut out)
            .expect("a frame that fits");
        out.concat()
    }

    /// A whole cluster: the `index`th fragment, of track 1 only.
    pub(crate) fn fragment(&mut self, index: u64) -> Vec<u8> {
        let start_ms = START_MS + index * FRAGMENT_MS;
        let mut out = self.cluster(start_ms);
        for at in 0..FRAMES {
            out.extend(self.frame(1, start_ms + at * FRAME_MS));
        }
        out
    }

    pub(crate) fn tags(&mut self, tags: &[(&str, &str)]) -> Vec<u8> {
        let tags: Vec<_> = tags
            .iter()
            .map(|(name, value)| Tag::new(*name, *value))
            .collect();
        let mut out = Vec::new();
        self.muxer.tags(&tags, &mut out);
        out.concat()
    }

    pub(crate) fn end_of_fragment(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.muxer.end_of_fragment(&mut out);
        out.concat()
    }
}

/// A body of that many fragments.
pub(crate) fn body(fragments: u64) -> Vec<u8> {
    let mut movie = Movie::new();
    let mut body = movie.header();
    for index in 0..fragments {
        body.extend(movie.fragment(index));
    }
    body
}

/// One chunk of GetMedia, taken apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) number: String,
    pub(crate) tags: Vec<Tag>,
    pub(crate) frames: Vec<Frame>,
    /// Everything of it, as it came.
    pub(crate) bytes: Vec<u8>,
}

impl Chunk {
    pub(crate) fn tag(&self, name: &str) -> Option<&str> {
        self.tags
            .iter()
            .find(|tag| tag.name == name)
            .map(|tag| tag.value.as_str())
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.tag("AWS_KINESISVIDEO_CONTINUATION_TOKEN").is_some()
    }

    pub(crate) fn first_ms(&self) -> u64 {
        self.frames.first().map_or(0, |frame| frame.time.as_ms())
    }
}

/// Takes the body of a GetMedia apart.
pub(crate) fn chunks(body: &[u8]) -> Vec<Chunk> {
    take_apart(body, true)
}

/// The same of one that broke off anywhere.
pub(crate) fn chunks_so_far(body: &[u8]) -> Vec<Chunk> {
    take_apart(body, false)
}

fn take_apart(body: &[u8], is_all: bool) -> Vec<Chunk> {
    let mut demuxer = Demuxer::new(Limits::default());
    demuxer.push(Bytes::copy_from_slice(body));
    let mut chunks: Vec<(usize, Chunk)> = Vec::new();
    let mut ended = false;
    loop {
        let event = if ended {
            demuxer.finish()
        } else {
            demuxer.next()
        };
        match event.expect("what the server sends is Matroska") {
            Some(Event::Document { offset }) => chunks.push((offset as usize, Chunk::default())),
            Some(Event::Frame(frame)) => {
                chunks
                    .last_mut()
                    .expect("in a document")
                    .1
                    .frames
                    .push(frame);
            }
            Some(Event::Tags { tags, .. }) => {
                chunks
                    .last_mut()
                    .expect("in a document")
                    .1
                    .tags
                    .extend(tags);
            }
            Some(_) => {}
            None if ended || !is_all => break,
            None => ended = true,
        }
    }
    let ends: Vec<_> = chunks
        .iter()
        .skip(1)
        .map(|(at, _)| *at)
        .chain([body.len()])
        .collect();
    let apart = chunks
        .into_iter()
        .zip(ends)
        .map(|((start, chunk), end)| Chunk {
            number: chunk
                .tag("AWS_KINESISVIDEO_FRAGMENT_NUMBER")
                .unwrap_or_default()
                .into(),
            bytes: body[start..end].to_vec(),
            ..chunk
        });
    apart.collect()
}

/// How many whole frames the beginning of a body holds.
pub(crate) fn frames_so_far(body: &[u8]) -> usize {
    let mut demuxer = Demuxer::new(Limits::default());
    demuxer.push(Bytes::copy_from_slice(body));
    let mut frames = 0;
    while let Some(event) = demuxer.next().expect("what the server sends is Matroska") {
        frames += usize::from(matches!(event, Event::Frame(_)));
    }
    frames
}

//! A camera for tests: one PutMedia session, frame by frame, with the acks it gets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use kvs_media::mkv::{Muxer, MuxerSettings, Tag};
use kvs_media::{
    AudioFormat, Frame, FrameData, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat,
};

/// High, level 3.1, 768 × 576.
const AVCC: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x17, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xb3, 0x01, 0x80,
    0x24, 0xd0, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x0a, 0x07, 0x8c, 0x19, 0x34, 0x01,
    0x00, 0x06, 0x68, 0xe9, 0x71, 0x4b, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

/// How long a server may take for an ack before the test fails.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn number(number: u64) -> TrackNumber {
    TrackNumber::new(number).expect("a track number")
}

/// H.264 as track 1.
pub(super) fn video() -> Track {
    Track {
        number: number(1),
        kind: TrackKind::Video(VideoFormat {
            width: 768,
            height: 576,
        }),
        name: None,
        codec_id: "V_MPEG4/ISO/AVC".into(),
        codec_private: Some(Bytes::from_static(AVCC)),
    }
}

/// AAC as track 2.
pub(super) fn audio() -> Track {
    Track {
        number: number(2),
        kind: TrackKind::Audio(AudioFormat {
            sample_rate: 48_000.0,
            channels: 2,
            bit_depth: None,
        }),
        name: None,
        codec_id: "A_AAC".into(),
        codec_private: Some(Bytes::from_static(&[0x11, 0x90])),
    }
}

/// A frame whose bytes tell its track and time.
pub(super) fn frame(track: u64, time_ms: u64, key: bool) -> Frame {
    Frame {
        track: number(track),
        time: ProducerTime::from_ms(time_ms),
        decode_time: None,
        duration_ns: None,
        key,
        data: FrameData::from(Bytes::from(payload(track, time_ms))),
    }
}

/// What is in a frame of this track and time.
pub(super) fn payload(track: u64, time_ms: u64) -> Vec<u8> {
    format!("frame of track {track} at {time_ms} ms").into_bytes()
}

/// A session that sends.
pub(super) struct Camera {
    socket: TcpStream,
    muxer: Muxer,
    fragments: usize,
    acks: String,
}

impl Camera {
    /// Opens a session and sends the header.
    pub(super) fn open(server: SocketAddr, stream: &str, tracks: &[Track]) -> Self {
        let muxer = Muxer::new(tracks, &MuxerSettings::default()).expect("tracks can be muxed");
        let mut socket = TcpStream::connect(server).expect("the server listens");
        socket
            .set_read_timeout(Some(ACK_TIMEOUT))
            .expect("a timeout can be set");
        write!(
            socket,
            "POST /putMedia HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\
             Transfer-Encoding: chunked\r\nx-amzn-stream-name: {stream}\r\n\
             x-amzn-fragment-timecode-type: ABSOLUTE\r\n\
             x-amzn-producer-start-timestamp: 0.000\r\n\r\n"
        )
        .expect("the server reads");
        let mut camera = Self {
            socket,
            muxer,
            fragments: 0,
            acks: String::new(),
        };
        let header = camera.muxer.header();
        camera.send(&[header]);
        camera
    }

    /// Begins a fragment with these frames.
    pub(super) fn fragment(&mut self, frames: &[Frame]) {
        let mut out = Vec::new();
        let start = frames
            .iter()
            .map(|frame| frame.time)
            .min()
            .expect("a fragment has frames");
        self.muxer.begin_cluster(start, &mut out);
        self.fragments += 1;
        self.send(&out);
        self.frames(frames);
    }

    /// Sends more frames of the fragment.
    pub(super) fn frames(&mut self, frames: &[Frame]) {
        let mut out = Vec::new();
        for frame in frames {
            self.muxer
                .frame(frame, &mut out)
                .expect("the frame can be muxed");
        }
        self.send(&out);
    }

    /// Sends metadata of the fragment.
    pub(super) fn tags(&mut self, tags: &[Tag]) {
        let mut out = Vec::new();
        self.muxer.tags(tags, &mut out);
        self.send(&out);
    }

    /// Sends one fragment, waits until it is stored, and ends the session.
    pub(super) fn whole(mut self, frames: &[Frame]) {
        self.fragment(frames);
        self.end_of_fragment();
        self.socket
            .write_all(b"0\r\n\r\n")
            .expect("the server reads");
        let mut rest = Vec::new();
        self.socket
            .read_to_end(&mut rest)
            .expect("the server ends the session");
    }

    /// Ends the fragment without another one, and waits until all are stored.
    pub(super) fn end_of_fragment(&mut self) {
        let mut out = Vec::new();
        self.muxer.end_of_fragment(&mut out);
        self.send(&out);
        let mut bytes = [0; 4096];
        while self.acks.matches("PERSISTED").count() < self.fragments {
            let count = self.socket.read(&mut bytes).expect("acks arrive");
            assert_ne!(count, 0, "the server ended the session: {}", self.acks);
            self.acks
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    fn send(&mut self, pieces: &[Bytes]) {
        let bytes: Vec<u8> = pieces.iter().flatten().copied().collect();
        write!(self.socket, "{:x}\r\n", bytes.len()).expect("the server reads");
        self.socket.write_all(&bytes).expect("the server reads");
        self.socket.write_all(b"\r\n").expect("the server reads");
    }
}

//! A service made of fragments in memory, for tests: it gives them as the real one does, and
//! fails as told.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use kvs_media::mkv::{Muxer, MuxerSettings, Tag, empty_document, tags_element};
use kvs_media::{Frame, FrameData, ProducerTime, Track, TrackKind, TrackNumber, VideoFormat};
use kvs_protocol::{FragmentNumber, Timestamp};

use super::archive::RangeClock;
use super::item::{FragmentInfo, Item};
use super::listing::{Listed, Page, Window};
use super::live::Start;
use super::media::{Body, Media, Opening, Paging};
use super::stale::Stale;
use crate::jitter::Jitter;
use crate::service_error::{ErrorKind, ServiceError};

/// 2023-11-14, in milliseconds.
pub(super) const EPOCH_MS: u64 = 1_700_000_000_000;

/// One fragment as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) info: FragmentInfo,
    pub(super) frames: Vec<Frame>,
    pub(super) tags: Vec<Tag>,
    /// What is given for it instead of its chunk.
    pub(super) instead: Option<Vec<u8>>,
}

pub(super) fn track(number: u64) -> TrackNumber {
    TrackNumber::new(number).expect("a track number")
}

pub(super) fn tracks() -> Vec<Track> {
    [1, 2]
        .map(|number| Track {
            number: track(number),
            kind: TrackKind::Video(VideoFormat {
                width: 64,
                height: 48,
            }),
            name: None,
            codec_id: "V_MPEG4/ISO/AVC".to_owned(),
            codec_private: None,
        })
        .to_vec()
}

/// A fragment of `frames` frames on each of two tracks, every 40 ms.
pub(super) fn stored(number: u64, producer_ms: u64, frames: u64) -> Stored {
    let frame = |index: u64, of: u64| Frame {
        track: track(of),
        time: ProducerTime::from_ms(producer_ms + index * 40),
        decode_time: None,
        duration_ns: None,
        key: index == 0,
        data: FrameData::from(Bytes::from(format!("{number}/{of}/{index}"))),
    };
    Stored {
        info: FragmentInfo {
            number: number.to_string().parse().expect("a number"),
            server_time: Timestamp::from_ms(producer_ms + 250),
            producer_time: Timestamp::from_ms(producer_ms),
        },
        frames: (0..frames)
            .flat_map(|index| [frame(index, 1), frame(index, 2)])
            .collect(),
        tags: vec![Tag::new("camera", format!("front {number}"))],
        instead: None,
    }
}

/// `count` fragments of 10 frames a track, one every 400 ms.
pub(super) fn recording(count: u64) -> Vec<Stored> {
    (0..count)
        .map(|index| stored(100 + index, EPOCH_MS + index * 400, 10))
        .collect()
}

impl Stored {
    /// The chunk of GetMedia, or, without the tags behind the cluster, of the archive.
    pub(super) fn chunk(&self, live: bool) -> Vec<u8> {
        if let Some(instead) = &self.instead {
            return instead.clone();
        }
        let tracks = tracks();
        let mut muxer = Muxer::new(&tracks, &MuxerSettings::default()).expect("two tracks");
        let service_tag =
            |name: &str, value: String| Tag::new(format!("AWS_KINESISVIDEO_{name}"), value);
        let mut pieces = vec![muxer.header()];
        pieces.push(tags_element(&[
            service_tag("FRAGMENT_NUMBER", self.info.number.to_string()),
            service_tag("SERVER_TIMESTAMP", self.info.server_time.to_string()),
            service_tag("PRODUCER_TIMESTAMP", self.info.producer_time.to_string()),
        ]));
        muxer.begin_cluster(
            ProducerTime::from_ms(self.info.producer_time.as_ms()),
            &mut pieces,
        );
        for frame in &self.frames {
            muxer
                .frame(frame, &mut pieces)
                .expect("a frame of the cluster");
        }
        pieces.push(tags_element(&self.tags));
        if live {
            pieces.push(tags_element(&[
                service_tag("MILLIS_BEHIND_NOW", "274".to_owned()),
                service_tag("CONTINUATION_TOKEN", self.info.number.to_string()),
            ]));
        }
        pieces.concat()
    }

    pub(super) fn listed(&self) -> Listed {
        let last = self.frames.last().map_or(0, |frame| frame.time.as_ms());
        Listed {
            number: self.info.number.clone(),
            server_time: self.info.server_time,
            producer_time: self.info.producer_time,
            length_ms: last.saturating_sub(self.info.producer_time.as_ms()),
            bytes: self.chunk(false).len() as u64,
        }
    }
}

/// The chunk of a fragment whose last block is of a track that nobody declared.
pub(super) fn odd_chunk(stored: &Stored) -> Vec<u8> {
    let mut chunk = stored.chunk(true);
    let last = stored.frames.last().expect("a frame").data.to_bytes();
    let payload = chunk.windows(last.len()).rposition(|window| window == last);
    // Track number, relative time and flags stand before the payload.
    chunk[payload.expect("the last frame is there") - 4] = 0x80 | 9;
    chunk
}

/// An error chunk, as it has been seen of the service.
pub(super) fn error_chunk(id: u32, code: &str) -> Vec<u8> {
    let tags = tags_element(&[
        Tag::new("AWS_KINESISVIDEO_ERROR_CODE", code),
        Tag::new("AWS_KINESISVIDEO_ERROR_ID", id.to_string()),
        Tag::new("AWS_KINESISVIDEO_FRAGMENT_NUMBER", "100"),
    ]);
    [empty_document(), tags].concat()
}

/// The dice of a test, which names its seed when it fails.
#[derive(Debug)]
pub(super) struct Dice(Jitter);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Jitter::new(seed))
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0.number() as usize % bound.max(1)
    }
}

/// What becomes of one response.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// Given whole, then ended in good order.
    Whole,
    /// Ended in good order after so many bytes.
    EndedAfter(usize),
    /// Broken off with an error after so many bytes.
    CutAfter(usize),
    /// Given whole, then silence.
    Silent,
    /// So many whole fragments, then an error chunk.
    ErrorChunk(usize, u32),
    /// No response.
    Refused(ErrorKind),
    /// The range ends before the retention period, as AWS says it.
    Expired,
}

impl Fate {
    /// What there is instead of a response.
    fn refusal(self) -> Option<ServiceError> {
        match self {
            Self::Refused(kind) => Some(ServiceError::new(kind, format!("refused: {kind:?}"))),
            Self::Expired => Some(ServiceError::from_answer(
                "ListFragments",
                400,
                Some("InvalidArgumentException"),
                "End timestamp 1628880000000 is outside of the stream retention period.",
            )),
            _ => None,
        }
    }
}

/// Decides on the fate of a response.
type Decider = Box<dyn FnMut(&Request) -> Fate + Send>;

/// The service: its fragments, and who decides on the fate of a response.
pub(super) struct Scripted {
    pub(super) stored: Mutex<Vec<Stored>>,
    fate: Mutex<Decider>,
    pub(super) requests: Mutex<Vec<Request>>,
    pub(super) forgotten: Mutex<Vec<Stale>>,
    /// How bytes are cut into pieces.
    dice: Mutex<Dice>,
    page_len: usize,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    Media(Start),
    Fragments(Vec<FragmentNumber>),
    List(Window),
}

impl Scripted {
    pub(super) fn new(
        stored: Vec<Stored>,
        fate: impl FnMut(&Request) -> Fate + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            stored: Mutex::new(stored),
            fate: Mutex::new(Box::new(fate)),
            requests: Mutex::default(),
            forgotten: Mutex::default(),
            dice: Mutex::new(Dice::new(7)),
            page_len: 3,
        })
    }

    pub(super) fn media_requests(&self) -> Vec<Start> {
        let requests = self.requests.lock().expect("no panic while locked");
        let start = |request: &Request| match request {
            Request::Media(start) => Some(start.clone()),
            _ => None,
        };
        requests.iter().filter_map(start).collect()
    }

    pub(super) fn replace_chunk(&self, number: &str, chunk: Vec<u8>) {
        let mut stored = self.stored.lock().expect("no panic while locked");
        let found = stored
            .iter_mut()
            .find(|stored| stored.info.number.as_str() == number);
        found.expect("a fragment of that number").instead = Some(chunk);
    }

    fn fate(&self, request: Request) -> Fate {
        let fate = (self.fate.lock().expect("no panic while locked"))(&request);
        self.requests
            .lock()
            .expect("no panic while locked")
            .push(request);
        fate
    }

    fn respond(&self, fate: Fate, chunks: Vec<Vec<u8>>) -> Opening {
        let network = || ServiceError::new(ErrorKind::Network, "cut".to_owned());
        if let Some(error) = fate.refusal() {
            return async move { Err(error) }.boxed();
        }
        let (count, error, silent) = match fate {
            Fate::ErrorChunk(whole, id) => {
                let mut bytes = chunks.into_iter().take(whole).flatten().collect::<Vec<_>>();
                bytes.extend(error_chunk(id, "SCRIPTED"));
                return self.pieces(bytes, None, false);
            }
            Fate::Whole | Fate::Refused(_) | Fate::Expired => (usize::MAX, None, false),
            Fate::Silent => (usize::MAX, None, true),
            Fate::EndedAfter(count) => (count, None, false),
            Fate::CutAfter(count) => (count, Some(network()), false),
        };
        let bytes = chunks.into_iter().flatten().take(count).collect();
        self.pieces(bytes, error, silent)
    }

    fn pieces(&self, bytes: Vec<u8>, error: Option<ServiceError>, silent: bool) -> Opening {
        let mut dice = self.dice.lock().expect("no panic while locked");
        let mut rest = Bytes::from(bytes);
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let len = (1 + dice.below(300)).min(rest.len());
            pieces.push(Ok(rest.split_to(len)));
        }
        pieces.extend(error.map(Err));
        let body: Body = match silent {
            false => stream::iter(pieces).boxed(),
            true => stream::iter(pieces).chain(stream::pending()).boxed(),
        };
        async move { Ok(body) }.boxed()
    }
}

impl Media for Scripted {
    fn get_media(&self, start: Start) -> Opening {
        let fate = self.fate(Request::Media(start.clone()));
        let stored = self.stored.lock().expect("no panic while locked");
        let number = |text: &str| text.parse::<FragmentNumber>().expect("a token of ours");
        let later = |stored: &Stored| match &start {
            Start::Earliest => true,
            Start::Now => stored.info.number >= number("105"),
            Start::AfterFragment(after) => stored.info.number > *after,
            Start::Continuation(token) => stored.info.number > number(token),
            // Like the real one, this gives the fragment before as well if it reaches into it.
            Start::ServerTime(at) => stored.info.server_time.as_ms() + 400 >= at.as_ms(),
            Start::ProducerTime(at) => stored.info.producer_time.as_ms() + 400 > at.as_ms(),
        };
        let chunks = stored
            .iter()
            .filter(|stored| later(stored))
            .map(|stored| stored.chunk(true));
        self.respond(fate, chunks.collect())
    }

    fn list_fragments(&self, window: Window, clock: RangeClock, token: Option<String>) -> Paging {
        if let Some(error) = self.fate(Request::List(window)).refusal() {
            return async move { Err(error) }.boxed();
        }
        let stored = self.stored.lock().expect("no panic while locked");
        let time = |stored: &Stored| match clock {
            RangeClock::Producer => stored.info.producer_time,
            RangeClock::Server => stored.info.server_time,
        };
        let mut inside: Vec<_> = stored
            .iter()
            .filter(|stored| (window.from..=window.to).contains(&time(stored)))
            .map(Stored::listed)
            .collect();
        // Unordered by contract.
        inside.sort_by_key(|listed| listed.number.to_string().chars().rev().collect::<String>());
        let begin = token.map_or(0, |token| token.parse::<usize>().expect("a token of ours"));
        let end = (begin + self.page_len).min(inside.len());
        let page = Page {
            fragments: inside[begin..end].to_vec(),
            next_token: (end < inside.len()).then(|| end.to_string()),
        };
        async move { Ok(page) }.boxed()
    }

    fn get_fragments(&self, numbers: Vec<FragmentNumber>) -> Opening {
        let fate = self.fate(Request::Fragments(numbers.clone()));
        let stored = self.stored.lock().expect("no panic while locked");
        let find =
            |number: &FragmentNumber| stored.iter().find(|stored| stored.info.number == *number);
        let chunks = numbers
            .iter()
            .filter_map(find)
            .map(|stored| stored.chunk(false))
            .collect();
        self.respond(fate, chunks)
    }

    fn forget(&self, stale: Stale) {
        self.forgotten
            .lock()
            .expect("no panic while locked")
            .push(stale);
    }
}

/// The frames among items.
pub(super) fn frames(items: &[Item]) -> Vec<Frame> {
    let frame = |item: &Item| match item {
        Item::Frame { frame, .. } => Some(frame.clone()),
        _ => None,
    };
    items.iter().filter_map(frame).collect()
}

/// The frames of fragments.
pub(super) fn all_frames(stored: &[Stored]) -> Vec<Frame> {
    stored
        .iter()
        .flat_map(|stored| stored.frames.clone())
        .collect()
}

/// Runs a test in virtual time.
pub(super) fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(test)
}

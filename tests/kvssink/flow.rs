//! Time that is missing, stands still or steps: every frame arrives, or is told.

use gst::prelude::*;
use kvs_media::Frame;

use super::FRAMES;
use super::fed::{Fed, Film, PACKETS, START_MS, packet, phone};
use crate::harness::{self, Run, Server};

fn since_start_ms(frames: &[Frame]) -> Vec<u64> {
    let times = frames.iter().map(|frame| frame.time.as_ms());
    times.map(|ms| ms - START_MS).collect()
}

#[test]
fn pictures_without_a_time_come_at_the_pace_of_their_caps() {
    let (fed, film) = (Fed::playing(), Film::new());
    let source = fed.source("video_0", &film.caps);
    for picture in &film.pictures {
        source.push(picture, None);
    }
    let stored = fed.end(&[&source]);
    let wanted: Vec<_> = (0..FRAMES as u64)
        .map(|n| n * 33_333_333 / 1_000_000)
        .collect();
    assert_eq!(since_start_ms(&stored.frames), wanted);
    assert_eq!(stored.fragments.len(), 4);
}

#[test]
fn a_packet_without_a_time_among_others_takes_its_place() {
    let fed = Fed::playing();
    let source = fed.source("audio_0", &phone());
    for n in 0..50 {
        source.push(&packet(), (n % 7 != 3).then_some(n * 100));
    }
    let stored = fed.end(&[&source]);
    let wanted: Vec<_> = (0..50).map(|n| n * 100).collect();
    assert_eq!(since_start_ms(&stored.frames), wanted);
}

#[test]
fn a_track_that_is_silent_for_half_a_minute_comes_back() {
    const MINUTE: u64 = 60 * PACKETS;
    const SILENCE: std::ops::Range<u64> = 10 * PACKETS..40 * PACKETS;
    let (fed, film) = (Fed::new(), Film::new());
    // Less than what waits for the sound, which must not be waited for.
    fed.sink.set_property("storage-size", 1u32);
    fed.set_state(gst::State::Playing);
    let video = fed.source("video_0", &film.caps);
    let audio = fed.source("audio_0", &phone());
    let mut packets = 0;
    for n in 0..MINUTE {
        video.push(&film.pictures[n as usize % FRAMES], n * 100);
        if !SILENCE.contains(&n) {
            audio.push(&packet(), n * 100);
            packets += 1;
        }
    }
    let stored = fed.end(&[&video, &audio]);
    assert_eq!(stored.frames_of(stored.video()).count() as u64, MINUTE);
    assert_eq!(stored.frames_of(stored.audio()).count(), packets);
    let times: Vec<_> = stored
        .frames_of(stored.audio())
        .map(|f| f.time.as_ms())
        .collect();
    assert_eq!(times.last(), Some(&(START_MS + 59_900)));
}

#[test]
fn a_live_track_that_is_silent_leaves_and_comes_back() {
    let (fed, film) = (Fed::new(), Film::new());
    fed.sink.set_property_from_str("streaming-type", "realtime");
    fed.set_state(gst::State::Playing);
    let video = fed.source("video_0", &film.caps);
    let audio = fed.source("audio_0", &phone());
    let send = |from_s: u64, to_s: u64, with_sound: bool| {
        for n in from_s * PACKETS..to_s * PACKETS {
            video.push(&film.pictures[n as usize % FRAMES], n * 100);
            if with_sound {
                audio.push(&packet(), n * 100);
            }
        }
    };
    send(0, 3, true);
    send(3, 33, false);
    // A fragment is a second and a half. Those that nobody waits for go up.
    while fed.stat("fragments-persisted") < 20 {
        fed.wait_for_text("kvs-fragment-ack", "type", "persisted");
    }
    send(33, 36, true);
    let stored = fed.end(&[&video, &audio]);
    assert_eq!(fed.stat("frames-dropped"), 0);
    assert_eq!(stored.frames.len() as u64, (36 + 6) * PACKETS);
    // With sound, without, and with it again.
    assert!(fed.stat("connections") >= 3);
}

#[test]
fn a_gap_says_that_nobody_needs_to_wait() {
    let (fed, film) = (Fed::playing(), Film::new());
    let video = fed.source("video_0", &film.caps);
    let audio = fed.source("audio_0", &phone());
    let pictures = |from_s: u64, to_s: u64| {
        for n in from_s * PACKETS..to_s * PACKETS {
            video.push(&film.pictures[n as usize % FRAMES], n * 100);
        }
    };
    (0..10).for_each(|n| audio.push(&packet(), n * 100));
    let gap = gst::event::Gap::builder(gst::ClockTime::from_seconds(1))
        .duration(gst::ClockTime::from_seconds(30));
    audio.event(gap.build());
    pictures(0, 31);
    while fed.stat("fragments-persisted") < 20 {
        fed.wait_for_text("kvs-fragment-ack", "type", "persisted");
    }
    (310..320).for_each(|n| audio.push(&packet(), n * 100));
    pictures(31, 32);
    let stored = fed.end(&[&video, &audio]);
    assert_eq!(stored.frames.len(), 320 + 20);
}

#[test]
fn input_that_is_looped_opens_a_session_each_time() {
    const ROUNDS: usize = 3;
    let (fed, film) = (Fed::playing(), Film::new());
    let source = fed.source("video_0", &film.caps);
    for _ in 0..ROUNDS {
        for (n, picture) in film.pictures.iter().enumerate() {
            source.push(picture, n as u64 * 40);
        }
    }
    let stored = fed.end(&[&source]);
    assert_eq!(stored.frames.len(), ROUNDS * FRAMES);
    assert_eq!(fed.stat("connections"), ROUNDS as u64);
    let round: Vec<_> = (0..FRAMES as u64).map(|n| n * 40).collect();
    assert_eq!(since_start_ms(&stored.frames), round.repeat(ROUNDS));
}

#[test]
fn a_flush_inside_a_group_of_pictures_loses_nothing_of_either_side() {
    let (fed, film) = (Fed::playing(), Film::new());
    let source = fed.source("video_0", &film.caps);
    for n in 0..20 {
        source.push(&film.pictures[n], n as u64 * 40);
    }
    source.flush();
    for n in 22..FRAMES {
        source.push(&film.pictures[n], n as u64 * 40);
    }
    let stored = fed.end(&[&source]);
    assert_eq!(stored.frames.len(), 20 + (FRAMES - 22));
    assert_eq!(fed.stat("connections"), 2);
}

#[test]
fn times_are_those_of_the_segment() {
    let (fed, film) = (Fed::playing(), Film::new());
    let source = fed.source("video_0", &film.caps);
    let hours_1000_ms = 3_600_000_000;
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_start(gst::ClockTime::from_mseconds(hours_1000_ms));
    segment.set_offset(gst::ClockTime::from_mseconds(500));
    segment.set_base(gst::ClockTime::from_seconds(7));
    source.segment(&segment);
    for n in 0..30 {
        source.push(&film.pictures[n], hours_1000_ms + 500 + n as u64 * 40);
    }
    // The next file of a playlist: its times begin anew, running time goes on.
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_base(gst::ClockTime::from_mseconds(7000 + 30 * 40));
    source.segment(&segment);
    for n in 30..FRAMES {
        source.push(&film.pictures[n], (n as u64 - 30) * 40);
    }
    let stored = fed.end(&[&source]);
    let wanted: Vec<_> = (0..FRAMES as u64).map(|n| 7000 + n * 40).collect();
    assert_eq!(since_start_ms(&stored.frames), wanted);
    assert_eq!(fed.stat("connections"), 1);
}

#[test]
fn a_flush_frees_a_source_that_waits_for_room() {
    let fed = Fed::new();
    fed.sink.set_property("storage-size", 1u32);
    fed.sink.set_property("endpoint", "http://127.0.0.1:9");
    fed.set_state(gst::State::Playing);
    let source = fed.source("audio_0", &phone());
    let ends = std::thread::scope(|scope| {
        let blocked = scope.spawn(|| {
            let second = gst::Buffer::from_slice([0x55; 64 << 10]);
            let pushed = (0..u64::MAX).map(|n| source.try_push(&second, n * 1000));
            pushed.skip_while(Result::is_ok).map(Result::err).next()
        });
        while fed.stat("buffered-bytes") < 1 << 20 {
            std::thread::yield_now();
        }
        assert!(
            fed.sink
                .static_pad("audio_0")
                .expect("it is there")
                .send_event(gst::event::FlushStart::new())
        );
        blocked.join().expect("it does not panic")
    });
    assert_eq!(ends, Some(Some(gst::FlowError::Flushing)));
}

#[test]
fn a_seek_in_a_file_that_is_uploaded_sends_what_came_and_goes_on_from_there() {
    /// Frames of the file, and how many go up before the seek.
    const FILE: u64 = 300;
    const BEFORE: u64 = 123;
    let server = Server::start();
    let mut run = Run::new(&format!(
        "filesrc location={} ! qtdemux ! kvssink name=k stream-name=cam streaming-type=offline \
         endpoint={}",
        harness::file("pipelines/street.mp4").display(),
        server.url()
    ));
    let sink = run.element("k");
    let pad = sink.request_pad_simple("video_0").expect("a pad");
    let (reached, reaches) = std::sync::mpsc::channel();
    let count = std::sync::atomic::AtomicU64::new(0);
    let probe = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
    pad.add_probe(probe, move |_, _| {
        if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == BEFORE {
            // Blocks here until the seek flushes.
            let _ = reached.send(());
            return gst::PadProbeReturn::Ok;
        }
        gst::PadProbeReturn::Pass
    });
    run.set_state(gst::State::Playing);
    let hang = std::time::Duration::from_secs(60);
    reaches.recv_timeout(hang).expect("so many frames");
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
    let sought = run.pipeline.seek_simple(flags, gst::ClockTime::ZERO);
    sought.expect("the file is seekable");
    run.wait_for_eos();
    let stats: gst::Structure = sink.property("stats");
    assert_eq!(stats.get::<u64>("frames"), Ok(BEFORE + FILE));
    assert_eq!(stats.get::<u64>("frames-persisted"), Ok(BEFORE + FILE));
    assert_eq!(stats.get::<u64>("connections"), Ok(2));
    assert_eq!(server.read_back("cam").frames.len() as u64, BEFORE + FILE);
}

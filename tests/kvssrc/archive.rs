//! `mode=archive`: ranges, ends, seeks.

use super::*;

fn archive<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("mode", "archive")], more].concat()
}

#[test]
fn a_whole_recording_comes_out_frame_for_frame() {
    let server = Server::start();
    server.recorded("cam", 5);
    let viewer = Viewer::play(&server.url(), "cam", &archive(&[]));
    let frames = viewer.until_eos();
    assert_eq!(payloads(&frames), video_payloads(0..5));
    let times: Vec<u64> = frames.iter().map(|(_, buffer)| pts_ms(buffer)).collect();
    let expected: Vec<u64> = (0..50).map(|n| n * 100).collect();
    assert_eq!(times, expected);
    assert!(frames.iter().all(|(_, buffer)| buffer.dts().is_none()));
    assert_eq!(viewer.stat("frames"), 50);
    assert_eq!(viewer.stat("fragments"), 5);
}

#[test]
fn a_range_begins_with_its_fragment_and_ends_at_its_frame() {
    let server = Server::start();
    server.recorded("cam", 6);
    let times = [
        ("start-time", "1700000002.5"),
        ("stop-time", "2023-11-14T22:13:24.3Z"),
    ];
    let viewer = Viewer::play(&server.url(), "cam", &archive(&times));
    let frames = viewer.until_eos();
    let expected: Vec<_> = video_payloads(2..5).into_iter().take(24).collect();
    assert_eq!(payloads(&frames), expected);
    assert_eq!(pts_ms(&frames[0].1), 0);
}

#[test]
fn an_empty_range_is_an_error_that_names_stream_and_range() {
    let server = Server::start();
    server.recorded("cam", 1);
    let times = [("start-time", "1600000000"), ("stop-time", "1600000060")];
    let viewer = Viewer::new(&server.url(), "cam", &archive(&times));
    viewer.set_state(gst::State::Playing);
    let error = viewer.error();
    assert!(error.matches(gst::ResourceError::NotFound), "{error}");
    for part in ["cam", "1600000000.000", "1600000060.000"] {
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn video_and_audio_have_pads_with_their_caps_and_both_clocks() {
    let server = Server::start();
    server.create("cam");
    let mut camera = Camera::open(server.address(), "cam", &[video(), audio()]);
    camera.fragment(&[
        frame(1, T0, true),
        frame(2, T0 + 5, true),
        frame(1, T0 + 40, false),
    ]);
    camera.tags(&[Tag::new("place", "door")]);
    camera.end_of_fragment();
    let viewer = Viewer::play(&server.url(), "cam", &archive(&[]));
    let mut seen = Vec::new();
    while seen.len() < 3 {
        if let Seen::Frame {
            pad, buffer, caps, ..
        } = viewer.next()
        {
            seen.push((pad, buffer, caps));
        }
    }
    seen.sort_by_key(|(_, buffer, _)| buffer.pts());
    let (_, buffer, caps) = &seen[0];
    let video_caps = caps.structure(0).expect("caps have a structure");
    assert_eq!(video_caps.name(), "video/x-h264");
    assert_eq!(video_caps.get("width"), Ok(768));
    assert_eq!(video_caps.get("profile"), Ok("high"));
    assert_eq!(reference(buffer, "timestamp/x-unix"), T0);
    assert!(reference(buffer, "timestamp/x-kvs-server") > T0);
    assert!(!buffer.flags().contains(gst::BufferFlags::DELTA_UNIT));
    let (pad, buffer, caps) = &seen[1];
    assert_eq!(
        (pad.as_str(), bytes(buffer)),
        ("audio_0", payload(2, T0 + 5))
    );
    assert_eq!(
        caps.structure(0).map(|s| s.name().as_str()),
        Some("audio/mpeg")
    );
    assert_eq!(reference(buffer, "timestamp/x-unix"), T0 + 5);
    assert!(seen[2].1.flags().contains(gst::BufferFlags::DELTA_UNIT));
}

fn reference(buffer: &gst::Buffer, clock: &str) -> u64 {
    buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find(|meta| {
            meta.reference()
                .structure(0)
                .is_some_and(|s| s.name() == clock)
        })
        .expect("every buffer has both clocks")
        .timestamp()
        .mseconds()
}

#[test]
fn a_codec_that_nobody_knows_is_named() {
    let server = Server::start();
    server.create("cam");
    let unknown = kvs_media::Track {
        codec_id: "A_FUTURE".into(),
        ..audio()
    };
    let mut camera = Camera::open(server.address(), "cam", &[video(), unknown]);
    camera.fragment(&[frame(1, T0, true), frame(2, T0, true)]);
    camera.end_of_fragment();
    let viewer = Viewer::play(&server.url(), "cam", &archive(&[]));
    let caps = viewer.find(|seen| match seen {
        Seen::Frame { pad, caps, .. } if pad == "audio_0" => Some(caps),
        Seen::Error { error } => panic!("{error}"),
        _ => None,
    });
    let structure = caps.structure(0).expect("caps have a structure");
    assert_eq!(structure.name(), "application/octet-stream");
    assert_eq!(structure.get("codec-id"), Ok("A_FUTURE"));
}

#[test]
fn a_track_that_left_gets_gaps_and_one_that_appears_a_pad() {
    let server = Server::start();
    server.create("cam");
    Camera::open(server.address(), "cam", &[video()]).whole(&second_of_video(0));
    let both = [frame(1, T0 + 1000, true), frame(2, T0 + 1005, true)];
    Camera::open(server.address(), "cam", &[video(), audio()]).whole(&both);
    Camera::open(server.address(), "cam", &[video()]).whole(&second_of_video(2));
    let viewer = Viewer::play(&server.url(), "cam", &archive(&[]));
    let frames = viewer.until_eos();
    let audio: Vec<_> = frames.iter().filter(|(pad, _)| pad == "audio_0").collect();
    assert_eq!(audio.len(), 1);
    assert_eq!(pts_ms(&audio[0].1), 1005);
    assert_eq!(frames.len(), 22);
}

#[test]
fn a_fragment_is_reported_with_its_metadata_once_it_has_left() {
    let server = Server::start();
    server.create("cam");
    let mut camera = Camera::open(server.address(), "cam", &[video()]);
    camera.fragment(&second_of_video(0));
    camera.tags(&[Tag::new("place", "door")]);
    camera.end_of_fragment();
    let viewer = Viewer::play(&server.url(), "cam", &archive(&[]));
    let message = viewer.message("kvs-fragment");
    let pad = viewer
        .element
        .static_pad("video_0")
        .expect("the pad is there");
    let tags = pad
        .sticky_event::<gst::event::Tag>(0)
        .expect("a TAG event came before");
    let comment = tags
        .tag_owned()
        .get::<gst::tags::ExtendedComment>()
        .map(|c| c.get().to_owned());
    assert_eq!(comment.as_deref(), Some("place=door"));
    assert_eq!(message.get::<u64>("producer-timestamp"), Ok(T0));
    assert!(
        message
            .get::<String>("fragment-number")
            .is_ok_and(|number| number.len() == 47)
    );
    let tags: gst::Structure = message.get("tags").expect("tags");
    assert_eq!(tags.get("place"), Ok("door"));
}

#[test]
fn duration_and_position_are_those_of_the_range() {
    let server = Server::start();
    server.recorded("cam", 5);
    let viewer = Viewer::new(&server.url(), "cam", &archive(&[]));
    viewer.set_state(gst::State::Paused);
    viewer.find(|seen| matches!(seen, Seen::NoMorePads).then_some(()));
    let duration: Option<gst::ClockTime> = viewer.element.query_duration();
    assert_eq!(duration, Some(gst::ClockTime::from_mseconds(4900)));
    let mut seeking = gst::query::Seeking::new(gst::Format::Time);
    assert!(viewer.element.query(&mut seeking));
    assert!(seeking.result().0, "the archive is seekable");
    viewer.set_state(gst::State::Playing);
    viewer.until_eos();
    let position: Option<gst::ClockTime> = viewer.element.query_position();
    assert_eq!(position, Some(gst::ClockTime::from_mseconds(4900)));
}

#[test]
fn a_key_unit_seek_snaps_to_the_fragment_and_an_accurate_one_does_not() {
    let server = Server::start();
    server.recorded("cam", 10);
    for (flags, start_ms) in [
        (gst::SeekFlags::KEY_UNIT, 7000),
        (gst::SeekFlags::ACCURATE, 7450),
    ] {
        let viewer = Viewer::play(&server.url(), "cam", &archive(&[]));
        viewer.until_eos();
        let to = gst::ClockTime::from_mseconds(7450);
        viewer
            .element
            .seek_simple(gst::SeekFlags::FLUSH | flags, to)
            .expect("the archive can be sought in");
        let segment = viewer.find(|seen| match seen {
            Seen::Frame {
                buffer, segment, ..
            } => {
                assert_eq!(bytes(&buffer), payload(1, T0 + 7000));
                Some(segment)
            }
            _ => None,
        });
        assert_eq!(
            segment.start(),
            Some(gst::ClockTime::from_mseconds(start_ms))
        );
        assert_eq!(segment.time(), segment.start());
        assert_eq!(viewer.until_eos().len(), 29);
    }
}

#[test]
fn seeks_while_playing_neither_hang_nor_mix_epochs() {
    let server = Server::start();
    server.recorded("cam", 10);
    let viewer = Viewer::play(&server.url(), "cam", &archive(&[]));
    viewer.frame();
    let mut last = None;
    for n in (0..10).rev().cycle().take(50) {
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
        let (set, none) = (gst::SeekType::Set, gst::SeekType::None);
        let to = gst::ClockTime::from_seconds(n);
        let seek = gst::event::Seek::new(1.0, flags, set, to, none, gst::ClockTime::NONE);
        last = Some(seek.seqnum());
        assert!(viewer.element.send_event(seek));
    }
    let frames = viewer.until_eos_of(|seqnum| Some(seqnum) == last);
    // The last seek went to the start, so all of it comes last, whatever came before.
    let all = video_payloads(0..10);
    assert_eq!(payloads(&frames[frames.len() - all.len()..]), all);
}

#[test]
fn a_seek_in_paused_prerolls_anew() {
    let server = Server::start();
    server.recorded("cam", 5);
    let viewer = Viewer::new(&server.url(), "cam", &archive(&[]));
    viewer.set_state(gst::State::Paused);
    viewer.prerolled();
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
    let to = gst::ClockTime::from_mseconds(3100);
    viewer.pipeline.seek_simple(flags, to).expect("a seek");
    viewer.prerolled();
    viewer.set_state(gst::State::Playing);
    assert_eq!(payloads(&viewer.until_eos()), video_payloads(3..5));
}

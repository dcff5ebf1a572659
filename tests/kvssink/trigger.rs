//! Upload on demand: what is around an event goes up, and nothing else.

use gst::prelude::*;

use super::fed::{Fed, Film, START_MS, Source};

/// Fragments of the film: half a second each.
const FRAGMENTS: u64 = 4;

fn fed() -> Fed {
    let fed = Fed::new();
    fed.sink.set_property_from_str("upload", "on-trigger");
    fed.set_state(gst::State::Playing);
    fed
}

/// The film four times, and a trigger behind the second; which fragments are stored.
fn stored(trigger: impl Fn(&Fed, &Source)) -> Vec<u64> {
    let (film, fed) = (Film::new(), fed());
    let video = fed.source("video_%u", &film.caps);
    for part in 0..4 {
        for (index, picture) in (0..).zip(&film.pictures) {
            video.push(picture, part * 2000 + index * 2000 / 60);
        }
        if part == 1 {
            trigger(&fed, &video);
        }
    }
    let stored = fed.end(&[&video]);
    assert_eq!(
        fed.stat("frames-dropped"),
        0,
        "what nobody asks for is no loss"
    );
    let time = |ms: u64| (ms - START_MS) * FRAGMENTS / 2000;
    let fragments = stored.fragments.iter();
    fragments
        .map(|f| time(f.producer_time.as_ms() + 100))
        .collect()
}

fn event() -> gst::Event {
    let structure = gst::Structure::builder("kvs-trigger")
        .field("before", gst::ClockTime::from_mseconds(800).nseconds())
        .field("after", gst::ClockTime::from_mseconds(300).nseconds());
    gst::event::CustomDownstream::new(structure.build())
}

#[test]
fn the_action_uploads_what_is_around_it() {
    // At 3.967 s: from the fragment of 3.167 on to that of 4.267.
    let found = stored(|fed, _| {
        let (before, after) = (800_000_000_u64, 300_000_000_u64);
        assert!(fed.sink.emit_by_name::<bool>("trigger", &[&before, &after]));
    });
    assert_eq!(found, [6, 7, 8]);
}

#[test]
fn an_event_in_the_stream_and_one_to_the_element_do_the_same() {
    assert_eq!(stored(|_, video| video.event(event())), [6, 7, 8]);
    let found = stored(|fed, _| assert!(fed.sink.send_event(event())));
    assert_eq!(found, [6, 7, 8]);
}

#[test]
fn nothing_goes_up_unasked() {
    let (film, fed) = (Film::new(), fed());
    let video = fed.source("video_%u", &film.caps);
    for (index, picture) in (0..).zip(&film.pictures) {
        video.push(picture, index * 2000 / 60);
    }
    video.event(gst::event::Eos::new());
    fed.wait_for(gst::MessageType::Eos);
    assert_eq!(fed.stat("connections"), 0);
    assert_eq!(fed.stat("frames-dropped"), 0);
}

#[test]
fn an_element_that_uploads_everything_has_no_use_for_a_trigger() {
    let fed = Fed::playing();
    assert!(!fed.sink.emit_by_name::<bool>("trigger", &[&1_u64, &1_u64]));
}

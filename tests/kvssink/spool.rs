//! The spool: what the service has not confirmed outlives the element.

use std::fs;
use std::path::Path;

use gst::prelude::*;

use super::element;
use super::fed::{Fed, Film, START_MS, Source};

/// The film's pictures are so far apart; each 15th is a key frame.
const PICTURE_MS: u64 = 33;
/// From the beginning of one run to that of the next.
const RUN_MS: u64 = 10_000;

fn fed(spool: &Path, key: Option<&Path>) -> Fed {
    let fed = Fed::new();
    fed.sink.set_property("spool-path", spool.to_str());
    fed.sink
        .set_property("spool-key-file", key.and_then(Path::to_str));
    fed
}

fn push(source: &Source, film: &Film, from_ms: u64) {
    for (index, picture) in (0..).zip(&film.pictures) {
        source.push(picture, from_ms + index * PICTURE_MS);
    }
}

/// Fragments in the folder.
fn kept(spool: &Path) -> usize {
    let entries = fs::read_dir(spool).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .filter(|name| name.to_string_lossy().contains(".mkv"))
        .count()
}

/// Records while the service is away, ends as told, and begins again.
fn goes_up_at_the_next_start(key: Option<&Path>, end: impl Fn(&Fed, &Source)) {
    let film = Film::new();
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = fed(folder.path(), key);
    first.server.stop();
    first.sink.set_property("stop-stream-timeout", 1_u32);
    first.set_state(gst::State::Playing);
    let video = first.source("video_%u", &film.caps);
    push(&video, &film, 0);
    end(&first, &video);
    first.set_state(gst::State::Null);
    assert_eq!(kept(folder.path()), 4, "all four fragments are on disk");
    first.server.start_again();

    // Its own server is not used; it has another address.
    let second = fed(folder.path(), key);
    second.sink.set_property("endpoint", first.server.url());
    second.set_state(gst::State::Playing);
    let video = second.source("video_%u", &film.caps);
    push(&video, &film, RUN_MS);
    video.event(gst::event::Eos::new());
    second.wait_for(gst::MessageType::Eos);
    let connections = second.stat("connections");
    second.set_state(gst::State::Null);
    let stored = first.server.read_back("cam");
    let times: Vec<_> = stored
        .frames
        .iter()
        .map(|f| f.time.as_ms() - START_MS)
        .collect();
    let run = |from: u64| (0..60).map(move |index| from + index * PICTURE_MS);
    assert_eq!(times, run(0).chain(run(RUN_MS)).collect::<Vec<_>>());
    assert_eq!(connections, 1, "the backlog goes over into live");
    assert_eq!(kept(folder.path()), 0, "what is stored is not kept");
}

#[test]
fn what_eos_left_unconfirmed_goes_up_at_the_next_start() {
    goes_up_at_the_next_start(None, |fed, video| {
        video.event(gst::event::Eos::new());
        loop {
            let any = [gst::MessageType::Warning, gst::MessageType::Eos];
            let hang = gst::ClockTime::from_seconds(60);
            let message = fed.bus.timed_pop_filtered(hang, &any);
            let message = message.expect("an end in time");
            assert_ne!(message.type_(), gst::MessageType::Eos, "EOS without a word");
            let gst::MessageView::Warning(warning) = message.view() else {
                continue;
            };
            if warning.error().message().contains("60 frames") {
                assert!(warning.error().message().contains("spool"));
                break;
            }
        }
        fed.wait_for(gst::MessageType::Eos);
    });
}

#[test]
fn what_a_stop_interrupted_goes_up_at_the_next_start() {
    // Nobody has said that the last fragment is complete.
    goes_up_at_the_next_start(None, |_, _| {});
}

#[test]
fn a_sealed_spool_goes_up_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    fs::write(&key, "5a".repeat(32)).expect("there is room");
    goes_up_at_the_next_start(Some(&key), |_, _| {});
}

#[test]
fn media_behind_eos_shares_the_elements_spool() {
    let film = Film::new();
    let folder = tempfile::tempdir().expect("a folder");
    let fed = fed(folder.path(), None);
    fed.set_state(gst::State::Playing);
    let video = fed.source("video_%u", &film.caps);
    push(&video, &film, 0);
    video.event(gst::event::Eos::new());
    fed.wait_for(gst::MessageType::Eos);
    video.flush();
    push(&video, &film, RUN_MS);
    let stored = fed.end(&[&video]);
    assert_eq!(stored.frames.len(), 120);
    fed.set_state(gst::State::Null);
    assert_eq!(kept(folder.path()), 0);
}

#[test]
fn two_elements_never_share_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = fed(folder.path(), None);
    one.set_state(gst::State::Ready);
    let bus = gst::Bus::new();
    let other = element();
    other.set_bus(Some(&bus));
    other.set_property("stream-name", "cam");
    other.set_property("endpoint", one.server.url());
    other.set_property("spool-path", folder.path().to_str());
    let refused = other.set_state(gst::State::Ready);
    assert!(refused.is_err(), "the folder is taken");
    let message = bus
        .pop_filtered(&[gst::MessageType::Error])
        .expect("an ERROR");
    let gst::MessageView::Error(error) = message.view() else {
        panic!("{message:?}");
    };
    assert!(
        error.error().message().contains("spool-path"),
        "{message:?}"
    );
    one.set_state(gst::State::Null);
    other
        .set_state(gst::State::Ready)
        .expect("the folder is free");
    other.set_state(gst::State::Null).expect("it stops");
}

#[test]
fn a_full_spool_drops_its_oldest_and_says_so() {
    let film = Film::new();
    let folder = tempfile::tempdir().expect("a folder");
    let mut fed = fed(folder.path(), None);
    fed.server.stop();
    fed.sink.set_property_from_str("streaming-type", "realtime");
    fed.sink.set_property("spool-max-age", 3_u32);
    fed.set_state(gst::State::Playing);
    let video = fed.source("video_%u", &film.caps);
    push(&video, &film, 0);
    push(&video, &film, RUN_MS);
    let reason = "they are older than the spool keeps";
    fed.wait_for_text("kvs-dropped", "reason", reason);
    fed.set_state(gst::State::Null);
}

use std::sync::Arc;
use std::time::Duration;

use kvs_media::Frame;
use proptest::prelude::*;

use super::*;
use crate::consumer::scripted::{
    Dice, EPOCH_MS, Fate, Request, Scripted, all_frames, frames, in_virtual_time, recording, stored,
};
use crate::service_error::ErrorKind;

/// No test needs so many items; one that does is running in circles.
const ITEMS_MAX: usize = 20_000;

fn config(start: Start) -> LiveConfig {
    LiveConfig {
        start,
        ..LiveConfig::default()
    }
}

/// Reads until a frame with these bytes has come.
async fn read_until(reader: &mut LiveReader, last: &Frame) -> Vec<Item> {
    let mut items = Vec::new();
    while items.len() < ITEMS_MAX {
        let item = reader.next().await.expect("no error is final");
        let done = matches!(&item, Item::Frame { frame, .. } if frame.data == last.data);
        items.push(item);
        if done {
            return items;
        }
    }
    panic!(
        "the last frame never came: {:?}",
        &items[items.len() - 10..]
    );
}

/// The fates in order, then all whole.
fn fates(fates: impl IntoIterator<Item = Fate>) -> impl FnMut(&Request) -> Fate + Send {
    let mut fates: Vec<_> = fates.into_iter().collect();
    fates.reverse();
    move |_| fates.pop().unwrap_or(Fate::Whole)
}

/// Several fragments may share a millisecond.
fn just_before(time: Timestamp) -> Start {
    Start::ServerTime(Timestamp::from_ms(time.as_ms() - 1))
}

fn last_of(recording: &[crate::consumer::scripted::Stored]) -> Frame {
    all_frames(recording).pop().expect("a frame")
}

#[test]
fn a_stream_is_read_across_ends() {
    let recording = recording(6);
    let whole = recording[0].chunk(true).len();
    // Ends between fragments, inside one, and inside the one it began with.
    for at in [whole, whole * 3 + whole / 2, whole / 2, 10] {
        let media = Scripted::new(recording.clone(), fates([Fate::EndedAfter(at)]));
        let items = in_virtual_time(async {
            let mut reader =
                LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
            read_until(&mut reader, &last_of(&recording)).await
        });
        assert_eq!(
            frames(&items),
            all_frames(&recording),
            "ended after {at} bytes"
        );
        assert_eq!(media.media_requests().len(), 2);
    }
}

#[test]
fn it_goes_on_by_the_token() {
    let recording = recording(3);
    let whole = recording[0].chunk(true).len();
    let media = Scripted::new(
        recording.clone(),
        fates([Fate::CutAfter(whole + whole / 2)]),
    );
    in_virtual_time(async {
        let mut reader =
            LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
        read_until(&mut reader, &last_of(&recording)).await;
        assert_eq!(reader.continuation(), Some("101"));
    });
    let token = Start::Continuation("100".to_owned());
    assert_eq!(media.media_requests(), [Start::Earliest, token]);
}

#[test]
fn the_fragment_of_now_is_found_again_by_its_time() {
    let recording = recording(8);
    let half = recording[0].chunk(true).len() / 2;
    let media = Scripted::new(recording.clone(), fates([Fate::CutAfter(half)]));
    let items = in_virtual_time(async {
        let mut reader = LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Now));
        read_until(&mut reader, &last_of(&recording)).await
    });
    assert_eq!(frames(&items), all_frames(&recording[5..]));
    let at = just_before(recording[5].info.server_time);
    assert_eq!(media.media_requests(), [Start::Now, at]);
}

#[test]
fn a_refused_token_is_followed_by_the_time() {
    let recording = recording(3);
    let whole = recording[0].chunk(true).len();
    let media = Scripted::new(
        recording.clone(),
        fates([
            Fate::EndedAfter(whole),
            Fate::Refused(ErrorKind::InvalidArgument),
        ]),
    );
    let items = in_virtual_time(async {
        let mut reader =
            LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
        read_until(&mut reader, &last_of(&recording)).await
    });
    assert_eq!(frames(&items), all_frames(&recording));
    let at = just_before(recording[0].info.server_time);
    assert_eq!(media.media_requests().last(), Some(&at));
}

#[test]
fn a_fragment_sent_again_under_a_new_number_is_given_once() {
    let mut recording = recording(3);
    let mut again = recording[1].clone();
    again.info.number = "110".parse().expect("a number");
    recording.push(again);
    recording.push(stored(111, EPOCH_MS + 1200, 10));
    let media = Scripted::new(recording.clone(), fates([]));
    let items = in_virtual_time(async {
        let mut reader =
            LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
        read_until(&mut reader, &last_of(&recording)).await
    });
    // Whoever wants to see what the producer did gets both.
    let media = Scripted::new(recording.clone(), fates([]));
    let all = in_virtual_time(async {
        let config = LiveConfig {
            deduplicate: false,
            ..config(Start::Earliest)
        };
        let mut reader = LiveReader::with_media(Box::new(Arc::clone(&media)), config);
        read_until(&mut reader, &last_of(&recording)).await
    });
    assert_eq!(frames(&all), all_frames(&recording));
    recording.remove(3);
    assert_eq!(frames(&items), all_frames(&recording));
}

#[test]
fn the_rest_of_a_fragment_may_come_under_a_new_number() {
    let recording = recording(3);
    let half = recording[0].chunk(true).len() * 3 / 2;
    let media = Scripted::new(recording.clone(), fates([Fate::EndedAfter(half)]));
    let items = in_virtual_time(async {
        let mut reader =
            LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
        let mut items = Vec::new();
        while !matches!(items.last(), Some(Item::Disconnected { .. })) {
            items.push(reader.next().await.expect("no error"));
        }
        // The producer was cut off; the service dropped its fragment and got it again.
        media.stored.lock().expect("not poisoned")[1].info.number = "101000".parse().expect("ok");
        media.stored.lock().expect("not poisoned")[2].info.number = "101001".parse().expect("ok");
        items.extend(read_until(&mut reader, &last_of(&recording)).await);
        items
    });
    assert_eq!(frames(&items), all_frames(&recording));
    assert!(!items.iter().any(|item| matches!(item, Item::Lost { .. })));
}

#[test]
fn the_rest_that_never_comes_is_reported() {
    let recording = recording(3);
    let half = recording[0].chunk(true).len() * 3 / 2;
    let media = Scripted::new(recording.clone(), fates([Fate::EndedAfter(half)]));
    let items = in_virtual_time(async {
        let mut reader =
            LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
        let mut items = Vec::new();
        while !matches!(items.last(), Some(Item::Disconnected { .. })) {
            items.push(reader.next().await.expect("no error"));
        }
        media.stored.lock().expect("not poisoned").remove(1);
        items.extend(read_until(&mut reader, &last_of(&recording)).await);
        items
    });
    let lost = items.iter().find_map(|item| match item {
        Item::Lost { fragment, .. } => Some(fragment.number.to_string()),
        _ => None,
    });
    assert_eq!(lost.as_deref(), Some("101"));
}

#[test]
fn a_fragment_that_cannot_be_read_is_left_out_in_the_end() {
    let recording = recording(3);
    let media = Scripted::new(recording.clone(), fates([]));
    // A block of a track that nobody declared.
    let broken = media.stored.lock().expect("not poisoned")[1].clone();
    let odd = crate::consumer::scripted::odd_chunk(&broken);
    media.replace_chunk("101", odd);
    let items = in_virtual_time(async {
        let mut reader =
            LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
        read_until(&mut reader, &last_of(&recording)).await
    });
    let lost = items
        .iter()
        .filter(|item| matches!(item, Item::Lost { .. }))
        .count();
    assert_eq!(lost, 1);
    let after = Start::AfterFragment("101".parse().expect("a number"));
    assert_eq!(media.media_requests().last(), Some(&after));
    assert_eq!(media.media_requests().len(), 4);
}

#[test]
fn silence_is_taken_for_the_end() {
    let recording = recording(2);
    let media = Scripted::new(recording[..1].to_vec(), fates([Fate::Silent, Fate::Silent]));
    in_virtual_time(async {
        let mut reader =
            LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
        read_until(&mut reader, &last_of(&recording[..1])).await;
        media
            .stored
            .lock()
            .expect("not poisoned")
            .push(recording[1].clone());
        let began = tokio::time::Instant::now();
        read_until(&mut reader, &last_of(&recording)).await;
        assert_eq!(began.elapsed().as_secs(), 30);
    });
}

#[test]
fn an_idle_stream_is_not_asked_for_more_often_than_the_service_takes() {
    let media = Scripted::new(Vec::new(), fates([]));
    in_virtual_time(async {
        let mut reader = LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Now));
        let minute = Duration::from_secs(60);
        let forever = async { while reader.next().await.is_ok() {} };
        let ended = tokio::time::timeout(minute, forever).await;
        assert!(ended.is_err(), "a reader waits for ever");
    });
    let requests = media.media_requests().len();
    assert!(
        (200..=241).contains(&requests),
        "{requests} requests in a minute"
    );
}

#[test]
fn what_is_final_is_final() {
    for (kind, requests) in [
        (ErrorKind::NotFound, 1),
        (ErrorKind::Config, 1),
        (ErrorKind::InvalidArgument, 1),
        (ErrorKind::Key, 1),
        // The credentials are fetched once more.
        (ErrorKind::NotAuthorized, 2),
    ] {
        let media = Scripted::new(recording(1), move |_| Fate::Refused(kind));
        let error = in_virtual_time(async {
            let mut reader =
                LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Now));
            let error = loop {
                if let Err(error) = reader.next().await {
                    break error;
                }
            };
            assert!(reader.next().await.is_err(), "for ever after");
            error
        });
        assert_eq!(error.kind(), kind);
        assert_eq!(media.media_requests().len(), requests, "{kind:?}");
    }
}

#[test]
fn attempts_are_counted_from_the_last_frame() {
    let recording = recording(2);
    let whole = recording[0].chunk(true).len();
    let refused = || Fate::Refused(ErrorKind::Network);
    let fate = fates([
        refused(),
        refused(),
        Fate::CutAfter(whole),
        refused(),
        refused(),
    ]);
    let media = Scripted::new(recording.clone(), fate);
    let config = LiveConfig {
        retry_attempts: 3,
        ..config(Start::Earliest)
    };
    in_virtual_time(async {
        let mut reader = LiveReader::with_media(Box::new(Arc::clone(&media)), config.clone());
        read_until(&mut reader, &last_of(&recording)).await;
    });
    let media = Scripted::new(recording.clone(), move |_| refused());
    in_virtual_time(async {
        let mut reader = LiveReader::with_media(Box::new(Arc::clone(&media)), config);
        while reader.next().await.is_ok() {}
    });
    assert_eq!(media.media_requests().len(), 4);
}

#[test]
fn a_stream_that_does_not_exist_is_waited_for_if_asked() {
    let recording = recording(1);
    let refused = || Fate::Refused(ErrorKind::NotFound);
    let media = Scripted::new(recording.clone(), fates([refused(), refused(), refused()]));
    let config = LiveConfig {
        wait_for_stream: true,
        ..config(Start::Earliest)
    };
    in_virtual_time(async {
        let mut reader = LiveReader::with_media(Box::new(Arc::clone(&media)), config);
        read_until(&mut reader, &last_of(&recording)).await;
    });
    assert_eq!(media.media_requests().len(), 4);
}

#[test]
fn a_stream_that_was_read_may_be_gone_for_half_a_minute() {
    const HALF_A_MINUTE: Duration = Duration::from_secs(30);
    let recording = recording(1);
    let gone = Fate::Refused(ErrorKind::NotFound);
    let media = Scripted::new(recording.clone(), fates([Fate::Whole, gone, gone]));
    in_virtual_time(async {
        let mut reader =
            LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
        read_until(&mut reader, &last_of(&recording)).await;
        while media.media_requests().len() < 5 {
            reader.next().await.expect("it comes back");
        }
    });

    let mut first = true;
    let media = Scripted::new(recording.clone(), move |_| {
        match std::mem::take(&mut first) {
            true => Fate::Whole,
            false => gone,
        }
    });
    in_virtual_time(async {
        let mut reader =
            LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
        read_until(&mut reader, &last_of(&recording)).await;
        let begin = clock::monotonic();
        let error = loop {
            if let Err(error) = reader.next().await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let took = clock::monotonic() - begin;
        assert!(took >= HALF_A_MINUTE, "{took:?}");
        assert!(took < 2 * HALF_A_MINUTE, "{took:?}");
    });
}

#[test]
fn a_dropped_call_loses_nothing() {
    let recording = recording(4);
    let media = Scripted::new(recording.clone(), fates([Fate::CutAfter(700)]));
    in_virtual_time(async {
        let mut reader =
            LiveReader::with_media(Box::new(Arc::clone(&media)), config(Start::Earliest));
        let mut items = Vec::new();
        while frames(&items).len() < all_frames(&recording).len() {
            // Polled once, and dropped where it is not ready at once.
            tokio::select! {
                biased;
                item = reader.next() => items.push(item.expect("no error")),
                () = std::future::ready(()) => {
                    tokio::time::advance(Duration::from_millis(10)).await;
                }
            }
        }
        assert_eq!(frames(&items), all_frames(&recording));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_each_frame_is_given_once_and_in_order(seed: u64) {
        let recording = recording(12);
        let bytes = recording.iter().map(|stored| stored.chunk(true).len()).sum::<usize>();
        let mut dice = Dice::new(seed);
        let fate = move |_: &Request| match dice.below(8) {
            0 => Fate::Refused(ErrorKind::Network),
            1 => Fate::Refused(ErrorKind::RateLimit),
            2 => Fate::ErrorChunk(dice.below(3), [3002, 5000, 4503, 4000][dice.below(4)]),
            3 | 4 => Fate::CutAfter(dice.below(bytes)),
            5 | 6 => Fate::EndedAfter(dice.below(bytes)),
            _ => Fate::EndedAfter(dice.below(bytes / 4)),
        };
        let media = Scripted::new(recording.clone(), fate);
        let items = in_virtual_time(async {
            let config = config(Start::Earliest);
            let mut reader = LiveReader::with_media(Box::new(Arc::clone(&media)), config);
            read_until(&mut reader, &last_of(&recording)).await
        });
        prop_assert_eq!(frames(&items), all_frames(&recording));
    }
}

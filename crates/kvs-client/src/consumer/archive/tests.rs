use std::sync::Arc;
use std::time::Duration;

use kvs_protocol::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::consumer::scripted::{
    Dice, EPOCH_MS, Fate, Request, Scripted, all_frames, frames, in_virtual_time, odd_chunk,
    recording,
};
use crate::service_error::ErrorKind;

/// No test needs so many items; one that does is running in circles.
const ITEMS_MAX: usize = 20_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(EPOCH_MS + ms)
}

fn reader(media: &Arc<Scripted>, range: Range) -> ArchiveReader {
    ArchiveReader::with_media(Arc::<Scripted>::clone(media), range)
}

/// All items up to the end.
async fn read_all(reader: &mut ArchiveReader) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        match reader.next().await.expect("no error is final") {
            Item::End => return items,
            item => items.push(item),
        }
        assert!(items.len() < ITEMS_MAX, "it never ends");
    }
}

fn lost(items: &[Item]) -> Vec<String> {
    let lost = |item: &Item| match item {
        Item::Lost { fragment, .. } => Some(fragment.number.to_string()),
        _ => None,
    };
    items.iter().filter_map(lost).collect()
}

#[test]
fn an_archive_is_read_in_order_and_ends() {
    let recording = recording(8);
    let media = Scripted::new(recording.clone(), |_| Fate::Whole);
    in_virtual_time(async {
        for clock in [RangeClock::Producer, RangeClock::Server] {
            let mut reader = reader(
                &media,
                Range {
                    clock,
                    ..Range::default()
                },
            );
            let items = read_all(&mut reader).await;
            assert_eq!(frames(&items), all_frames(&recording));
            assert!(
                matches!(reader.next().await, Ok(Item::End)),
                "again and again"
            );
        }
    });
}

#[test]
fn a_range_and_its_extent_are_known_before_it_is_read() {
    let recording = recording(8);
    let media = Scripted::new(recording.clone(), |_| Fate::Whole);
    in_virtual_time(async {
        let range = Range {
            from: Some(at(900)),
            to: Some(at(1600)),
            ..Range::default()
        };
        let mut reader = reader(&media, range);
        let extent = reader.extent().await.expect("a listing");
        assert_eq!(
            extent,
            Some(Extent {
                start: at(800),
                end: at(1960)
            })
        );
        assert_eq!(
            frames(&read_all(&mut reader).await),
            all_frames(&recording[2..5])
        );
    });
    let empty = Scripted::new(Vec::new(), |_| Fate::Whole);
    in_virtual_time(async {
        let mut reader = reader(&empty, Range::default());
        assert_eq!(reader.extent().await.expect("a listing"), None);
        assert!(matches!(reader.next().await, Ok(Item::End)));
    });
}

#[test]
fn a_seek_goes_on_with_the_fragment_that_contains_the_time() {
    let recording = recording(8);
    let media = Scripted::new(recording.clone(), |_| Fate::Whole);
    in_virtual_time(async {
        let mut reader = reader(&media, Range::default());
        for _ in 0..10 {
            reader.next().await.expect("an item");
        }
        for (ms, first) in [(1250, 3), (0, 0), (2800, 7), (400, 1)] {
            reader.seek(at(ms));
            let items = read_all(&mut reader).await;
            assert_eq!(frames(&items), all_frames(&recording[first..]), "{ms} ms");
        }
        reader.seek(at(60_000));
        assert!(read_all(&mut reader).await.is_empty());
    });
}

#[test]
fn a_fragment_that_was_not_found_is_found_later() {
    let recording = recording(6);
    let mut failures = 2;
    let fate = move |request: &Request| match request {
        Request::Fragments(_) if failures > 0 => {
            failures -= 1;
            Fate::ErrorChunk(failures, 3000)
        }
        _ => Fate::Whole,
    };
    let media = Scripted::new(recording.clone(), fate);
    let items = in_virtual_time(async { read_all(&mut reader(&media, Range::default())).await });
    assert_eq!(frames(&items), all_frames(&recording));
    assert!(lost(&items).is_empty());
}

#[test]
fn what_cannot_be_read_is_reported_and_left_out() {
    let recording = recording(5);
    let media = Scripted::new(recording.clone(), |_| Fate::Whole);
    media.replace_chunk("101", odd_chunk(&recording[1]));
    // Listed, but never given.
    media.replace_chunk("103", Vec::new());
    let items = in_virtual_time(async { read_all(&mut reader(&media, Range::default())).await });
    assert_eq!(lost(&items), ["101", "103"]);
    let mut expected = all_frames(&recording);
    expected.retain(|frame| !frame.data.to_bytes().starts_with(b"103"));
    // All but the last frame of 101 came before the block that makes no sense.
    let last = recording[1].frames.last().expect("frames").clone();
    expected.retain(|frame| *frame != last);
    assert_eq!(frames(&items), expected);
}

#[test]
fn a_service_that_is_away_is_waited_for() {
    let recording = recording(4);
    let mut failures = 20;
    let fate = move |_: &Request| {
        failures -= 1;
        if failures > 0 {
            Fate::Refused(ErrorKind::Network)
        } else {
            Fate::Whole
        }
    };
    let media = Scripted::new(recording.clone(), fate);
    let items = in_virtual_time(async { read_all(&mut reader(&media, Range::default())).await });
    assert_eq!(frames(&items), all_frames(&recording));

    let media = Scripted::new(recording, |_| Fate::Refused(ErrorKind::Network));
    let error = in_virtual_time(async {
        let mut reader = reader(&media, Range::default()).with_retry_attempts(3);
        loop {
            if let Err(error) = reader.next().await {
                return error;
            }
        }
    });
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[test]
fn what_is_final_is_final() {
    for kind in [
        ErrorKind::NotFound,
        ErrorKind::NotAuthorized,
        ErrorKind::NoDataRetention,
    ] {
        let media = Scripted::new(recording(1), move |_| Fate::Refused(kind));
        let error = in_virtual_time(async {
            let mut reader = reader(&media, Range::default());
            loop {
                if let Err(error) = reader.next().await {
                    return error;
                }
            }
        });
        assert_eq!(error.kind(), kind);
    }
}

/// The recording is of the end of a month.
fn month() -> Range {
    Range {
        from: Some(Timestamp::from_ms(EPOCH_MS - 30 * 24 * 3_600_000)),
        to: Some(at(10_000)),
        ..Range::default()
    }
}

#[test]
fn what_has_expired_of_a_range_is_left_out() {
    let recording = recording(8);
    let expired = |request: &Request| match request {
        Request::List(window) if window.to < at(0) => Fate::Expired,
        _ => Fate::Whole,
    };
    let media = Scripted::new(recording.clone(), expired);
    in_virtual_time(async {
        let mut reader = reader(&media, month());
        assert_eq!(frames(&read_all(&mut reader).await), all_frames(&recording));
        let extent = reader
            .extent()
            .await
            .expect("a listing")
            .expect("fragments");
        assert_eq!(extent.start, at(0));
    });
    let media = Scripted::new(recording, |_| Fate::Expired);
    in_virtual_time(async {
        let mut reader = reader(&media, month());
        assert_eq!(reader.extent().await.expect("a listing"), None);
        assert!(read_all(&mut reader).await.is_empty());
    });
}

#[test]
fn a_page_that_is_refused_is_an_error_and_costs_no_fragment() {
    let recording = recording(8);
    let refused = |request: &Request| match request {
        Request::List(window) if window.from > at(0) => Fate::Refused(ErrorKind::InvalidArgument),
        _ => Fate::Whole,
    };
    let media = Scripted::new(recording.clone(), refused);
    let range = Range {
        from: Some(at(0)),
        ..Range::default()
    };
    in_virtual_time(async {
        let mut reader = reader(&media, range);
        let mut items = Vec::new();
        let error = loop {
            match reader.next().await {
                Ok(item) => items.push(item),
                Err(error) => break error,
            }
            assert!(items.len() < ITEMS_MAX, "it never ends");
        };
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(frames(&items), all_frames(&recording));
    });
}

#[test]
fn a_dropped_call_loses_nothing() {
    let recording = recording(6);
    let media = Scripted::new(recording.clone(), |_| Fate::Whole);
    in_virtual_time(async {
        let mut reader = reader(&media, Range::default());
        let mut items = Vec::new();
        while frames(&items).len() < all_frames(&recording).len() {
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

#[test]
fn batches_are_bounded_in_bytes_and_in_number() {
    let listed = |bytes| Listed {
        bytes,
        ..recording(1)[0].listed()
    };
    assert_eq!(batch_len(&[]), 0);
    assert_eq!(batch_len(&[listed(BATCH_BYTES_MAX + 1), listed(1)]), 1);
    assert_eq!(
        batch_len(&[listed(BATCH_BYTES_MAX - 1), listed(1), listed(1)]),
        2
    );
    assert_eq!(batch_len(&vec![listed(1); 1000]), BATCH_FRAGMENTS_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_each_frame_is_given_once_and_in_order(seed: u64) {
        let recording = recording(12);
        let bytes = recording.iter().map(|stored| stored.chunk(false).len()).sum::<usize>();
        let mut dice = Dice::new(seed);
        let fate = move |request: &Request| match (request, dice.below(6)) {
            (_, 0) => Fate::Refused(ErrorKind::Network),
            (_, 1) => Fate::Refused(ErrorKind::RateLimit),
            (Request::Fragments(all), 2) => Fate::ErrorChunk(dice.below(all.len()), 5000),
            (Request::Fragments(_), 3) => Fate::CutAfter(dice.below(bytes)),
            _ => Fate::Whole,
        };
        let media = Scripted::new(recording.clone(), fate);
        let items = in_virtual_time(async {
            read_all(&mut reader(&media, Range::default())).await
        });
        prop_assert_eq!(frames(&items), all_frames(&recording));
        prop_assert!(lost(&items).is_empty());
    }
}

//! The archive reader: by both clocks, over pages, with seeks.

use kvs_client::{ArchiveReader, ErrorKind, Extent, Item, Range, RangeClock};
use kvs_media::Frame;
use kvs_protocol::Timestamp;

use crate::camera::{Camera, FRAGMENT_MS, START_MS, create, fragments, in_time, server, service};

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(START_MS + ms)
}

/// All frames up to the end, and the fragments that they belong to.
async fn read_all(reader: &mut ArchiveReader) -> (Vec<Frame>, Vec<Timestamp>) {
    let (mut frames, mut server_times) = (Vec::new(), Vec::new());
    loop {
        match in_time(reader.next())
            .await
            .expect("the archive is readable")
        {
            Item::Frame { frame, .. } => frames.push(frame),
            Item::Fragment(info) => server_times.push(info.server_time),
            Item::End => return (frames, server_times),
            Item::Lost { fragment, why } => panic!("{fragment:?}: {why}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_read_by_either_clock() {
    let server = server(None, None).await;
    let service = service(server.url());
    create(&service).await;
    Camera::connect(server.address()).await.send(0..8).await;

    let mut reader = ArchiveReader::new(service.clone(), Range::default());
    let extent = reader.extent().await.expect("a listing");
    let end = at(7 * FRAGMENT_MS + 360);
    assert_eq!(extent, Some(Extent { start: at(0), end }));
    let (frames, server_times) = read_all(&mut reader).await;
    assert_eq!(frames, fragments(0..8));

    let from = Some(at(2 * FRAGMENT_MS + 200));
    let to = Some(at(4 * FRAGMENT_MS));
    let range = Range {
        clock: RangeClock::Producer,
        from,
        to,
    };
    let (frames, _) = read_all(&mut ArchiveReader::new(service.clone(), range)).await;
    assert_eq!(frames, fragments(2..5));

    let to = Some(server_times[5]);
    let range = Range {
        clock: RangeClock::Server,
        from: None,
        to,
    };
    let (frames, _) = read_all(&mut ArchiveReader::new(service.clone(), range)).await;
    // The next one may have arrived in the same millisecond.
    let within = server_times.partition_point(|time| *time <= server_times[5]);
    assert_eq!(frames, fragments(0..within as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_many_pages_is_in_order() {
    let server = server(None, None).await;
    let service = service(server.url());
    create(&service).await;
    // More than one page holds.
    let count = 1010;
    Camera::connect(server.address()).await.send(0..count).await;
    let mut reader = ArchiveReader::new(service, Range::default());
    let (frames, server_times) = read_all(&mut reader).await;
    assert_eq!(server_times.len() as u64, count);
    assert!(frames.is_sorted_by_key(|frame| frame.time));
    assert_eq!(frames.len() as u64, count * 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn seeks_go_anywhere_at_any_time() {
    let server = server(None, None).await;
    let service = service(server.url());
    create(&service).await;
    Camera::connect(server.address()).await.send(0..8).await;
    let mut reader = ArchiveReader::new(service, Range::default());
    for (index, items_before) in [(5, 0), (0, 3), (7, 30), (3, 1)] {
        for _ in 0..items_before {
            in_time(reader.next()).await.expect("an item");
        }
        reader.seek(at(index * FRAGMENT_MS + 10));
        assert_eq!(read_all(&mut reader).await.0, fragments(index..8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_the_range_is_nothing_and_no_stream_is_an_error() {
    let server = server(None, None).await;
    let service = service(server.url());
    let mut reader = ArchiveReader::new(service.clone(), Range::default());
    let error = reader.extent().await.expect_err("no stream");
    assert_eq!(error.kind(), ErrorKind::NotFound);

    create(&service).await;
    Camera::connect(server.address()).await.send([0]).await;
    let range = Range {
        from: Some(at(3_600_000)),
        ..Range::default()
    };
    let mut reader = ArchiveReader::new(service, range);
    assert_eq!(reader.extent().await.expect("a listing"), None);
    assert!(matches!(in_time(reader.next()).await, Ok(Item::End)));
}

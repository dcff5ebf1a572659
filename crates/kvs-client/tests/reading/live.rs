//! The live reader: across idle ends, restarts and fragments that break off.

use kvs_client::{ErrorKind, Item, LiveConfig, LiveReader, Start};
use kvs_media::Frame;
use kvs_protocol::Timestamp;

use crate::camera::{
    Camera, FRAGMENT_MS, START_MS, create, fragment, fragments, in_time, server, service,
};

fn reader(url: &str, start: Start) -> LiveReader {
    LiveReader::new(
        service(url),
        LiveConfig {
            start,
            ..LiveConfig::default()
        },
    )
}

/// The next `count` frames, and all other items between them.
async fn read(reader: &mut LiveReader, count: usize) -> (Vec<Frame>, Vec<Item>) {
    let (mut frames, mut others) = (Vec::new(), Vec::new());
    while frames.len() < count {
        match in_time(reader.next()).await.expect("no error is final") {
            Item::Frame { frame, .. } => frames.push(frame),
            other => others.push(other),
        }
    }
    (frames, others)
}

/// Reads on until the response has ended.
async fn until_disconnected(reader: &mut LiveReader) {
    loop {
        if let Item::Disconnected { .. } = in_time(reader.next()).await.expect("not final") {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_arrive_while_their_fragment_grows() {
    let server = server(None, None).await;
    create(&service(server.url())).await;
    let mut camera = Camera::connect(server.address()).await;
    let mut reader = reader(server.url(), Start::Earliest);
    let frames = fragment(0);
    camera.begin(&frames[..4]).await;
    // The last block of four is known to be whole, so all four are there.
    assert_eq!(read(&mut reader, 4).await.0, frames[..4]);
    camera.go_on(&frames[4..]).await;
    camera.end().await;
    assert_eq!(read(&mut reader, 6).await.0, frames[4..]);
    let end = loop {
        if let Item::FragmentEnd(end) = in_time(reader.next()).await.expect("no error") {
            break end;
        }
    };
    assert_eq!(end.fragment.producer_time, Timestamp::from_ms(START_MS));
    assert_eq!(end.tags.len(), 1);
    assert_eq!(end.tags[0].value, "door");
    assert!(end.millis_behind.is_some());
    assert_eq!(reader.continuation(), end.continuation.as_deref());
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_ends_lose_nothing() {
    let server = server(None, None).await;
    create(&service(server.url())).await;
    let mut camera = Camera::connect(server.address()).await;
    let mut reader = reader(server.url(), Start::Earliest);
    let mut frames = Vec::new();
    for index in 0..3 {
        camera.send([index]).await;
        frames.extend(read(&mut reader, 10).await.0);
        until_disconnected(&mut reader).await;
    }
    assert_eq!(frames, fragments(0..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_server_in_mid_fragment_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let server_one = server(None, Some(folder.path())).await;
    let (address, url) = (server_one.address(), server_one.url().to_owned());
    create(&service(&url)).await;
    let mut camera = Camera::connect(address).await;
    let mut reader = reader(&url, Start::Earliest);
    camera.send(0..2).await;
    camera.begin(&fragment(2)[..5]).await;
    let mut frames = read(&mut reader, 25).await.0;
    server_one.abort().await;
    drop(camera);

    let _server_two = server(Some(address), Some(folder.path())).await;
    let mut camera = Camera::connect(address).await;
    // A producer sends again what was not confirmed.
    camera.send(2..4).await;
    let (rest, others) = read(&mut reader, 15).await;
    frames.extend(rest);
    assert_eq!(frames, fragments(0..4));
    assert!(
        !others.iter().any(|item| matches!(item, Item::Lost { .. })),
        "{others:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_selector_starts_where_it_says() {
    let server = server(None, None).await;
    let service_here = service(server.url());
    create(&service_here).await;
    Camera::connect(server.address()).await.send(0..4).await;
    let mut all = reader(server.url(), Start::Earliest);
    let (_, others) = read(&mut all, 31).await;
    let infos: Vec<_> = others
        .iter()
        .filter_map(|item| match item {
            Item::Fragment(info) => Some(info.clone()),
            _ => None,
        })
        .collect();
    let starts = [
        Start::AfterFragment(infos[1].number.clone()),
        Start::Continuation(infos[1].number.to_string()),
        Start::ProducerTime(Timestamp::from_ms(START_MS + 2 * FRAGMENT_MS + 100)),
    ];
    for start in starts {
        let mut reader = reader(server.url(), start.clone());
        assert_eq!(read(&mut reader, 10).await.0, fragment(2), "{start:?}");
    }
    // Fragments that are sent this fast may share a server time, but not one before the first.
    let before = Timestamp::from_ms(infos[0].server_time.as_ms() - 1);
    let mut reader = reader(server.url(), Start::ServerTime(before));
    assert_eq!(read(&mut reader, 10).await.0, fragment(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_exist_is_an_error_or_waited_for() {
    let server = server(None, None).await;
    let mut hasty = reader(server.url(), Start::Earliest);
    let error = in_time(hasty.next()).await.expect_err("no stream");
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let service = service(server.url());
    let config = LiveConfig {
        start: Start::Earliest,
        wait_for_stream: true,
        ..LiveConfig::default()
    };
    let mut patient = LiveReader::new(service.clone(), config);
    until_disconnected(&mut patient).await;
    create(&service).await;
    Camera::connect(server.address()).await.send([0]).await;
    assert_eq!(read(&mut patient, 10).await.0, fragment(0));
}

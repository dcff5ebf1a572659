//! The server goes away in mid-upload, and comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use kvs_client::producer::{
    AckKind, ProducerConfig, ProducerEvent, PushOutcome, Streaming, Warning,
};

use crate::connection::connection;
use crate::harness::{Upload, config, picture, server_at};
use crate::roundtrip::read_back;

/// How many times the server goes away.
const OUTAGES: u64 = 3;
const PICTURES_PER_RUN: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn no_frame_is_lost_while_the_server_is_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Some(folder.path().to_owned());
    let mut server = server_at(([127, 0, 0, 1], 0).into(), data.clone()).await;
    let address = server.address();
    let mut upload = Upload::start(connection(server.url()), config());
    let video = upload.video();
    let mut next = 0;
    for outage in 0..OUTAGES {
        for _ in 0..PICTURES_PER_RUN {
            upload.push(video, picture(next));
            next += 1;
        }
        upload
            .until(|event| match event {
                ProducerEvent::Ack(ack) => (ack.kind == AckKind::Persisted).then_some(()),
                _ => None,
            })
            .await;
        if outage % 2 == 0 {
            server.abort().await;
        } else {
            server.stop().await;
        }
        upload.push(video, picture(next));
        next += 1;
        upload
            .until(|event| match event {
                ProducerEvent::Warning(Warning::Retry { .. }) => Some(()),
                _ => None,
            })
            .await;
        server = server_at(address, data.clone()).await;
    }
    upload.producer.finish();
    upload.drained().await;

    let frames = read_back(server.url()).await;
    let times: BTreeSet<u64> = frames.iter().map(|frame| frame.time.as_ms()).collect();
    let sent: BTreeSet<u64> = (0..next).map(|index| picture(index).time.as_ms()).collect();
    assert_eq!(times, sent);
    assert_eq!(upload.producer.stats().frames_confirmed, next);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_holds_a_file_back_until_it_is_told_to_flush() {
    // Nobody listens there, so nothing is ever confirmed.
    let upload = Upload::start(
        connection("http://127.0.0.1:1"),
        ProducerConfig {
            streaming: Streaming::Offline,
            storage_bytes_max: 20_000,
            ..config()
        },
    );
    let video = upload.video();
    let upload = std::sync::Arc::new(upload);
    let source = std::sync::Arc::clone(&upload);
    let blocked = tokio::task::spawn_blocking(move || {
        let mut index = 0;
        while source.producer.push(video, picture(index)) == PushOutcome::Accepted {
            index += 1;
        }
        index
    });
    while upload.producer.stats().buffered_bytes < 20_000 {
        tokio::task::yield_now().await;
    }
    assert!(!blocked.is_finished(), "the source waits");
    upload.producer.set_flushing(video, true);
    let pushed = tokio::time::timeout(Duration::from_secs(5), blocked).await;
    let pushed = pushed.expect("a flush frees it").expect("no panic");
    assert!(upload.producer.stats().buffered_bytes < 20_000 + 25 * 1_000);
    assert_eq!(upload.producer.stats().frames_in, pushed);
    upload.producer.stop();
}

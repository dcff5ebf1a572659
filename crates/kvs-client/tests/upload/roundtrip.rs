//! What goes up comes back.

use kvs_client::producer::{ProducerConfig, ProducerEvent, ProducerState, Streaming};
use kvs_client::{ArchiveReader, Item, Range, Service};
use kvs_media::Frame;

use crate::connection::connection;
use crate::harness::{Upload, config, packet, picture, server};

/// Every frame that the stream holds, in the order in which it is read.
pub(crate) async fn read_back(url: &str) -> Vec<Frame> {
    let service = Service::new(connection(url));
    let mut reader = ArchiveReader::new(service, Range::default());
    let mut frames = Vec::new();
    loop {
        match reader.next().await.expect("the archive is readable") {
            Item::Frame { frame, .. } => frames.push(frame),
            Item::End => return frames,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_of_a_file_comes_back() {
    let server = server().await;
    let mut upload = Upload::start(
        connection(server.url()),
        ProducerConfig {
            streaming: Streaming::Offline,
            storage_bytes_max: 64 << 10,
            ..config()
        },
    );
    let (video, audio) = (upload.video(), upload.audio());
    let (pictures, packets) = (250, 468);
    let mut sent = 0;
    for index in 0..pictures {
        upload.push(video, picture(index));
        while sent < packets && packet(sent).time <= picture(index).time {
            upload.push(audio, packet(sent));
            sent += 1;
        }
    }
    upload.producer.finish();
    upload.drained().await;

    let stats = upload.producer.stats();
    assert_eq!(stats.frames_in, pictures + sent);
    assert_eq!(stats.frames_confirmed, stats.frames_in);
    assert_eq!(stats.fragments_persisted, 10);
    assert_eq!(stats.connections, 1);
    assert_eq!((stats.buffered_frames, stats.buffered_bytes), (0, 0));

    let frames = read_back(server.url()).await;
    let of = |track| frames.iter().filter(move |frame| frame.track == track);
    assert_eq!(of(video).count() as u64, pictures);
    assert_eq!(of(audio).count() as u64, sent);
    for (index, frame) in (0..).zip(of(video)) {
        let original = picture(index);
        assert_eq!(frame.data, original.data, "picture {index}");
        assert_eq!(frame.key, original.key);
        assert_eq!(frame.time.as_ms(), original.time.as_ms());
    }
    for (index, frame) in (0..).zip(of(audio)) {
        assert_eq!(frame.data, packet(index).data, "packet {index}");
        assert_eq!(frame.time.as_ms(), packet(index).time.as_ms());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_states_are_told_in_order() {
    let server = server().await;
    let mut upload = Upload::start(connection(server.url()), config());
    let video = upload.video();
    upload.push(video, picture(0));
    upload.producer.finish();
    let mut states = Vec::new();
    upload
        .until(|event| match event {
            ProducerEvent::State(state) => {
                states.push(*state);
                (*state == ProducerState::Drained).then_some(())
            }
            _ => None,
        })
        .await;
    use ProducerState::{
        Connecting, Creating, Describing, Drained, Draining, Locating, Ready, Streaming,
    };
    assert_eq!(
        states,
        [
            Describing, Creating, Describing, Locating, Ready, Connecting, Streaming, Draining,
            Drained
        ]
    );
    server.stop().await;
}

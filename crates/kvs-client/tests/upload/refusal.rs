//! What ends an upload, and what the user is told.

use std::time::Duration;

use kvs_client::producer::{FailReason, ProducerConfig, ProducerEvent, PushOutcome};
use kvs_client::{CredentialSource, Secret, StaticCredentials};
use kvs_server::{Config, Server};

use crate::connection::connection;
use crate::harness::{Upload, config, picture, server};

/// The reason and the message of the bad end.
async fn failure(upload: &mut Upload) -> (FailReason, String) {
    upload
        .until(|event| match event {
            ProducerEvent::Failed { reason, message } => Some((*reason, message.clone())),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = folder.path().join("credentials");
    std::fs::write(
        &credentials,
        "[cam]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = right\n",
    )
    .expect("written");
    let server = Server::start(Config {
        credentials: Some(credentials),
        ..Config::default()
    });
    let server = server.await.expect("a server starts");

    let mut wrong = connection(server.url());
    wrong.credentials = CredentialSource::Static(StaticCredentials {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret_key: Secret::new("wrong"),
        session_token: None,
    });
    let mut upload = Upload::start(wrong.clone(), config());
    let video = upload.video();
    let (reason, message) = failure(&mut upload).await;
    assert_eq!(reason, FailReason::Denied);
    assert!(message.contains("check the credentials"), "{message}");
    assert!(!message.contains("wrong"), "{message}");
    assert_eq!(upload.producer.push(video, picture(0)), PushOutcome::Failed);

    wrong.credentials = CredentialSource::Static(StaticCredentials {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret_key: Secret::new("right"),
        session_token: None,
    });
    let mut upload = Upload::start(wrong, config());
    let video = upload.video();
    upload.push(video, picture(0));
    upload.producer.finish();
    upload.drained().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_where_nobody_listens_is_told_as_such() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let mut upload = Upload::start(
        connection(&format!("http://{address}")),
        ProducerConfig {
            first_contact: Duration::from_millis(300),
            ..config()
        },
    );
    let (reason, message) = failure(&mut upload).await;
    assert_eq!(reason, FailReason::Unreachable);
    assert!(message.contains("check the endpoint"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_no_url_is_told_at_once() {
    let mut upload = Upload::start(connection("localhost:5600"), config());
    let (reason, message) = failure(&mut upload).await;
    assert_eq!(reason, FailReason::Refused);
    assert!(message.contains("http://"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_may_not_be_made_is_missed() {
    let server = server().await;
    let mut upload = Upload::start(
        connection(server.url()),
        ProducerConfig {
            create: None,
            ..ProducerConfig::default()
        },
    );
    let (reason, message) = failure(&mut upload).await;
    assert_eq!(reason, FailReason::NoStream);
    assert!(message.contains("create the stream"), "{message}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_an_upload_at_once() {
    let server = server().await;
    let mut upload = Upload::start(connection(server.url()), config());
    let video = upload.video();
    upload.push(video, picture(0));
    upload.producer.stop();
    let dropped = upload
        .until(|event| match event {
            ProducerEvent::Dropped(dropped) => Some(*dropped),
            _ => None,
        })
        .await;
    assert_eq!(dropped.span.frames, 1);
    assert_eq!(
        upload.producer.push(video, picture(1)),
        PushOutcome::Flushing
    );
    server.stop().await;
}

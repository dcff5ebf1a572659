//! The control plane.

use std::collections::BTreeMap;

use kvs_client::control::StreamStatus;
use kvs_client::{DataApi, ErrorKind, NewStream, Service};

use crate::camera::{create, server, service};

#[tokio::test]
async fn a_stream_is_created_described_and_found() {
    let server = server(None, None).await;
    let service = service(server.url());
    let error = service.describe_stream().await.expect_err("no stream yet");
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::NotFound, Some(404))
    );
    assert!(!error.is_retryable());

    let arn = create(&service).await;
    let description = service.describe_stream().await.expect("it exists");
    assert_eq!(description.arn, arn);
    assert_eq!(description.status, StreamStatus::Active);
    assert_eq!(description.retention_hours, 24);
    let error = service
        .create_stream(&NewStream::default())
        .await
        .expect_err("it exists");
    assert_eq!(error.kind(), ErrorKind::InUse);

    let endpoint = service
        .data_endpoint(DataApi::GetMedia)
        .await
        .expect("an endpoint");
    assert_eq!(endpoint, server.url());

    // By its ARN, which names the region too.
    let mut config = service.config().clone();
    config.stream = arn.parse().expect("an ARN");
    config.region = None;
    let by_arn = Service::new(config);
    assert_eq!(by_arn.describe_stream().await.expect("found").arn, arn);
    assert_eq!(by_arn.region().await.expect("resolved"), "us-west-2");
}

#[tokio::test]
async fn an_endpoint_is_kept_until_it_is_refused() {
    let server = server(None, None).await;
    let service = service(server.url());
    create(&service).await;
    let url = service
        .data_endpoint(DataApi::PutMedia)
        .await
        .expect("an endpoint");
    server.stop().await;
    let kept = service
        .data_endpoint(DataApi::PutMedia)
        .await
        .expect("nobody is asked");
    assert_eq!(kept, url);
    service.invalidate_endpoint(DataApi::PutMedia);
    let error = service
        .data_endpoint(DataApi::PutMedia)
        .await
        .expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(error.is_retryable());
    assert!(error.to_string().contains("check the endpoint"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_kvs_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("bound");
    let other = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut socket, _) = listener.accept().await.expect("a client");
        let _ = socket.read(&mut [0; 4096]).await;
        let page = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>";
        socket.write_all(page).await.expect("written");
        socket
    });
    let service = service(&format!("http://{address}"));
    let error = service.describe_stream().await.expect_err("no KVS");
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    drop(other.await);
}

#[tokio::test]
async fn wrong_credentials_are_named_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("credentials");
    let known = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = other\n";
    std::fs::write(&file, known).expect("written");
    let config = kvs_server::Config {
        credentials: Some(file),
        ..kvs_server::Config::default()
    };
    let server = kvs_server::Server::start(config)
        .await
        .expect("a server starts");
    let service = service(server.url());
    let error = service
        .describe_stream()
        .await
        .expect_err("a wrong signature");
    assert_eq!(error.kind(), ErrorKind::NotAuthorized, "{error}");
    assert!(!error.to_string().contains("not a secret"));
}

#[tokio::test]
async fn tags_that_cannot_be_are_refused() {
    let server = server(None, None).await;
    let service = service(server.url());
    let tags: BTreeMap<_, _> = (0..60).map(|n| (format!("t{n}"), String::new())).collect();
    let new = NewStream {
        tags,
        ..NewStream::default()
    };
    let error = service.create_stream(&new).await.expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_the_ca_file_names_it() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reading/tls");
    let config = kvs_server::Config {
        tls: Some(kvs_server::TlsFiles {
            cert: folder.join("server.pem"),
            key: folder.join("server-key.pem"),
        }),
        ..kvs_server::Config::default()
    };
    let server = kvs_server::Server::start(config)
        .await
        .expect("a server starts");
    assert!(server.url().starts_with("https:"), "{}", server.url());

    let stranger = service(server.url());
    let error = stranger
        .describe_stream()
        .await
        .expect_err("nobody vouches for it");
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("ca-file"), "{error}");

    let mut config = stranger.config().clone();
    config.ca_file = Some(folder.join("ca.pem"));
    let service = Service::new(config);
    create(&service).await;
    let url = service
        .data_endpoint(DataApi::PutMedia)
        .await
        .expect("an endpoint");
    // The SDK's connections, and those of PutMedia.
    assert_eq!(url, server.url());
    let http = service.http().await.expect("resolved");
    let url = url.parse().expect("a URL");
    http.connect(&url, std::time::Duration::from_secs(10))
        .await
        .expect("trusted");
}

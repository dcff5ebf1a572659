//! The whole way over TLS, with a certificate that is good for nothing else.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use kvs_server::{Config, Handle, Server, TlsFiles};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::harness::soon;
use crate::leaving::follow;
use crate::movie;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/tls")
}

/// A server in memory that speaks TLS, and whose readers wait for ever.
pub(crate) fn config() -> Config {
    Config {
        tls: Some(TlsFiles {
            cert: folder().join("server.pem"),
            key: folder().join("server-key.pem"),
        }),
        get_media_idle: None,
        ..Config::default()
    }
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder().join(name)).expect("a certificate")
}

async fn connect(server: &Handle) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for name in ["ca.pem", "renewed.pem"] {
        roots.add(certificate(name)).expect("an authority");
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of its own")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(server.address())
        .await
        .expect("it is up");
    let name = ServerName::try_from("localhost").expect("a name");
    let connector = TlsConnector::from(Arc::new(config));
    let connected = soon("a handshake", connector.connect(name, socket)).await;
    connected.expect("a certificate for this name")
}

/// One request on a connection of its own; gives head and body of the response.
async fn exchange(server: &Handle, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = connect(server).await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\
         {headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("writable");
    stream.write_all(body).await.expect("writable");
    let mut back = Vec::new();
    soon("the response", stream.read_to_end(&mut back))
        .await
        .expect("it ends in good form");
    assert!(back.starts_with(b"HTTP/1.1 200"), "{path}");
    back
}

#[tokio::test(flavor = "multi_thread")]
async fn media_goes_in_and_comes_out() {
    let config = Config {
        get_media_idle: Some(std::time::Duration::from_millis(50)),
        ..config()
    };
    let server = Server::start(config).await.expect("in memory");
    assert!(server.url().starts_with("https://127.0.0.1:"));
    let json = br#"{"StreamName":"cam","DataRetentionInHours":1}"#;
    exchange(&server, "/createStream", "", json).await;
    let headers = "x-amzn-stream-name: cam\r\nx-amzn-fragment-timecode-type: ABSOLUTE\r\n";
    let acks = exchange(&server, "/putMedia", headers, &movie::body(3)).await;
    let acks = String::from_utf8_lossy(&acks);
    assert_eq!(acks.matches("PERSISTED").count(), 3, "{acks}");
    let json = br#"{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}"#;
    let media = exchange(&server, "/getMedia", "", json).await;
    let tokens = media.windows(18).filter(|w| w == b"CONTINUATION_TOKEN");
    assert_eq!(tokens.count(), 3);
    let json = br#"{"StreamName":"cam","APIName":"GET_MEDIA"}"#;
    let endpoint = exchange(&server, "/getDataEndpoint", "", json).await;
    let endpoint = String::from_utf8_lossy(&endpoint);
    let own = format!("https://localhost:{}", server.address().port());
    assert!(endpoint.contains(&own), "{endpoint}");
    server.stop().await;
}

#[tokio::test]
async fn a_reader_that_leaves_is_noticed_at_once() {
    let server = Server::start(config()).await.expect("in memory");
    let json = br#"{"StreamName":"cam","DataRetentionInHours":1}"#;
    exchange(&server, "/createStream", "", json).await;
    let mut stream = connect(&server).await;
    follow(&mut stream).await;
    // It says goodbye and closes its side, as its library does.
    stream.shutdown().await.expect("it is open");
    let mut rest = Vec::new();
    let _ = soon("the end", stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_response_is_cut_beneath_the_encryption() {
    let config = Config {
        faults: true,
        ..config()
    };
    let server = Server::start(config).await.expect("in memory");
    for (how, error) in [
        ("close", ErrorKind::UnexpectedEof),
        ("reset", ErrorKind::ConnectionReset),
    ] {
        let fault = format!(
            r#"{{"kind":"cut","direction":"response","at_bytes":5,"how":"{how}","count":1}}"#
        );
        exchange(&server, "/_kvs/faults", "", fault.as_bytes()).await;
        let mut stream = connect(&server).await;
        let request =
            "POST /listStreams HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
        stream
            .write_all(request.as_bytes())
            .await
            .expect("writable");
        let mut back = Vec::new();
        let ended = soon("the cut", stream.read_to_end(&mut back)).await;
        assert_eq!(ended.expect_err(how).kind(), error);
        assert!(back.ends_with(b"\r\n\r\n{\"Str"), "{how}");
    }
    let fault = br#"{"kind":"refuse","count":1}"#;
    exchange(&server, "/_kvs/faults", "", fault).await;
    let mut socket = TcpStream::connect(server.address())
        .await
        .expect("it is up");
    let read = soon("the reset", socket.read(&mut [0; 1])).await;
    assert_eq!(
        read.expect_err("no handshake").kind(),
        ErrorKind::ConnectionReset
    );
    server.stop().await;
}

#[tokio::test]
async fn plain_http_is_turned_away_and_harms_nobody() {
    let server = Server::start(config()).await.expect("in memory");
    let mut socket = TcpStream::connect(server.address())
        .await
        .expect("it is up");
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    socket.write_all(request).await.expect("writable");
    let mut back = Vec::new();
    let _ = soon("the end", socket.read_to_end(&mut back)).await;
    assert!(!back.starts_with(b"HTTP"));
    exchange(&server, "/listStreams", "", b"{}").await;
    server.stop().await;
}

/// What the server shows to a new connection.
async fn shown(server: &Handle) -> CertificateDer<'static> {
    let stream = connect(server).await;
    let chain = stream.get_ref().1.peer_certificates();
    chain.expect("a chain")[0].clone().into_owned()
}

#[tokio::test]
async fn a_certificate_is_exchanged_while_the_server_runs() {
    let place = tempfile::tempdir().expect("a folder");
    let put = |from: &str, to: &str| {
        std::fs::copy(folder().join(from), place.path().join(to)).expect("writable");
    };
    put("server.pem", "cert.pem");
    put("server-key.pem", "key.pem");
    let config = Config {
        tls: Some(TlsFiles {
            cert: place.path().join("cert.pem"),
            key: place.path().join("key.pem"),
        }),
        ..config()
    };
    let server = Server::start(config).await.expect("in memory");
    let mut open = connect(&server).await;
    assert_eq!(shown(&server).await, certificate("server.pem"));
    // The key is still the old one's.
    put("renewed.pem", "cert.pem");
    server.reload().expect("a thread").join().expect("it ends");
    assert_eq!(shown(&server).await, certificate("server.pem"));
    put("renewed-key.pem", "key.pem");
    server.reload().expect("a thread").join().expect("it ends");
    assert_eq!(shown(&server).await, certificate("renewed.pem"));
    std::fs::write(place.path().join("cert.pem"), "damaged").expect("writable");
    server.reload().expect("a thread").join().expect("it ends");
    assert_eq!(shown(&server).await, certificate("renewed.pem"));
    // A file that hangs, as one far away may, holds up nobody else.
    let cert = place.path().join("cert.pem");
    std::fs::remove_file(&cert).expect("it is ours");
    let made = std::process::Command::new("mkfifo").arg(&cert).status();
    assert!(made.is_ok_and(|made| made.success()));
    let hangs = server.reload().expect("a thread");
    // Whoever was connected has noticed nothing.
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    open.write_all(request).await.expect("writable");
    let mut back = Vec::new();
    let read = soon("the response", open.read_to_end(&mut back)).await;
    assert!(read.is_ok() && back.starts_with(b"HTTP/1.1 200"));
    server.stop().await;
    assert!(!hangs.is_finished());
    std::fs::write(&cert, "").expect("it reads");
    hangs.join().expect("it ends");
}

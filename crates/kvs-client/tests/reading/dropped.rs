//! Readers are dropped on threads of the application, which have no runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use kvs_client::{ArchiveReader, Item, LiveConfig, LiveReader, Range, Start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::camera::{Camera, create, in_time, server, service};

/// What waits for an answer.
type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

fn drop_elsewhere<T: Send + 'static>(value: T) {
    let dropped = std::thread::spawn(move || drop(value)).join();
    assert!(dropped.is_ok(), "dropped without a runtime, it panics");
}

/// The next request, up to its head.
async fn request(listener: &TcpListener) -> TcpStream {
    let (mut socket, _) = listener.accept().await.expect("a client");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.expect("a whole head"));
    }
    socket
}

/// The answer has come, and its connection is free again, when whoever asked is dropped.
async fn answered_but_not_looked_at(ask: impl FnOnce(&str) -> Waiting) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut waiting = ask(&url);
    let mut socket = in_time(async {
        tokio::select! {
            socket = request(&listener) => socket,
            () = &mut waiting => panic!("nobody has answered"),
        }
    })
    .await;
    let woken = Arc::new(Woken(Notify::new()));
    let waker = Waker::from(Arc::clone(&woken));
    let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "nobody has answered");
    let answer = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    socket.write_all(answer).await.expect("written");
    in_time(woken.0.notified()).await;
    drop_elsewhere(waiting);
}

// Of a runtime with one thread: when the test goes on, the task of the connection has done all.
#[tokio::test]
async fn a_live_reader_that_was_just_answered() {
    answered_but_not_looked_at(|url| {
        let mut reader = LiveReader::new(service(url), LiveConfig::default());
        Box::pin(async move { drop(reader.next().await) })
    })
    .await;
}

#[tokio::test]
async fn an_archive_reader_that_was_just_answered() {
    answered_but_not_looked_at(|url| {
        let mut reader = ArchiveReader::new(service(url), Range::default());
        Box::pin(async move { drop(reader.next().await) })
    })
    .await;
}

#[tokio::test]
async fn a_call_that_was_just_answered() {
    answered_but_not_looked_at(|url| {
        let service = service(url);
        Box::pin(async move { drop(service.describe_stream().await) })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_with_an_open_connection() {
    let server = server(None, None).await;
    let service = service(server.url());
    create(&service).await;
    let mut camera = Camera::connect(server.address()).await;
    camera.send(0..3).await;

    let config = LiveConfig {
        start: Start::Earliest,
        ..LiveConfig::default()
    };
    let mut live = LiveReader::new(service.clone(), config);
    while !matches!(in_time(live.next()).await, Ok(Item::Frame { .. })) {}
    drop_elsewhere(live);

    let mut archive = ArchiveReader::new(service, Range::default());
    while !matches!(in_time(archive.next()).await, Ok(Item::Frame { .. })) {}
    drop_elsewhere(archive);
}

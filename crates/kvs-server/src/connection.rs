//! One connection: its handshake, its limits, its requests.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_service::Service;

use crate::faults::wire::Wire;
use crate::stopping::turned_true;

/// A client that speaks has sent its head by then; one that does not is holding a socket.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes no byte for that long is gone; AWS's own clients give up after 30 s.
const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest head: AWS's longest, with a session token, has some 4 KiB.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// The JavaScript SDK sends 20.
const HEADERS_MAX: usize = 64;
/// What hyper may buffer of a connection in each direction. It keeps what it once grew to.
const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// A peer that vanished without a word (its power was cut) is found out after this silence and
/// [`KEEPALIVE_PROBES`] more tries.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// See [`KEEPALIVE_IDLE`].
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// See [`KEEPALIVE_IDLE`].
const KEEPALIVE_PROBES: u32 = 3;
/// A TLS record's head, and the size of one that says no more than that the client leaves.
const RECORD_HEAD_BYTES: usize = 5;
const RECORD_ALERT: u8 = 21;
const RECORD_SEALED: u8 = 23;
/// Alert, content type and tag.
const SEALED_ALERT_BYTES: [u8; 2] = [0, 2 + 1 + 16];

/// Whether the client of the request under way has said all it has to say, so that it is gone once
/// it closes its side. A PutMedia's client may still wait for its acks then.
#[derive(Clone, Debug, Default)]
pub(crate) struct OnlyReads(Arc<AtomicBool>);

impl OnlyReads {
    /// From now on the end of what the client sends is the end of the response.
    pub(crate) fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_marked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Whether it is a program of this machine.
    pub(crate) is_local: bool,
}

impl Peer {
    fn of(socket: &TcpStream) -> Self {
        let address = socket.peer_addr();
        Self {
            is_local: address.is_ok_and(|address| address.ip().to_canonical().is_loopback()),
        }
    }
}

/// A stream over a socket, which tells whether its client has left without reading from it.
trait Client: AsyncRead + AsyncWrite + Unpin {
    fn socket(&self) -> &TcpStream;

    fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Client for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(poll_first_bytes(self, cx, &mut [0; 1])) {
            0 => Poll::Ready(()),
            // The next request.
            _ => Poll::Pending,
        }
    }
}

impl Client for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut head = [0; RECORD_HEAD_BYTES];
        let len = ready!(poll_first_bytes(self.socket(), cx, &mut head));
        let is_alert =
            head[0] == RECORD_ALERT || head[0] == RECORD_SEALED && head[3..] == SEALED_ALERT_BYTES;
        if len == 0 || is_alert {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// How many bytes wait to be read; they stay there. A socket that broke has none.
fn poll_first_bytes(socket: &TcpStream, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<usize> {
    let peeked = ready!(socket.poll_peek(cx, &mut ReadBuf::new(out)));
    Poll::Ready(peeked.unwrap_or(0))
}

/// Sets what every socket has.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    // Acks are small and each is waited for.
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)?;
    Ok(())
}

/// Serves one client until it leaves, breaks a limit, or `stopping` turns true and its last
/// response is out. With faults enabled it may be cut.
pub(crate) async fn serve(
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    stopping: watch::Receiver<bool>,
    faults: Option<Wire>,
) {
    let peer = Peer::of(&socket);
    if let Err(error) = prepare(&socket) {
        tracing::debug!(%error, "a connection was gone before it began");
        return;
    }
    let Some(tls) = tls else {
        return serve_http(socket, peer, router, stopping, faults).await;
    };
    match timeout(HANDSHAKE_TIMEOUT, tls.accept(socket)).await {
        Ok(Ok(stream)) => serve_http(stream, peer, router, stopping, faults).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn serve_http(
    io: impl Client,
    peer: Peer,
    router: Router,
    mut stopping: watch::Receiver<bool>,
    faults: Option<Wire>,
) {
    let only_reads = OnlyReads::default();
    let guard = WriteGuard::new(io, only_reads.clone(), faults.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let mut router = router.clone();
        only_reads.clear();
        request.extensions_mut().insert(only_reads.clone());
        request.extensions_mut().insert(peer);
        if let Some(wire) = &faults {
            request.extensions_mut().insert(wire.clone());
        }
        async move {
            let response: Result<_, Infallible> = router.call(request.map(Body::new)).await;
            response
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .max_header_size(HEADER_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            // A client may end its side and still wait for its last acks.
            .half_close(true)
            .serve_connection(TokioIo::new(guard), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = turned_true(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// A stream whose writes fail once the other side has taken nothing for
/// [`WRITE_STALL_TIMEOUT`], or has left although there was more for it to read.
struct WriteGuard<IO> {
    io: IO,
    only_reads: OnlyReads,
    faults: Option<Wire>,
    deadline: Pin<Box<Sleep>>,
    waiting: bool,
}

impl<IO: Client> WriteGuard<IO> {
    fn new(io: IO, only_reads: OnlyReads, faults: Option<Wire>) -> Self {
        Self {
            io,
            only_reads,
            faults,
            deadline: Box::pin(sleep(WRITE_STALL_TIMEOUT)),
            waiting: false,
        }
    }

    /// An error where the connection is to end on purpose.
    fn check_faults(&self, is_flushed: bool) -> io::Result<()> {
        let faults = self.faults.as_ref();
        faults.map_or(Ok(()), |wire| wire.check(self.io.socket(), is_flushed))
    }

    /// Passes on what a write gave, or the stall's error in its place.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        if !self.waiting {
            self.waiting = true;
            let deadline = Instant::now() + WRITE_STALL_TIMEOUT;
            self.deadline.as_mut().reset(deadline);
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for WriteGuard<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: Client> AsyncWrite for WriteGuard<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_faults(false)?;
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_faults(false)?;
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes whenever it is woken, also where nothing is to be written: the place to learn
    /// that the client has left while the response waits for media.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.only_reads.is_marked() && self.io.poll_left(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if let Some(wire) = &self.faults {
            wire.register(cx.waker());
        }
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.check_faults(flushed.is_ready())?;
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.watch(cx, shut)
    }
}

//! A running server: start it, ask where it is, stop it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};

use crate::app::App;
use crate::auth::Auth;
use crate::backup_socket::BackupSocket;
use crate::config::Config;
use crate::connection;
use crate::faults::wire::{Wire, reset_on_close};
use crate::faults::{Faults, LetGo};
use crate::live;
use crate::lock::lock;
use crate::metrics::Present;
use crate::router::router;
use crate::start_error::StartError;
use crate::stopping::turned_true;
use crate::store::StoreError;
use crate::tls::Tls;

/// Sockets open at once. Each holds two buffers of 32 KiB at worst, so some 256 MiB.
const CONNECTIONS_MAX: u64 = 4096;
/// Files that the store needs whatever the number of connections.
const STORE_FILES: u64 = 64;
/// How long a stop waits for responses under way. Sessions end themselves after 4 s.
const STOP_TIMEOUT: Duration = Duration::from_millis(4700);
/// A pause after a failed accept (out of file descriptors), so that it is no busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The server itself; see [`Server::start`].
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Opens the store, binds the address and serves in the background of the current tokio
    /// runtime, until the handle is stopped or dropped.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        if config.credentials.is_none() && !config.listen.ip().is_loopback() {
            return Err(StartError::OpenToNetwork(config.listen));
        }
        let tls = config.tls.as_ref().map(Tls::open).transpose()?;
        let tls = tls.map(Arc::new);
        let bind = async {
            let listener = TcpListener::bind(config.listen).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind.await.map_err(|source| StartError::Listen {
            address: config.listen,
            source,
        })?;
        if !address.ip().is_loopback() && config.tls.is_none() {
            tracing::warn!(
                "listening on {address} without TLS: the network can see the pictures; \
                 give --tls-cert and --tls-key"
            );
        }
        if config.faults {
            tracing::warn!(
                "faults are enabled: whoever may administer this server can make it fail; \
                 not for data that matters"
            );
        }
        let (stop, stopping) = watch::channel(false);
        let (running, gone) = mpsc::channel(1);
        let open = move || {
            let app = App::open(config, address, stopping, running)?;
            for seed in &app.config().seeds {
                seed.sow(&app).map_err(|what| StartError::Seed {
                    path: seed.file.clone(),
                    what,
                })?;
            }
            Ok::<_, StartError>(app)
        };
        // It reads files and opens the store.
        let app = spawn_blocking(open)
            .await
            .map_err(|_| StoreError::Interrupted)??;
        tokio::spawn(live::sweep_on(Arc::downgrade(app.live())));
        let url = app.hosts().base_url(None);
        let data = app.config().data.as_deref();
        let backups = data.and_then(|data| BackupSocket::listen(data, app.store().clone()));
        let auth = Arc::clone(app.auth());
        let served = tokio::spawn(accept(listener, tls.clone(), app));
        Ok(Handle {
            address,
            url,
            tls,
            auth,
            reloading: Arc::default(),
            backups,
            stop,
            served,
            gone,
        })
    }
}

/// A server that runs. Dropping it ends the server at once; [`stop`](Self::stop) is kinder.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    url: String,
    tls: Option<Arc<Tls>>,
    auth: Arc<Auth>,
    reloading: Arc<Mutex<()>>,
    backups: Option<BackupSocket>,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
    /// Closed when nothing holds the store any more.
    gone: mpsc::Receiver<Infallible>,
}

impl Handle {
    /// The base URL of every API, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads the certificate and its key, and the credentials, again: new connections and requests
    /// go by them. A file that is unusable is an error in the log, and what was read from it before
    /// stays in force. On a thread of its own, one time after the other: a file may lie where
    /// reading hangs, and the server is to be stopped then as well. Only the thread may be refused.
    pub fn reload(&self) -> io::Result<thread::JoinHandle<()>> {
        let (tls, auth) = (self.tls.clone(), Arc::clone(&self.auth));
        let reloading = Arc::clone(&self.reloading);
        thread::Builder::new()
            .name("kvs-reload".into())
            .spawn(move || {
                let _one_at_a_time = lock(&reloading);
                for (what, reloaded) in [
                    ("the certificate", tls.map(|tls| tls.reload())),
                    ("the credentials", auth.reload()),
                ] {
                    match reloaded {
                        Some(Ok(())) => tracing::info!("{what}: read again"),
                        Some(Err(error)) => tracing::error!(%error, "{what}: as before"),
                        None => {}
                    }
                }
            })
    }

    /// Takes no more requests, gives fragments under way 4 s to end, and is gone within 5 s.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        self.backups = None;
        // Its only errors: it panicked, or it was aborted. Either way it runs no more.
        let deadline = Instant::now() + STOP_TIMEOUT;
        let _ = (&mut self.served).await;
        self.wait_until_gone(deadline).await;
    }

    /// Ends everything at once, as a crash would, but for what the store has already been given.
    pub async fn abort(mut self) {
        self.backups = None;
        self.served.abort();
        let _ = (&mut self.served).await;
        self.wait_until_gone(Instant::now() + STOP_TIMEOUT).await;
    }

    /// Sessions that lost their connection end by themselves, and the store with the last one.
    async fn wait_until_gone(&mut self, deadline: Instant) {
        if timeout_at(deadline, self.gone.recv()).await.is_err() {
            tracing::warn!("some sessions did not end in time");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.served.abort();
    }
}

/// As many files as this process may have open.
fn file_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// So many connections that the store still gets its files: a reader of what is stored has one
/// beside its socket.
fn connections_max(file_limit: u64) -> usize {
    let connections = file_limit.saturating_sub(STORE_FILES) / 2;
    connections.clamp(1, CONNECTIONS_MAX) as usize
}

/// Takes connections until told to stop, then waits for those that are open.
async fn accept(listener: TcpListener, tls: Option<Arc<Tls>>, app: Arc<App>) {
    let room = Arc::new(Semaphore::new(connections_max(file_limit())));
    let mut stopping = app.stopping();
    let faults = app.faults().cloned();
    let held_up = faults.clone().map(LetGo);
    let connected = app.metrics().connections.clone();
    let router = router(app);
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = next => accepted,
            Some(_) = connections.join_next() => continue,
            () = turned_true(&mut stopping) => break,
        };
        match accepted {
            Ok((socket, _)) if faults.as_ref().is_some_and(Faults::refuse) => {
                reset_on_close(&socket);
            }
            Ok((socket, _)) => {
                let tls = tls.as_ref().map(|tls| tls.acceptor());
                let wire = faults.as_ref().map(|_| Wire::default());
                let served = connection::serve(socket, tls, router.clone(), stopping.clone(), wire);
                let present = Present::among(&connected);
                connections.spawn(async move {
                    served.await;
                    drop((place, present));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop((listener, held_up));
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_TIMEOUT, all).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_the_store_its_files() {
        assert_eq!(connections_max(u64::MAX), 4096);
        assert_eq!(connections_max(1024), 480);
        assert_eq!(connections_max(0), 1);
    }
}

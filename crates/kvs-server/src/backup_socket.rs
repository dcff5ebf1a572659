//! Where a server waits for `kvs-server backup`: a socket in the data folder.
//!
//! Whoever may open the folder may use it, so it needs no credentials, and a backup works in a
//! container and beside a sandboxed service alike: the tool copies, with its own rights.

use std::fs::{self, Permissions};
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::lock::lock;
use crate::store::{BACKUP_SOCKET_FILE, Store};

/// Each has a thread, and what it copies cannot be given back meanwhile. One more waits.
const BACKUPS_MAX: usize = 8;
/// A pause after a failure (out of file descriptors), so that it is no busy loop.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// The socket; when it is dropped, backups under way end, and so does what they hold of the store.
#[derive(Debug)]
pub(crate) struct BackupSocket {
    path: PathBuf,
    accepting: JoinHandle<()>,
    open: Open,
}

/// Those who are being served, to be cut off.
type Open = Arc<Mutex<Vec<Weak<UnixStream>>>>;

impl BackupSocket {
    /// Listens in the data folder, which is ours: a socket that is there has nobody behind it.
    /// Where it cannot, there is no backup while the server runs, and the log says so.
    pub(crate) fn listen(data: &Path, store: Store) -> Option<Self> {
        let path = data.join(BACKUP_SOCKET_FILE);
        let listener = match bind(&path) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(%error, "kvs-server backup works only while this server is stopped");
                return None;
            }
        };
        let open = Open::default();
        let accepting = tokio::spawn(accept(listener, store, Arc::clone(&open)));
        Some(Self {
            path,
            accepting,
            open,
        })
    }
}

impl Drop for BackupSocket {
    fn drop(&mut self) {
        self.accepting.abort();
        for socket in lock(&self.open).iter().filter_map(Weak::upgrade) {
            // One that has ended is no error.
            let _ = socket.shutdown(Shutdown::Both);
        }
        let _ = fs::remove_file(&self.path);
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, store: Store, open: Open) {
    // One at a time would let one that hangs keep all others out.
    let room = Arc::new(Semaphore::new(BACKUPS_MAX));
    loop {
        let place = Arc::clone(&room).acquire_owned().await;
        let accepted = listener.accept().await;
        let served = accepted.and_then(|(socket, _)| serve(socket, store.clone(), &open, place));
        if let Err(error) = served {
            tracing::warn!(%error, "cannot serve a backup");
            tokio::time::sleep(ACCEPT_RETRY).await;
        }
    }
}

/// In a thread of its own, as it reads the whole index and then waits.
fn serve(
    socket: tokio::net::UnixStream,
    store: Store,
    open: &Open,
    place: impl Send + 'static,
) -> io::Result<()> {
    let socket = socket.into_std()?;
    socket.set_nonblocking(false)?;
    let socket = Arc::new(socket);
    {
        let mut open = lock(open);
        open.retain(|ended| ended.strong_count() > 0);
        open.push(Arc::downgrade(&socket));
    }
    let run = move || {
        tracing::info!("a backup begins: no room is given back until it ends");
        match store.serve_backup(&*socket) {
            Ok(()) => tracing::info!("a backup has ended"),
            Err(error) => tracing::warn!(%error, "a backup has ended early"),
        }
        drop(place);
    };
    thread::Builder::new()
        .name("kvs-backup".into())
        .spawn(run)
        .map(drop)
}

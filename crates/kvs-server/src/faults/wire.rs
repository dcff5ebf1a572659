//! The end of a connection on purpose: asked for by a request, done by the connection's stream.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use rustix::net::sockopt::set_socket_linger;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::lock::lock;

/// How a connection ends.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// The client reads an error. What it has not been sent by then is lost.
    #[default]
    Reset,
    /// The client reads an end where there should be none.
    Close,
}

/// What a connection shares with its requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<State>);

#[derive(Debug, Default)]
struct State {
    cut: Mutex<Option<Cut>>,
    connection: AtomicWaker,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    how: How,
    flush_first: bool,
}

impl Wire {
    /// Ends the connection now.
    pub(super) fn cut(&self, how: How) {
        self.end(Cut {
            how,
            flush_first: false,
        });
    }

    /// Ends the connection when all is sent that was to be sent until now.
    pub(super) fn cut_when_flushed(&self, how: How) {
        self.end(Cut {
            how,
            flush_first: true,
        });
    }

    fn end(&self, cut: Cut) {
        *lock(&self.0.cut) = Some(cut);
        self.0.connection.wake();
    }

    /// Wakes the connection's task when there is something to ask.
    pub(crate) fn register(&self, waker: &Waker) {
        self.0.connection.register(waker);
    }

    /// Asked by the connection: an error if it is to end here.
    pub(crate) fn check(&self, socket: &TcpStream, is_flushed: bool) -> io::Result<()> {
        match *lock(&self.0.cut) {
            Some(cut) if is_flushed || !cut.flush_first => {
                if cut.how == How::Reset {
                    reset_on_close(socket);
                }
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            _ => Ok(()),
        }
    }
}

/// From now on closing the socket is a reset.
pub(crate) fn reset_on_close(socket: &TcpStream) {
    // It fails for a socket that is gone, which needs no reset.
    let _ = set_socket_linger(socket, Some(std::time::Duration::ZERO));
}

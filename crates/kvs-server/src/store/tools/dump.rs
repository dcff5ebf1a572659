//! What a backup is told of a store: streams with their keys, rows, and where they end.
//!
//! It goes through a socket, as the index is open in the process that serves, and whoever copies is
//! another. The connection is the hold: when it ends, however it ends, so does that.

use std::collections::HashSet;
use std::io::{self, BufWriter, Read, Write};

use serde::{Deserialize, Serialize};

use crate::store::Store;
use crate::store::disk;
use crate::store::error::StoreError;
use crate::store::folder::keys;
use crate::store::index::{Entry, Reserved, Snapshot};
use crate::store::segments::Place;
use crate::store::state::Shared;
use crate::store::stream::{Stream, StreamId};

/// A stream's JSON has its tags; rows come in batches far below this.
const FRAME_BYTES_MAX: usize = 8 << 20;
/// So many rows in a frame.
const BATCH_ROWS: usize = 4096;

/// What is said once, first.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Facts {
    pub(super) master_key_mark: u64,
    pub(super) next_stream: u64,
    pub(super) checkpoint: (u32, u32),
    /// 0 where no time was trusted yet.
    pub(super) trusted_ms: u64,
}

/// A stream, with what its key's file holds.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct DumpedStream {
    pub(super) stream: Stream,
    pub(super) reserved: (u64, u64),
    /// `None` where the file is missing or damaged.
    pub(super) wrapped_key: Option<Vec<u8>>,
}

/// One thing that is said.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Frame {
    Facts(Facts),
    Stream(Box<DumpedStream>),
    Rows(Vec<Entry>),
    /// Stream, segment, block, blocks.
    Unproven(Vec<(u32, u32, u32, u32)>),
    /// All has been said.
    End,
    /// Nothing was given back since the first frame, or it was.
    Unbroken(bool),
    /// It cannot be done.
    Failed(String),
}

/// Writes a frame: its length, and JSON.
fn send(to: &mut impl Write, frame: &Frame) -> io::Result<()> {
    let bytes = serde_json::to_vec(frame).map_err(io::Error::other)?;
    to.write_all(&(bytes.len() as u32).to_le_bytes())?;
    to.write_all(&bytes)
}

/// Reads a frame.
pub(super) fn receive(from: &mut impl Read) -> io::Result<Frame> {
    let mut len = [0; 4];
    from.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len) as usize;
    if len > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too large"));
    }
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes)?;
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}

impl Store {
    /// Serves one backup: says what there is, and holds it until the other end is gone. Blocks.
    pub(crate) fn serve_backup(&self, mut socket: impl Read + Write) -> io::Result<()> {
        let shared = &self.0.shared;
        let hold = shared.holds.hold();
        let said = self.checkpoint().and_then(|()| shared.snapshot());
        let said = match said {
            Ok(snapshot) => say(shared, &snapshot, &mut socket),
            Err(error) => Err(error),
        };
        if let Err(error) = said {
            return send(&mut socket, &Frame::Failed(error.to_string()));
        }
        // A byte asks whether all that was copied is what was said.
        let mut asked = [0];
        socket.read_exact(&mut asked)?;
        send(&mut socket, &Frame::Unbroken(hold.is_unbroken()))
    }
}

fn say(shared: &Shared, snapshot: &Snapshot, to: &mut impl Write) -> Result<(), StoreError> {
    let failed = StoreError::io("tell the backup what there is");
    let mut to = BufWriter::new(to);
    let mut say = |frame: &Frame| send(&mut to, frame).map_err(&failed);
    let checkpoint = snapshot.checkpoint()?;
    say(&Frame::Facts(Facts {
        master_key_mark: shared.folder.master.mark(),
        next_stream: snapshot.next_stream()?,
        checkpoint: (checkpoint.segment, checkpoint.block),
        trusted_ms: snapshot.trusted_ms()?,
    }))?;
    let mut said = HashSet::new();
    for stream in snapshot.streams()? {
        let id = stream.id;
        let path = keys::path(id);
        let wrapped_key = match disk::read_whole(shared.disk.as_ref(), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read.map_err(StoreError::io(format!("read {path}")))?),
        };
        // One that is deleted meanwhile leaves the streams before its key is overwritten.
        let Ok(live) = shared.stream(id) else {
            continue;
        };
        // A damaged one must not take the place of one that an earlier backup has.
        let wrapped_key = wrapped_key.filter(|_| live.key().is_ok());
        let Reserved {
            sequence,
            server_ms,
        } = snapshot.reserved(id)?;
        said.insert(id);
        say(&Frame::Stream(Box::new(DumpedStream {
            stream,
            reserved: (sequence, server_ms),
            wrapped_key,
        })))?;
    }
    let is_said = |stream: StreamId| said.contains(&stream);
    let mut unproven = snapshot.unproven()?;
    unproven.retain(|unproven| is_said(unproven.stream));
    for some in unproven.chunks(BATCH_ROWS) {
        let some = some.iter().map(|unproven| {
            let Place { segment, block } = unproven.place;
            (unproven.stream.0, segment, block, unproven.blocks)
        });
        say(&Frame::Unproven(some.collect()))?;
    }
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    for row in snapshot.rows()? {
        let row = row?;
        if !is_said(row.facts.stream) {
            continue;
        }
        batch.push(row.entry());
        if batch.len() == BATCH_ROWS {
            say(&Frame::Rows(std::mem::take(&mut batch)))?;
        }
    }
    say(&Frame::Rows(batch))?;
    say(&Frame::End)?;
    to.flush().map_err(&failed)
}

impl Facts {
    pub(super) fn checkpoint(&self) -> Place {
        let (segment, block) = self.checkpoint;
        Place { segment, block }
    }
}

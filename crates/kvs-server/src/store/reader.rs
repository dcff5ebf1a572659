//! Reads one fragment, a chunk at a time.

use std::sync::Arc;

use bytes::Bytes;
use ring::aead::LessSafeKey;

use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::index::Row;
use super::record::{self, CHUNK_BYTES, HEADER_BYTES, RecordHeader, TAG_BYTES};
use super::segments;
use super::state::{Shared, StreamState};

/// Holds no more than a chunk, however large the fragment and however slow its reader.
pub struct FragmentReader {
    /// What every reader gets in front of the cluster: the first so many bytes.
    pub header_bytes: u64,
    /// The cluster; what follows it are the tags.
    pub cluster_bytes: u64,
    /// Apart, as a prepared key alone has half a kilobyte.
    open: Box<OpenRecord>,
    chunk: u64,
    left: u64,
}

struct OpenRecord {
    shared: Arc<Shared>,
    file: Arc<dyn DiskFile>,
    stream: Arc<StreamState>,
    key: LessSafeKey,
    row: Row,
    header: RecordHeader,
}

impl std::fmt::Debug for FragmentReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("FragmentReader");
        shown
            .field("record", &self.open.header)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

fn damaged(row: &Row, what: &'static str) -> StoreError {
    StoreError::Damaged {
        stream: row.facts.stream,
        number: row.facts.number,
        what,
    }
}

/// The header of the record that a row points at, and its file.
pub(super) fn find_record(
    disk: &dyn Disk,
    row: &Row,
) -> Result<(Arc<dyn DiskFile>, RecordHeader), StoreError> {
    let path = segments::path(row.place.segment);
    let file = disk
        .open(&path)
        .map_err(StoreError::io(format!("open {path}")))?;
    let mut bytes = [0; HEADER_BYTES];
    file.read_at(row.place.offset(), &mut bytes)
        .map_err(|_| damaged(row, "its segment is too short"))?;
    let header = RecordHeader::parse(&bytes).ok_or_else(|| damaged(row, "no header there"))?;
    if row.facts != header.facts {
        return Err(damaged(row, "another record lies there"));
    }
    Ok((file, header))
}

/// A fragment that expired or was evicted meanwhile is not damaged; it is gone.
fn unless_gone(shared: &Shared, row: &Row, error: StoreError) -> StoreError {
    let found = shared
        .snapshot()
        .and_then(|snapshot| snapshot.row(row.facts.stream, row.facts.number));
    match found {
        Ok(found) if found != Some(*row) => StoreError::NoFragment,
        _ => error,
    }
}

impl OpenRecord {
    fn damaged(&self, what: &'static str) -> StoreError {
        unless_gone(&self.shared, &self.row, damaged(&self.row, what))
    }
}

impl FragmentReader {
    pub(super) fn new(
        shared: &Arc<Shared>,
        stream: Arc<StreamState>,
        row: Row,
    ) -> Result<Self, StoreError> {
        let found = find_record(shared.disk.as_ref(), &row);
        let (file, header) = found.map_err(|error| unless_gone(shared, &row, error))?;
        Ok(Self {
            header_bytes: u64::from(header.facts.header_bytes),
            cluster_bytes: u64::from(header.facts.cluster_bytes),
            open: Box::new(OpenRecord {
                file,
                shared: Arc::clone(shared),
                key: stream.key()?.record_key(&header.salt),
                stream,
                row,
                header,
            }),
            chunk: 0,
            left: header.facts.plain_bytes(),
        })
    }

    /// The next bytes, at most 64 KiB: header, cluster, tags, in a row. Blocks on the disk.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, StoreError> {
        let open = &*self.open;
        // A body without bytes still has a chunk, and nothing to give.
        if self.left == 0 {
            return Ok(None);
        }
        if open.stream.is_deleted() {
            return Err(StoreError::NoStream);
        }
        let plain = self.left.min(CHUNK_BYTES as u64) as usize;
        let stride = record::SEALED_CHUNK_BYTES as u64;
        let offset = open.row.place.offset() + HEADER_BYTES as u64 + self.chunk * stride;
        let mut sealed = vec![0; plain + TAG_BYTES];
        open.file
            .read_at(offset, &mut sealed)
            .map_err(|_| open.damaged("it cannot be read to its end"))?;
        record::open_chunk(&open.header, &open.key, self.chunk, &mut sealed)
            .ok_or_else(|| open.damaged("it does not authenticate"))?;
        sealed.truncate(plain);
        self.chunk += 1;
        self.left -= plain as u64;
        Ok(Some(sealed.into()))
    }
}

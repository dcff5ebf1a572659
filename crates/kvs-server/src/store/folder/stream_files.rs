//! The streams' files: what the index knows of each stream, once more, so that an index that is
//! lost can be made again.
//!
//! A file's name has the stream's id and how often it was changed, so one listing tells whether
//! every stream has its file and no file is left over.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crate::store::disk::{self, Disk};
use crate::store::error::StoreError;
use crate::store::stream::{Stream, StreamId};

/// The folder of the streams' files.
pub(in crate::store) const STREAMS: &str = "streams";
/// What the name of the file of a stream ends with that is being deleted.
const DELETED: &str = ".deleted";

fn file_name(id: StreamId, revision: u32) -> String {
    format!("{:08x}-{revision:08x}", id.0)
}

fn path(name: &str) -> String {
    format!("{STREAMS}/{name}")
}

/// The stream and the revision in a file's name.
fn parse_name(name: &str) -> Option<(StreamId, u32)> {
    let (id, revision) = name.split_once('-')?;
    let id = StreamId(u32::from_str_radix(id, 16).ok()?);
    let revision = u32::from_str_radix(revision, 16).ok()?;
    (file_name(id, revision) == name).then_some((id, revision))
}

/// The stream whose deletion left this name.
fn parse_deleted(name: &str) -> Option<StreamId> {
    let id = name.strip_suffix(DELETED)?;
    let id = StreamId(u32::from_str_radix(id, 16).ok()?);
    (format!("{:08x}{DELETED}", id.0) == name).then_some(id)
}

/// The file's bytes: a checksum, a space, JSON, a newline.
fn to_bytes(stream: &Stream) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(stream).map_err(io::Error::other)?;
    let mut bytes = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    bytes.push(b'\n');
    Ok(bytes)
}

fn from_bytes(bytes: &[u8]) -> Option<Stream> {
    let (crc, json) = bytes.strip_suffix(b"\n")?.split_at_checked(9)?;
    let right = format!("{:08x} ", crc32fast::hash(json));
    (crc == right.as_bytes()).then(|| serde_json::from_slice(json).ok())?
}

/// Makes the file of a stream as it is to be, durably. It goes before the index: one that the
/// index then does not come to know is taken away by [`settle`].
pub(in crate::store) fn write(disk: &dyn Disk, stream: &Stream) -> Result<(), StoreError> {
    let name = file_name(stream.id, stream.revision);
    to_bytes(stream)
        .and_then(|bytes| disk::write_whole(disk, &format!("{STREAMS}/"), &name, &bytes))
        .map_err(StoreError::io("write a stream's file"))
}

/// The same where it may be there already.
pub(in crate::store) fn write_or_keep(disk: &dyn Disk, stream: &Stream) -> Result<(), StoreError> {
    match disk.open(&path(&file_name(stream.id, stream.revision))) {
        // Who wrote it may have ended between its name and the sync of that.
        Ok(_) => disk
            .sync_dir(STREAMS)
            .map_err(StoreError::io("write a stream's file")),
        Err(_) => write(disk, stream),
    }
}

/// Takes the file away that a stream had before it was changed.
pub(in crate::store) fn remove(disk: &dyn Disk, id: StreamId, revision: u32) -> io::Result<()> {
    disk::unlink_if_there(disk, &path(&file_name(id, revision)))
}

/// Says durably that the stream is being deleted: from here it does not come back, also where the
/// index is lost before its key is gone.
pub(in crate::store) fn begin_deletion(disk: &dyn Disk, stream: &Stream) -> Result<(), StoreError> {
    let name = path(&file_name(stream.id, stream.revision));
    let renamed = disk.rename(&name, &deleted_path(stream.id));
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    renamed
        .or_else(|error| if missing(&error) { Ok(()) } else { Err(error) })
        .and_then(|()| disk.sync_dir(STREAMS))
        .map_err(StoreError::io("take a stream's file away"))
}

/// The stream's key is gone, and with it the need to know that it was deleted.
pub(in crate::store) fn end_deletion(disk: &dyn Disk, id: StreamId) -> io::Result<()> {
    disk::unlink_if_there(disk, &deleted_path(id))
}

fn deleted_path(id: StreamId) -> String {
    path(&format!("{:08x}{DELETED}", id.0))
}

/// Makes the files those of the streams that the index has; for a start, when the keys without a
/// stream are gone.
pub(in crate::store) fn settle<'a>(
    disk: &dyn Disk,
    streams: impl Iterator<Item = &'a Stream>,
) -> Result<(), StoreError> {
    let mut missing: BTreeMap<String, &Stream> = streams
        .map(|stream| (file_name(stream.id, stream.revision), stream))
        .collect();
    for name in list(disk)? {
        let whole = name.strip_suffix(disk::FRESH).unwrap_or(&name);
        let ours = parse_name(whole).is_some() || parse_deleted(whole).is_some();
        if missing.remove(&name).is_none() && ours {
            let path = path(&name);
            disk::unlink_if_there(disk, &path)
                .map_err(StoreError::io(format!("take {path} away")))?;
        }
    }
    missing.values().try_for_each(|stream| write(disk, stream))
}

/// What is wrong with the files, a line each; `streams` are those of the index.
pub(in crate::store) fn check(
    disk: &dyn Disk,
    streams: &[Arc<Stream>],
) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let mut left: BTreeSet<String> = list(disk)?.into_iter().collect();
    for stream in streams {
        let name = file_name(stream.id, stream.revision);
        let bytes = disk::read_whole(disk, &path(&name)).ok();
        if !bytes.is_some_and(|bytes| from_bytes(&bytes).as_ref() == Some(stream.as_ref())) {
            wrong.push(format!("{}: is not what the index says", path(&name)));
        }
        left.remove(&name);
    }
    let left = left.into_iter().map(|name| path(&name));
    wrong.extend(left.map(|path| format!("{path}: of no stream")));
    Ok(wrong)
}

/// What the files say when there is no index.
#[derive(Default)]
pub(in crate::store) struct Filed {
    /// The streams, each as its highest revision says.
    pub(in crate::store) streams: BTreeMap<StreamId, Stream>,
    /// Streams whose deletion had begun.
    pub(in crate::store) deleted: BTreeSet<StreamId>,
}

/// Reads all files. One that is damaged is an error: without it the stream would be gone.
pub(in crate::store) fn load_all(disk: &dyn Disk) -> Result<Filed, StoreError> {
    let mut filed = Filed::default();
    let mut names = list(disk)?;
    // Of a stream with two files the one of the later revision comes later.
    names.sort_unstable();
    for name in names {
        filed.deleted.extend(parse_deleted(&name));
        let Some((id, _)) = parse_name(&name) else {
            continue;
        };
        let path = path(&name);
        let bytes = disk::read_whole(disk, &path)
            .map_err(StoreError::io(format!("read the stream's file {path}")))?;
        let stream = from_bytes(&bytes).filter(|stream| stream.id == id);
        let stream = stream.ok_or(StoreError::StreamFile(path))?;
        filed.streams.insert(id, stream);
    }
    filed.streams.retain(|id, _| !filed.deleted.contains(id));
    Ok(filed)
}

/// The names in the folder, which is made in a data folder of an earlier version.
fn list(disk: &dyn Disk) -> Result<Vec<String>, StoreError> {
    let listed = match disk.list(STREAMS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => disk
            .create_dir(STREAMS)
            .and_then(|()| disk.sync_dir(""))
            .map(|()| Vec::new()),
        listed => listed,
    };
    listed.map_err(StoreError::io("list the streams' files"))
}

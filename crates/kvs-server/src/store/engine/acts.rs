//! Changes of the streams themselves: create, update, delete.

use std::sync::Arc;

use super::Engine;
use super::writer::Act;
use crate::store::error::StoreError;
use crate::store::folder::keys;
use crate::store::folder::stream_files;
use crate::store::index::Reserved;
use crate::store::state::RESERVED_NUMBERS;
use crate::store::stream::{NewStream, Stream, StreamId};

/// Does it and answers.
pub(super) fn perform(engine: &mut Engine, act: Act) {
    // A caller that is gone needs no answer.
    match act {
        Act::Create { new, reply } => drop(reply.send(create(engine, new))),
        Act::Update { stream, reply } => drop(reply.send(update(engine, stream))),
        Act::Delete { stream, reply } => drop(reply.send(delete(engine, stream))),
        Act::Checkpoint { reply } => drop(reply.send(engine.change_now(|_| Ok(())))),
    }
}

/// Answers that it cannot be done.
pub(super) fn refuse(act: Act, error: &StoreError) {
    match act {
        Act::Create { reply, .. } | Act::Update { reply, .. } => {
            drop(reply.send(Err(error.again())));
        }
        Act::Delete { reply, .. } | Act::Checkpoint { reply } => {
            drop(reply.send(Err(error.again())));
        }
    }
}

/// Key first, then the row: a key without a stream is destroyed at the next start.
fn create(engine: &mut Engine, new: NewStream) -> Result<Arc<Stream>, StoreError> {
    let shared = Arc::clone(&engine.shared);
    if shared.stream_named(new.name.as_str()).is_some() {
        return Err(StoreError::Exists);
    }
    let created = engine.change_now(|changes| {
        let id = changes.new_stream_id()?;
        let key = keys::create(
            shared.disk.as_ref(),
            &shared.folder.master,
            id,
            shared.random.as_ref(),
        )?;
        let stream = Stream::new(id, shared.clock.now_ms(), new);
        stream_files::write(shared.disk.as_ref(), &stream)?;
        changes.put_stream(&stream)?;
        changes.reserve(
            id,
            Reserved {
                sequence: RESERVED_NUMBERS,
                server_ms: 0,
            },
        )?;
        Ok((stream, key))
    });
    let (stream, key) = created.inspect_err(|error| engine.fail(error))?;
    Ok(shared.add_stream(stream, key).info())
}

/// The file first, then the row: a file that the index does not know goes at the next start.
fn update(engine: &mut Engine, mut stream: Stream) -> Result<Arc<Stream>, StoreError> {
    let live = engine.shared.stream(stream.id)?;
    let old = live.info();
    if old.revision != stream.revision {
        return Err(StoreError::Changed);
    }
    stream.revision = old.revision.wrapping_add(1);
    let written = stream_files::write(engine.shared.disk.as_ref(), &stream);
    written.inspect_err(|error| engine.left_files(error))?;
    let changed = engine.change_now(|changes| changes.put_stream(&stream));
    changed.inspect_err(|error| engine.fail(error))?;
    let info = Arc::new(stream);
    live.set_info(Arc::clone(&info));
    if info.retention_hours < old.retention_hours {
        engine.lowered(info.id);
    }
    let removed = stream_files::remove(engine.shared.disk.as_ref(), old.id, old.revision);
    removed.unwrap_or_else(|error| engine.left_files(&error));
    Ok(info)
}

/// Row first, then the key: whatever happens in between, the next start destroys it.
fn delete(engine: &mut Engine, stream: StreamId) -> Result<(), StoreError> {
    let shared = Arc::clone(&engine.shared);
    let info = shared.stream(stream)?.info();
    let changed = engine.change_now(|changes| changes.doom_stream(stream));
    changed.inspect_err(|error| engine.fail(error))?;
    shared.remove_stream(stream);
    engine.doom(stream);
    let disk = shared.disk.as_ref();
    let begun = stream_files::begin_deletion(disk, &info);
    // Whatever is wrong with the file, the key goes.
    let destroyed = keys::destroy(disk, stream);
    destroyed
        .and(begun)
        .inspect_err(|error| engine.left_files(error))?;
    let ended = stream_files::end_deletion(disk, stream);
    ended.unwrap_or_else(|error| engine.left_files(&error));
    Ok(())
}

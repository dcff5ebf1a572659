//! Recovery: finds what was written behind the checkpoint.

use std::io;

use super::disk::DiskFile;
use super::error::StoreError;
use super::index::Row;
use super::keys::Key;
use super::record::{self, BLOCK_BYTES, CHUNK_BYTES, HEADER_BYTES, RecordHeader, TAG_BYTES};
use super::segments::{self, Place, Scan};
use super::state::Shared;

/// Gives a row to every whole record behind the checkpoint, and cuts what is torn off the ends of
/// segments. Answers the number of the next segment: none that was there before is written again.
pub(super) fn recover(shared: &Shared) -> Result<u32, StoreError> {
    let snapshot = shared.snapshot()?;
    let checkpoint = snapshot.checkpoint()?;
    let present = segments::list(shared.disk.as_ref())?;
    let known = snapshot.segments()?;
    let known = known.iter().map(|(segment, _)| *segment);
    let freed = snapshot.free()?;
    let freed = freed.iter().map(|(place, _)| place.segment);
    // A number that anything still speaks of is not used again.
    let all = present.iter().copied().chain(known).chain(freed);
    let next = all
        .map(|segment| segment + 1)
        .max()
        .unwrap_or(1)
        .max(checkpoint.segment);
    let mut rows = Vec::new();
    for segment in present
        .into_iter()
        .filter(|segment| *segment >= checkpoint.segment)
    {
        let block = if segment == checkpoint.segment {
            checkpoint.block
        } else {
            0
        };
        recover_segment(shared, Place { segment, block }, &mut rows).map_err(StoreError::io(
            format!("recover {}", segments::path(segment)),
        ))?;
    }
    let end = Place {
        segment: next,
        block: 0,
    };
    if end != checkpoint || !rows.is_empty() {
        shared.with_index(|index| {
            index.change(true, |changes| {
                rows.iter().try_for_each(|row| changes.insert(row))?;
                changes.set_checkpoint(end)
            })
        })?;
    }
    if !rows.is_empty() {
        tracing::info!(
            fragments = rows.len(),
            "recovered what the index had not yet"
        );
    }
    Ok(next)
}

fn recover_segment(shared: &Shared, from: Place, rows: &mut Vec<Row>) -> io::Result<()> {
    let file = shared.disk.open(&segments::path(from.segment))?;
    let before = rows.len();
    let mut end = from.block;
    let mut scan = Scan::new(file.as_ref(), from.block)?;
    while let Some(found) = scan.next() {
        let (block, header) = found?;
        let place = Place {
            segment: from.segment,
            block,
        };
        // Records of a deleted stream are garbage, but what lies behind them may not be.
        let Ok(stream) = shared.stream(header.stream) else {
            continue;
        };
        if authenticates(file.as_ref(), place, &header, &stream.key)? {
            rows.push(Row::new(&header, place));
            end = block + header.blocks();
        } else {
            scan.step_back_to(block + 1);
        }
    }
    let end = u64::from(end) * BLOCK_BYTES;
    if file.len()? > end {
        file.set_len(end)?;
    }
    if rows.len() > before {
        // After a kill the bytes may be in the page cache alone, and a row makes a promise.
        file.sync_data()?;
    }
    Ok(())
}

/// Whether every chunk of a record is what was sealed.
pub(super) fn authenticates(
    file: &dyn DiskFile,
    place: Place,
    header: &RecordHeader,
    key: &Key,
) -> io::Result<bool> {
    let key = key.record_key(&header.salt);
    let plain_bytes = header.plain_bytes();
    let mut offset = place.offset() + HEADER_BYTES as u64;
    let mut left = plain_bytes;
    let mut sealed = Vec::new();
    for chunk in 0..record::chunks(plain_bytes) {
        let plain = left.min(CHUNK_BYTES as u64) as usize;
        sealed.resize(plain + TAG_BYTES, 0);
        match file.read_at(offset, &mut sealed) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        if record::open_chunk(header, &key, chunk, &mut sealed).is_none() {
            return Ok(false);
        }
        offset += sealed.len() as u64;
        left -= plain as u64;
    }
    Ok(true)
}

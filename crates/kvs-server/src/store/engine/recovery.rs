//! Recovery: finds what was written behind the checkpoint.

use std::collections::BTreeMap;
use std::io;

use crate::store::disk::DiskFile;
use crate::store::error::StoreError;
use crate::store::folder::keys::Key;
use crate::store::index::{Changes, Reserved, Row, Snapshot, Unproven};
use crate::store::record::{self, BLOCK_BYTES, CHUNK_BYTES, HEADER_BYTES, RecordHeader, TAG_BYTES};
use crate::store::segments::{self, Place, Scan};
use crate::store::state::Shared;
use crate::store::stream::StreamId;

/// What recovery found that the index does not know.
#[derive(Default)]
pub(in crate::store) struct Found {
    pub(in crate::store) rows: Vec<Row>,
    /// Of streams whose key is away.
    pub(in crate::store) unproven: Vec<Unproven>,
    /// Those of an earlier start whose key is back, or whose stream is gone.
    settled: Vec<Unproven>,
    /// The highest id of a stream, deleted or not, that a record was of.
    pub(in crate::store) stream_max: u32,
}

/// Gives a row to every whole record behind the checkpoint, and cuts what is torn off the ends of
/// segments. Answers the number of the next segment: none that was there before is written again.
pub(super) fn recover(shared: &Shared) -> Result<u32, StoreError> {
    let snapshot = shared.snapshot()?;
    let checkpoint = snapshot.checkpoint()?;
    let present = segments::list(shared.disk.as_ref())?;
    let next = next_segment(&snapshot, &present)?.max(checkpoint.segment);
    let mut found = Found::default();
    for unproven in snapshot.unproven()? {
        settle(shared, unproven, &mut found).map_err(StoreError::io(format!(
            "look again into {}",
            segments::path(unproven.place.segment)
        )))?;
    }
    for segment in present
        .into_iter()
        .filter(|segment| *segment >= checkpoint.segment)
    {
        let block = if segment == checkpoint.segment {
            checkpoint.block
        } else {
            0
        };
        recover_segment(shared, Place { segment, block }, &mut found).map_err(StoreError::io(
            format!("recover {}", segments::path(segment)),
        ))?;
    }
    let end = Place {
        segment: next,
        block: 0,
    };
    if end != checkpoint || found.changes() {
        shared.with_index(|index| {
            index.change(true, |changes| {
                found.commit(changes)?;
                for (stream, newest) in found.newest() {
                    // Beside an older index, as in a backup that was cut short when it was made
                    // again, there are records whose numbers that has not reserved.
                    if newest.sequence > snapshot.reserved(stream)?.sequence {
                        changes.reserve(stream, newest)?;
                    }
                }
                changes.set_checkpoint(end)
            })
        })?;
    }
    for (stream, newest) in found.newest() {
        if let Ok(stream) = shared.stream(stream) {
            stream.goes_on_behind(newest);
        }
    }
    if found.changes() {
        tracing::info!(
            fragments = found.rows.len(),
            without_a_key = found.unproven.len(),
            "recovered what the index had not yet"
        );
    }
    Ok(next)
}

impl Found {
    fn changes(&self) -> bool {
        !(self.rows.is_empty() && self.unproven.is_empty() && self.settled.is_empty())
    }

    /// The highest number and server time of each stream that has records among these.
    pub(in crate::store) fn newest(&self) -> BTreeMap<StreamId, Reserved> {
        let mut newest = BTreeMap::<_, Reserved>::new();
        for row in &self.rows {
            let number = row.facts.number;
            let newest = newest.entry(row.facts.stream).or_default();
            newest.sequence = newest.sequence.max(number.sequence);
            newest.server_ms = newest.server_ms.max(number.server_ms);
        }
        newest
    }

    pub(in crate::store) fn commit(&self, changes: &mut Changes<'_>) -> Result<(), StoreError> {
        let settled = self.settled.iter();
        { settled }.try_for_each(|settled| changes.remove_unproven(settled))?;
        let unproven = self.unproven.iter();
        { unproven }.try_for_each(|unproven| changes.add_unproven(unproven))?;
        self.rows.iter().try_for_each(|row| changes.insert(row))
    }
}

/// A number that anything still speaks of is not used again.
fn next_segment(snapshot: &Snapshot, present: &[u32]) -> Result<u32, StoreError> {
    let known = snapshot.segments()?;
    let known = known.iter().map(|(segment, _)| *segment);
    let freed = snapshot.free()?;
    let freed = freed.iter().map(|(place, _)| place.segment);
    segments::next(present.iter().copied().chain(known).chain(freed))
}

/// Looks again at a record whose key was away. The rows of a deleted stream go by themselves.
fn settle(shared: &Shared, unproven: Unproven, found: &mut Found) -> io::Result<()> {
    let Ok(stream) = shared.stream(unproven.stream) else {
        return Ok(());
    };
    let Ok(key) = stream.key() else {
        return Ok(());
    };
    let Place { segment, block } = unproven.place;
    let file = match shared.disk.open(&segments::path(segment)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::warn!(segment, "a segment that a key was missing for is gone");
            found.settled.push(unproven);
            return Ok(());
        }
        opened => opened?,
    };
    if let Some(record) = Scan::new(file.as_ref(), block)?.next() {
        let (at, header) = record?;
        if at == block && authenticates(file.as_ref(), unproven.place, &header, key)? {
            found.rows.push(Row::new(&header, unproven.place));
        }
    }
    found.settled.push(unproven);
    Ok(())
}

fn recover_segment(shared: &Shared, from: Place, found: &mut Found) -> io::Result<()> {
    let file = shared.disk.open(&segments::path(from.segment))?;
    let before = found.rows.len() + found.unproven.len();
    let end = find_records(shared, file.as_ref(), from, found)?;
    let end = u64::from(end) * BLOCK_BYTES;
    if file.len()? > end {
        file.set_len(end)?;
    }
    if found.rows.len() + found.unproven.len() > before {
        // After a kill the bytes may be in the page cache alone, and a row makes a promise.
        file.sync_data()?;
    }
    Ok(())
}

/// Finds the whole records of a segment from a place on. Answers where the last of them ends.
pub(in crate::store) fn find_records(
    shared: &Shared,
    file: &dyn DiskFile,
    from: Place,
    found: &mut Found,
) -> io::Result<u32> {
    let mut end = from.block;
    let mut scan = Scan::new(file, from.block)?;
    while let Some(record) = scan.next() {
        let (block, header) = record?;
        let place = Place {
            segment: from.segment,
            block,
        };
        found.stream_max = found.stream_max.max(header.facts.stream.0);
        // Records of a deleted stream are garbage, but what lies behind them may not be.
        let Ok(stream) = shared.stream(header.facts.stream) else {
            continue;
        };
        match stream.key() {
            Ok(key) if authenticates(file, place, &header, key)? => {
                found.rows.push(Row::new(&header, place));
                end = block + header.facts.blocks();
            }
            Ok(_) => scan.step_back_to(block + 1),
            // Nobody can say now whether it is whole. It stays until somebody can.
            Err(_) => {
                found.unproven.push(Unproven {
                    stream: header.facts.stream,
                    place,
                    blocks: header.facts.blocks(),
                });
                end = block + header.facts.blocks();
            }
        }
    }
    Ok(end)
}

/// Whether every chunk of a record is what was sealed.
pub(in crate::store) fn authenticates(
    file: &dyn DiskFile,
    place: Place,
    header: &RecordHeader,
    key: &Key,
) -> io::Result<bool> {
    let key = key.record_key(&header.salt);
    let plain_bytes = header.facts.plain_bytes();
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

#[cfg(test)]
mod tests;

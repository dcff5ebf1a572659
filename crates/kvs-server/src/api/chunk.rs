//! The form in which a fragment goes out: its document, with the service's tags around it.

use bytes::Bytes;
use kvs_media::mkv::{Tag, empty_document, tags_element};
use kvs_protocol::chunk_tags::{self, ChunkError, NamedTag};
use kvs_protocol::{FragmentNumber, FragmentParts, Timestamp};

/// What stands between the header and the cluster.
pub(super) fn before_cluster(number: FragmentParts, producer_ms: u64) -> Bytes {
    element(&chunk_tags::before_cluster(
        &FragmentNumber::from_parts(number),
        Timestamp::from_ms(number.server_ms),
        Timestamp::from_ms(producer_ms),
    ))
}

/// What ends a chunk of GetMedia, and tells a reader that it is whole.
pub(super) fn after_cluster(number: FragmentParts, now_ms: u64) -> Bytes {
    let behind_ms = now_ms.saturating_sub(number.server_ms);
    element(&chunk_tags::after_cluster(
        &FragmentNumber::from_parts(number),
        behind_ms,
    ))
}

/// A document of its own that says why there is no more.
pub(super) fn of_error(error: &ChunkError, number: &FragmentNumber) -> [Bytes; 2] {
    [
        empty_document(),
        element(&chunk_tags::of_error(error, number)),
    ]
}

fn element(tags: &[NamedTag]) -> Bytes {
    let tags: Vec<_> = tags
        .iter()
        .map(|(name, value)| Tag::new(*name, value))
        .collect();
    tags_element(&tags)
}

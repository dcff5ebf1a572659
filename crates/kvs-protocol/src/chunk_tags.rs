//! The tags that the service puts around each fragment it gives out.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use crate::{FragmentNumber, Timestamp};

/// The fragment's number.
pub const FRAGMENT_NUMBER: &str = "AWS_KINESISVIDEO_FRAGMENT_NUMBER";
/// When the fragment arrived, by the server's clock.
pub const SERVER_TIMESTAMP: &str = "AWS_KINESISVIDEO_SERVER_TIMESTAMP";
/// When the fragment starts, by the producer's clock.
pub const PRODUCER_TIMESTAMP: &str = "AWS_KINESISVIDEO_PRODUCER_TIMESTAMP";
/// How far the fragment is behind the present, in milliseconds.
pub const MILLIS_BEHIND_NOW: &str = "AWS_KINESISVIDEO_MILLIS_BEHIND_NOW";
/// Continues behind this fragment.
pub const CONTINUATION_TOKEN: &str = "AWS_KINESISVIDEO_CONTINUATION_TOKEN";
/// What went wrong after the response had begun.
pub const ERROR_CODE: &str = "AWS_KINESISVIDEO_ERROR_CODE";
/// The same as a number.
pub const ERROR_ID: &str = "AWS_KINESISVIDEO_ERROR_ID";

/// Spellings of AWS's documentation for GetMediaForFragmentList; its own clients rely on the
/// others.
const SERVER_SIDE_TIMESTAMP: &str = "AWS_KINESISVIDEO_SERVER_SIDE_TIMESTAMP";
const PRODUCER_SIDE_TIMESTAMP: &str = "AWS_KINESISVIDEO_PRODUCER_SIDE_TIMESTAMP";
/// Names with this prefix are never the producer's own metadata.
const SERVICE_PREFIX: &str = "AWS_KINESISVIDEO";

/// A tag: its name and its value.
pub type NamedTag = (&'static str, String);

/// The tags between the header of a chunk and its cluster.
pub fn before_cluster(
    number: &FragmentNumber,
    server: Timestamp,
    producer: Timestamp,
) -> [NamedTag; 3] {
    [
        (FRAGMENT_NUMBER, number.to_string()),
        (SERVER_TIMESTAMP, server.to_string()),
        (PRODUCER_TIMESTAMP, producer.to_string()),
    ]
}

/// The tags that end a chunk of GetMedia.
pub fn after_cluster(number: &FragmentNumber, behind_now_ms: u64) -> [NamedTag; 2] {
    [
        (MILLIS_BEHIND_NOW, behind_now_ms.to_string()),
        (CONTINUATION_TOKEN, number.to_string()),
    ]
}

/// The tags of a chunk that tells of an error instead of carrying a fragment.
pub fn of_error(error: &ChunkError, number: &FragmentNumber) -> [NamedTag; 3] {
    [
        (ERROR_CODE, error.code.to_string()),
        (ERROR_ID, error.id.to_string()),
        (FRAGMENT_NUMBER, number.to_string()),
    ]
}

/// What went wrong after a response had begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({id})")]
pub struct ChunkError {
    /// The number; 0 where the chunk has none.
    pub id: u32,
    /// The name; empty where the chunk has none.
    pub code: Cow<'static, str>,
}

impl ChunkError {
    /// The fragment is not there, or not yet: AWS sends it for one that a second try finds.
    pub const FRAGMENT_NOT_FOUND: Self = Self {
        id: 3000,
        code: Cow::Borrowed("FRAGMENT_NOT_FOUND"),
    };
    /// The same, as GetMedia's documentation numbers it.
    pub const REQUESTED_FRAGMENT_NOT_FOUND: Self = Self {
        id: 4000,
        code: Cow::Borrowed("FRAGMENT_NOT_FOUND"),
    };
    /// The server failed.
    pub const INTERNAL_ERROR: Self = Self {
        id: 5000,
        code: Cow::Borrowed("INTERNAL_ERROR"),
    };

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        // 3002: the server could not write its response.
        matches!(self.id, 3000 | 3002 | 4000 | 5000)
    }
}

/// What the service's tags say of a chunk, as far as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkTags {
    /// The fragment's number.
    pub number: Option<FragmentNumber>,
    /// When it arrived.
    pub server_timestamp: Option<Timestamp>,
    /// When it starts.
    pub producer_timestamp: Option<Timestamp>,
    /// How far it is behind the present.
    pub behind_now_ms: Option<u64>,
    /// Continues behind it.
    pub continuation_token: Option<String>,
    /// Why the chunk carries no fragment.
    pub error: Option<ChunkError>,
}

/// A tag of the service has a value that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's tag {name} is invalid: {why}")]
pub struct InvalidChunkTag {
    name: String,
    why: String,
}

impl ChunkTags {
    /// Takes a tag, if it is one of the service's; false if it is the producer's own metadata.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, InvalidChunkTag> {
        match name {
            FRAGMENT_NUMBER => self.number = Some(parse(name, value)?),
            SERVER_TIMESTAMP | SERVER_SIDE_TIMESTAMP => {
                self.server_timestamp = Some(parse(name, value)?);
            }
            PRODUCER_TIMESTAMP | PRODUCER_SIDE_TIMESTAMP => {
                self.producer_timestamp = Some(parse(name, value)?);
            }
            MILLIS_BEHIND_NOW => self.behind_now_ms = Some(parse(name, value)?),
            CONTINUATION_TOKEN => self.continuation_token = Some(value.to_owned()),
            ERROR_CODE => self.error.get_or_insert_default().code = value.to_owned().into(),
            ERROR_ID => self.error.get_or_insert_default().id = parse(name, value)?,
            // The producer's triggers for the service, and whatever may come.
            _ => return Ok(name.starts_with(SERVICE_PREFIX)),
        }
        Ok(true)
    }
}

fn parse<T: FromStr<Err: Display>>(name: &str, value: &str) -> Result<T, InvalidChunkTag> {
    let invalid = |why: T::Err| InvalidChunkTag {
        name: name.to_owned(),
        why: why.to_string(),
    };
    value.trim().parse().map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all<'a>(tags: impl IntoIterator<Item = &'a NamedTag>) -> ChunkTags {
        let mut taken = ChunkTags::default();
        for (name, value) in tags {
            assert_eq!(taken.take(name, value), Ok(true), "{name}");
        }
        taken
    }

    #[test]
    fn what_a_server_writes_is_what_a_client_reads() {
        let number: FragmentNumber = "91343852333181432392682062607743920146159169392"
            .parse()
            .expect("digits");
        let (server, producer) = (
            Timestamp::from_ms(1_511_852_109_126),
            Timestamp::from_ms(1_511_852_108_513),
        );
        let before = before_cluster(&number, server, producer);
        assert_eq!(before[1].1, "1511852109.126");
        let after = after_cluster(&number, 15_858);
        assert_eq!(
            take_all(before.iter().chain(&after)),
            ChunkTags {
                number: Some(number.clone()),
                server_timestamp: Some(server),
                producer_timestamp: Some(producer),
                behind_now_ms: Some(15_858),
                continuation_token: Some(number.to_string()),
                error: None,
            }
        );
        let taken = take_all(&of_error(&ChunkError::FRAGMENT_NOT_FOUND, &number));
        assert_eq!(taken.error, Some(ChunkError::FRAGMENT_NOT_FOUND));
        assert_eq!((taken.number, taken.server_timestamp), (Some(number), None));
    }

    #[test]
    fn the_producers_own_tags_are_left() {
        let mut tags = ChunkTags::default();
        assert_eq!(tags.take("door", "open"), Ok(false));
        assert_eq!(tags.take("AWS_KINESISVIDEO_IMAGE_GENERATION", ""), Ok(true));
        assert_eq!(tags, ChunkTags::default());
        assert!(tags.take(FRAGMENT_NUMBER, "x").is_err());
    }
}

//! Fragment metadata: the tags that a producer writes behind a cluster, and their limits.

use crate::AckError;

/// Ends a fragment without waiting for the next cluster. Counts as one of its tags; readers never
/// see it.
pub const END_OF_FRAGMENT: &str = "AWS_KINESISVIDEO_END_OF_FRAGMENT";
/// Asks for images of the fragment.
pub const IMAGE_GENERATION: &str = "AWS_KINESISVIDEO_IMAGE_GENERATION";
/// Begins the names of those images.
pub const IMAGE_PREFIX: &str = "AWS_KINESISVIDEO_IMAGE_PREFIX";
/// Asks for a notification once the fragment is stored.
pub const NOTIFICATION: &str = "AWS_KINESISVIDEO_NOTIFICATION";

/// A fragment has no more tags, [`END_OF_FRAGMENT`] counted.
pub const TAGS_MAX: usize = 10;
/// A tag's name is no longer, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 128;
/// A tag's value is no longer, in bytes of UTF-8.
pub const VALUE_BYTES_MAX: usize = 256;

/// Names with this prefix are the service's own.
const RESERVED_PREFIX: &str = "AWS";
const SERVICE_NAMES: [&str; 4] = [
    END_OF_FRAGMENT,
    IMAGE_GENERATION,
    IMAGE_PREFIX,
    NOTIFICATION,
];

/// Which rule a fragment's tags break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// More than [`TAGS_MAX`].
    #[error("a fragment has {TAGS_MAX} tags at most, AWS_KINESISVIDEO_END_OF_FRAGMENT counted")]
    TooMany,
    /// More than [`NAME_BYTES_MAX`].
    #[error("the name of a tag has {0} bytes; {NAME_BYTES_MAX} are allowed")]
    NameTooLong(usize),
    /// More than [`VALUE_BYTES_MAX`].
    #[error("the value of the tag {name:?} has {bytes} bytes; {VALUE_BYTES_MAX} are allowed")]
    ValueTooLong {
        /// The tag.
        name: String,
        /// How long its value is.
        bytes: usize,
    },
    /// No name.
    #[error("a tag has no name")]
    NoName,
    /// A name of the service's own that producers may not use.
    #[error("the tag {0:?} begins with {RESERVED_PREFIX}, which is reserved; choose another name")]
    Reserved(String),
}

impl TagError {
    /// How a server says it.
    pub const fn ack_error(&self) -> AckError {
        match self {
            Self::TooMany | Self::NameTooLong(_) | Self::ValueTooLong { .. } => {
                AckError::FragmentMetadataLimitReached
            }
            Self::NoName | Self::Reserved(_) => AckError::InvalidFragmentMetadata,
        }
    }
}

/// Whether a producer may write this tag.
pub fn check(name: &str, value: &str) -> Result<(), TagError> {
    if name.is_empty() {
        Err(TagError::NoName)
    } else if name.len() > NAME_BYTES_MAX {
        Err(TagError::NameTooLong(name.len()))
    } else if value.len() > VALUE_BYTES_MAX {
        Err(TagError::ValueTooLong {
            name: name.to_owned(),
            bytes: value.len(),
        })
    } else if name.starts_with(RESERVED_PREFIX) && !SERVICE_NAMES.contains(&name) {
        Err(TagError::Reserved(name.to_owned()))
    } else {
        Ok(())
    }
}

/// Whether a fragment may have so many tags.
pub fn check_count(tags: usize) -> Result<(), TagError> {
    if tags > TAGS_MAX {
        Err(TagError::TooMany)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_on_both_sides() {
        assert_eq!(check(&"n".repeat(128), &"v".repeat(256)), Ok(()));
        assert_eq!(check(&"n".repeat(129), ""), Err(TagError::NameTooLong(129)));
        let long = check("n", &"ß".repeat(129)).expect_err("258 bytes");
        assert_eq!(
            long,
            TagError::ValueTooLong {
                name: "n".into(),
                bytes: 258
            }
        );
        assert_eq!(check("", "v"), Err(TagError::NoName));
        assert_eq!(check_count(10), Ok(()));
        assert_eq!(check_count(11), Err(TagError::TooMany));
    }

    #[test]
    fn of_the_reserved_names_four_are_for_producers() {
        for name in SERVICE_NAMES {
            assert_eq!(check(name, ""), Ok(()));
        }
        for name in ["AWS", "AWS_X", "AWS_KINESISVIDEO_FRAGMENT_NUMBER"] {
            let error = check(name, "").expect_err(name);
            assert_eq!(error.ack_error(), AckError::InvalidFragmentMetadata);
        }
        assert_eq!(check("aws", ""), Ok(()));
        assert_eq!(
            TagError::TooMany.ack_error(),
            AckError::FragmentMetadataLimitReached
        );
    }
}

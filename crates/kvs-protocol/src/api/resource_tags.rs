//! Tags of a stream as a resource: keys and values for bills and searches, not fragment metadata.

use std::collections::BTreeMap;

use crate::{ApiError, ErrorKind};

/// Tags, by key. Valid.
pub type ResourceTags = BTreeMap<String, String>;

/// A stream has no more tags.
pub const TAGS_MAX: usize = 50;
const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;
/// Keys with this prefix, in any case, are AWS's own.
const RESERVED_PREFIX: &str = "aws:";

/// Gives the tags back if each is valid and they are not too many.
pub(super) fn check(tags: ResourceTags) -> Result<ResourceTags, ApiError> {
    if tags.len() > TAGS_MAX {
        return Err(ApiError::new(
            ErrorKind::TagsPerResourceExceededLimit,
            format!(
                "{} tags are given; a stream has {TAGS_MAX} at most.",
                tags.len()
            ),
        ));
    }
    match tags.iter().find(|(key, value)| !is_valid(key, value)) {
        None => Ok(tags),
        Some((key, _)) => Err(ApiError::invalid_argument(format!(
            "The tag {key:?} is invalid: keys have 1 to {KEY_CHARS_MAX} and values up to \
             {VALUE_CHARS_MAX} letters, digits, blanks or _ . : / = + - @, and no key begins \
             with {RESERVED_PREFIX}."
        ))),
    }
}

fn is_valid(key: &str, value: &str) -> bool {
    let is_allowed = |c: char| {
        c.is_alphanumeric() || c.is_whitespace() && !c.is_control() || "_.:/=+-@".contains(c)
    };
    let reserved = key.get(..RESERVED_PREFIX.len());
    (1..=KEY_CHARS_MAX).contains(&key.chars().count())
        && value.chars().count() <= VALUE_CHARS_MAX
        && key.chars().chain(value.chars()).all(is_allowed)
        && !reserved.is_some_and(|prefix| prefix.eq_ignore_ascii_case(RESERVED_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_on_both_sides() {
        assert!(is_valid("Straße 1", ""));
        assert!(is_valid(&"k".repeat(128), &"v".repeat(256)));
        for (key, value) in [
            ("", ""),
            ("aws:x", ""),
            ("AWS:x", ""),
            ("a!", ""),
            ("a", "\n"),
            (&"k".repeat(129), ""),
            ("k", &"v".repeat(257)),
        ] {
            assert!(!is_valid(key, value), "{key:?} {value:?}");
        }
    }

    #[test]
    fn too_many_tags_are_an_exception_of_their_own() {
        let tags = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect();
        assert!(check(tags(50)).is_ok());
        let error = check(tags(51)).expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::TagsPerResourceExceededLimit);
    }
}

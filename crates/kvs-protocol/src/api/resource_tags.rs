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
    check_count(tags.len())?;
    match tags.iter().find(|(key, value)| !is_valid(key, value)) {
        None => Ok(tags),
        Some((key, _)) => Err(invalid(key)),
    }
}

/// Refuses keys that no tag can have.
pub(super) fn check_keys(keys: &[String]) -> Result<(), ApiError> {
    match keys.iter().find(|key| !is_key(key)) {
        None => Ok(()),
        Some(key) => Err(invalid(key)),
    }
}

/// Adds tags to those of a stream; a key that is there gets the new value.
///
/// # Errors
/// They would be too many.
pub fn add(to: &mut ResourceTags, tags: &ResourceTags) -> Result<(), ApiError> {
    let new = tags.keys().filter(|key| !to.contains_key(*key)).count();
    check_count(to.len() + new)?;
    to.extend(tags.clone());
    Ok(())
}

fn check_count(count: usize) -> Result<(), ApiError> {
    if count <= TAGS_MAX {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorKind::TagsPerResourceExceededLimit,
        format!("These would be {count} tags; a stream has {TAGS_MAX} at most."),
    ))
}

fn invalid(key: &str) -> ApiError {
    ApiError::invalid_argument(format!(
        "The tag {key:?} is invalid: keys have 1 to {KEY_CHARS_MAX} and values up to \
         {VALUE_CHARS_MAX} letters, digits, blanks or _ . : / = + - @, and no key begins \
         with {RESERVED_PREFIX}."
    ))
}

fn is_valid(key: &str, value: &str) -> bool {
    let reserved = key.get(..RESERVED_PREFIX.len());
    is_key(key)
        && value.chars().count() <= VALUE_CHARS_MAX
        && value.chars().all(is_allowed)
        && !reserved.is_some_and(|prefix| prefix.eq_ignore_ascii_case(RESERVED_PREFIX))
}

fn is_key(key: &str) -> bool {
    (1..=KEY_CHARS_MAX).contains(&key.chars().count()) && key.chars().all(is_allowed)
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() && !c.is_control() || "_.:/=+-@".contains(c)
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

    #[test]
    fn a_key_that_is_there_takes_no_room() {
        let tags = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect();
        let mut full: ResourceTags = tags(50);
        let again = ResourceTags::from([("7".into(), "new".into())]);
        add(&mut full, &again).expect("it is there");
        assert_eq!((full.len(), full["7"].as_str()), (50, "new"));
        let more = ResourceTags::from([("50".into(), String::new())]);
        let error = add(&mut full, &more).expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::TagsPerResourceExceededLimit);
        assert_eq!(full.len(), 50);
    }
}

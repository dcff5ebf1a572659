//! Tags: names and values that describe a fragment.

use bytes::Bytes;

use super::ebml::{Children, Malformed, id, text, uint, write};

/// The name of the tag by which a producer says that its fragment is complete. Its value is empty.
pub const END_OF_FRAGMENT: &str = "AWS_KINESISVIDEO_END_OF_FRAGMENT";

/// A SimpleTag: one name with its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// TagName.
    pub name: String,
    /// TagString; empty where there is none.
    pub value: String,
}

impl Tag {
    /// A tag of that name and value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// All tags in the body of a Tags element, but for those that describe one track.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Tag>, Malformed> {
    let mut tags = Vec::new();
    for child in Children::of(body) {
        let (id, body) = child?;
        if id == id::TAG {
            parse_tag(body, &mut tags)?;
        }
    }
    Ok(tags)
}

fn parse_tag(body: &[u8], tags: &mut Vec<Tag>) -> Result<(), Malformed> {
    let before = tags.len();
    let mut of_a_track = false;
    for child in Children::of(body) {
        match child? {
            (id::TARGETS, body) => of_a_track = names_a_track(body)?,
            (id::SIMPLE_TAG, body) => tags.push(parse_simple_tag(body)?),
            _ => {}
        }
    }
    if of_a_track {
        tags.truncate(before);
    }
    Ok(())
}

fn names_a_track(targets: &[u8]) -> Result<bool, Malformed> {
    for child in Children::of(targets) {
        if let (id::TAG_TRACK_UID, body) = child? {
            // 0 stands for all tracks, hence for the fragment.
            if uint(id::TAG_TRACK_UID, body)? != 0 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn parse_simple_tag(body: &[u8]) -> Result<Tag, Malformed> {
    let mut tag = Tag::new("", "");
    for child in Children::of(body) {
        match child? {
            (id::TAG_NAME, body) => tag.name = text(id::TAG_NAME, body)?,
            (id::TAG_STRING, body) => tag.value = text(id::TAG_STRING, body)?,
            _ => {}
        }
    }
    Ok(tag)
}

/// One Tags element that holds one Tag with all of `tags`.
pub fn tags_element(tags: &[Tag]) -> Bytes {
    let mut out = Vec::new();
    write::master(&mut out, id::TAGS, |out| {
        write::master(out, id::TAG, |out| {
            for Tag { name, value } in tags {
                write::master(out, id::SIMPLE_TAG, |out| {
                    write::text(out, id::TAG_NAME, name);
                    write::text(out, id::TAG_STRING, value);
                });
            }
        });
    });
    out.into()
}

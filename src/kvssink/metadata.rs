//! Metadata of fragments: from the event `kvs-add-metadata`, and from tags.

use std::collections::BTreeMap;

/// The name of the event's structure.
const EVENT: &str = "kvs-add-metadata";
/// Extended comments are `key=value`, or `key[language]=value`.
const EXTENDED_COMMENT: &str = "extended-comment";
/// The tags that become metadata. Others (bit rates, codecs) come many times and say nothing new.
const TAGS: [&str; 3] = ["title", "comment", "keywords"];
const TAG_PREFIX: &str = "geo-location-";

/// One name with its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) value: String,
    /// For all fragments from now on.
    pub(super) persist: bool,
}

/// What a custom event says; `None` of another event.
///
/// The error says what is wrong with its fields.
pub(super) fn of_event(structure: &gst::StructureRef) -> Option<Result<Metadata, String>> {
    if !structure.has_name(EVENT) {
        return None;
    }
    // A text may be null, which is empty.
    let text = |field| match structure.value(field) {
        Ok(value) => value.get::<Option<String>>(),
        Err(_) => Ok(None),
    };
    let wrong = |field| {
        Err(format!(
            "{EVENT} without {field}, or with one of another type"
        ))
    };
    let Ok(Some(name)) = text("name") else {
        return Some(wrong("name"));
    };
    let Ok(value) = text("value") else {
        return Some(wrong("value"));
    };
    let Ok(persist) = structure.get_optional("persist") else {
        return Some(wrong("persist"));
    };
    Some(Ok(Metadata {
        name,
        value: value.unwrap_or_default(),
        persist: persist.unwrap_or(false),
    }))
}

/// What has changed since the last tags of a stream, of what becomes metadata.
pub(super) fn changed(
    tags: &gst::TagListRef,
    known: &mut BTreeMap<String, String>,
) -> Vec<Metadata> {
    let is_global = tags.scope() == gst::TagScope::Global;
    let named = tags.iter_generic().flat_map(|(name, values)| {
        values.filter_map(move |value| named(name, &text(value)?, is_global))
    });
    let new = named.filter(|(name, value)| known.get(name) != Some(value));
    let new: Vec<_> = new.collect();
    known.extend(new.iter().cloned());
    let metadata = new.into_iter().map(|(name, value)| Metadata {
        name,
        value,
        persist: false,
    });
    metadata.collect()
}

/// Which metadata a tag becomes.
fn named(tag: &str, value: &str, is_global: bool) -> Option<(String, String)> {
    if TAGS.contains(&tag) || tag.starts_with(TAG_PREFIX) {
        return Some((tag.to_owned(), value.to_owned()));
    }
    // Encoders and demuxers comment on their streams; what an application says is global.
    if tag != EXTENDED_COMMENT || !is_global {
        return None;
    }
    let (key, value) = value.split_once('=')?;
    let key = key.split_once('[').map_or(key, |(key, _)| key);
    Some((key.to_owned(), value.to_owned()))
}

fn text(value: &gst::glib::SendValue) -> Option<String> {
    let text = value.get::<String>().ok();
    text.or_else(|| value.get::<f64>().ok().map(|number| number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(title: &str) -> gst::TagList {
        gst::init().expect("GStreamer initialises");
        let mut tags = gst::TagList::new();
        let list = tags.make_mut();
        let mode = gst::TagMergeMode::Append;
        list.add::<gst::tags::Title>(&title, mode);
        list.add::<gst::tags::Bitrate>(&9, mode);
        list.add::<gst::tags::GeoLocationLatitude>(&1.5, mode);
        tags
    }

    fn told(tags: &gst::TagListRef, known: &mut BTreeMap<String, String>) -> Vec<String> {
        let told = changed(tags, known).into_iter();
        let mut told: Vec<_> = told
            .map(|one| format!("{}={}", one.name, one.value))
            .collect();
        told.sort();
        told
    }

    #[test]
    fn tags_are_told_when_they_change_and_only_those_that_mean_something() {
        let mut known = BTreeMap::new();
        let first = title("Porch");
        let all = ["geo-location-latitude=1.5", "title=Porch"];
        assert_eq!(told(&first, &mut known), all);
        assert_eq!(told(&first, &mut known), [""; 0]);
        assert_eq!(told(&title("Door"), &mut known), ["title=Door"]);
    }

    #[test]
    fn extended_comments_are_those_of_the_application() {
        gst::init().expect("GStreamer initialises");
        let mut tags = gst::TagList::new();
        let list = tags.make_mut();
        let comment = "shift[en]=night";
        list.add::<gst::tags::ExtendedComment>(&comment, gst::TagMergeMode::Append);
        let mut known = BTreeMap::new();
        assert_eq!(told(list, &mut known), [""; 0]);
        list.set_scope(gst::TagScope::Global);
        assert_eq!(told(list, &mut known), ["shift=night"]);
    }

    #[test]
    fn an_event_says_what_it_lacks() {
        gst::init().expect("GStreamer initialises");
        let parse = |text: &str| of_event(&text.parse::<gst::Structure>().expect("a structure"));
        assert_eq!(parse("something-else"), None);
        let whole = parse("kvs-add-metadata,name=door,value=open,persist=true");
        let expected = Metadata {
            name: "door".to_owned(),
            value: "open".to_owned(),
            persist: true,
        };
        assert_eq!(whole, Some(Ok(expected)));
        let bare = parse("kvs-add-metadata,name=door")
            .expect("ours")
            .expect("enough");
        assert_eq!((bare.value.as_str(), bare.persist), ("", false));
        for (text, field) in [
            ("kvs-add-metadata,value=open", "name"),
            ("kvs-add-metadata,name=door,value=7", "value"),
            ("kvs-add-metadata,name=door,persist=7", "persist"),
        ] {
            let error = parse(text).expect("ours").expect_err(text);
            assert!(error.contains(field), "{error}");
        }
    }
}

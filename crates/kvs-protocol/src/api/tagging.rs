//! TagStream, UntagStream, ListTagsForStream, and the same three for any resource by its ARN.
//!
//! The two forms differ in how a stream is named, in how tags are written (a map for streams, a
//! list of pairs for resources) and in what a malformed ARN is called.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::members::{self, next_token, required};
use super::resource_tags::{self, ResourceTags, TAGS_MAX};
use super::stream_ref::OfStream;
use super::{StreamRef, list_streams};
use crate::{ApiError, ErrorKind, StreamArn};

/// A request to give a stream tags; one that it has already gets the new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddTags {
    /// The stream.
    pub stream: StreamRef,
    /// From 1 to [`TAGS_MAX`].
    pub tags: ResourceTags,
}

/// A request to take tags from a stream. It need not have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveTags {
    /// The stream.
    pub stream: StreamRef,
    /// From 1 to [`TAGS_MAX`].
    pub keys: Vec<String>,
}

/// A request for a stream's tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTags {
    /// The stream.
    pub stream: StreamRef,
}

/// The response to [`ListTags`]: they fit on one page.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedTags {
    /// All tags of the stream.
    pub tags: ResourceTags,
}

#[derive(Deserialize)]
struct OfResource<T> {
    #[serde(rename = "ResourceARN")]
    resource_arn: Option<String>,
    #[serde(flatten)]
    rest: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Map {
    tags: Option<ResourceTags>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    tags: Option<Vec<Pair>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pair {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    tag_key_list: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    next_token: Option<String>,
}

impl AddTags {
    /// Reads the body of a TagStream.
    pub fn of_stream(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = read_of_stream::<Map>(body)?;
        Self::new(stream, required("Tags", members.tags)?)
    }

    /// Reads the body of a TagResource.
    pub fn of_resource(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = read_of_resource::<List>(body)?;
        let mut tags = ResourceTags::new();
        for Pair { key, value } in required("Tags", members.tags)? {
            if tags.contains_key(&key) {
                return Err(ApiError::invalid_argument(format!(
                    "Tags has the key {key:?} twice."
                )));
            }
            tags.insert(key, value);
        }
        Self::new(stream, tags)
    }

    fn new(stream: StreamRef, tags: ResourceTags) -> Result<Self, ApiError> {
        if tags.is_empty() {
            return Err(none_given("Tags"));
        }
        let tags = resource_tags::check(tags)?;
        Ok(Self { stream, tags })
    }
}

impl RemoveTags {
    /// Reads the body of an UntagStream.
    pub fn of_stream(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = read_of_stream(body)?;
        Self::new(stream, members)
    }

    /// Reads the body of an UntagResource.
    pub fn of_resource(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = read_of_resource(body)?;
        Self::new(stream, members)
    }

    fn new(stream: StreamRef, members: Keys) -> Result<Self, ApiError> {
        let keys = required("TagKeyList", members.tag_key_list)?;
        if !(1..=TAGS_MAX).contains(&keys.len()) {
            return Err(none_given("TagKeyList"));
        }
        resource_tags::check_keys(&keys)?;
        Ok(Self { stream, keys })
    }
}

impl ListTags {
    /// Reads the body of a ListTagsForStream.
    pub fn of_stream(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = read_of_stream(body)?;
        Self::new(stream, members)
    }

    /// Reads the body of a ListTagsForResource.
    pub fn of_resource(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = read_of_resource(body)?;
        Self::new(stream, members)
    }

    fn new(stream: StreamRef, members: Page) -> Result<Self, ApiError> {
        match next_token(members.next_token, list_streams::NEXT_TOKEN_BYTES_MAX)? {
            None => Ok(Self { stream }),
            Some(_) => Err(ApiError::invalid_argument(
                "NextToken is not one of this service's: all tags of a stream are on one page.",
            )),
        }
    }
}

fn read_of_stream<T: DeserializeOwned>(body: &[u8]) -> Result<(StreamRef, T), ApiError> {
    let members: OfStream<String, T> = members::read(body)?;
    let arn = members.stream_arn.map(|arn| arn.parse::<StreamArn>());
    let arn = arn.transpose().map_err(|error| {
        ApiError::new(
            ErrorKind::InvalidResourceFormat,
            format!("StreamARN is malformed: {error}."),
        )
    })?;
    Ok((StreamRef::new(members.stream_name, arn)?, members.rest))
}

/// A signaling channel is a resource too, but none that is here.
fn read_of_resource<T: DeserializeOwned>(body: &[u8]) -> Result<(StreamRef, T), ApiError> {
    let members: OfResource<T> = members::read(body)?;
    let text = required("ResourceARN", members.resource_arn)?;
    let is_channel = || {
        let as_stream = text.replacen(":channel/", ":stream/", 1);
        as_stream != text && as_stream.parse::<StreamArn>().is_ok()
    };
    match text.parse() {
        Ok(arn) => Ok((StreamRef::Arn(arn), members.rest)),
        Err(_) if is_channel() => Err(ApiError::new(
            ErrorKind::ResourceNotFound,
            "There are no signaling channels here, only streams.",
        )),
        Err(error) => Err(ApiError::invalid_argument(format!(
            "ResourceARN is malformed: {error}."
        ))),
    }
}

fn none_given(member: &str) -> ApiError {
    ApiError::invalid_argument(format!("{member} has to have 1 to {TAGS_MAX} items."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ARN: &str = "arn:aws:kinesisvideo:us-west-2:000000000000:stream/a/1";

    fn kind<T: std::fmt::Debug>(parsed: Result<T, ApiError>) -> ErrorKind {
        parsed.expect_err("refused").kind()
    }

    #[test]
    fn a_map_and_a_list_are_the_same_tags() {
        let map = json!({"StreamARN": ARN, "Tags": {"a": "1", "b": ""}}).to_string();
        let list = json!({"ResourceARN": ARN,
            "Tags": [{"Key": "b", "Value": ""}, {"Key": "a", "Value": "1"}]});
        let list = list.to_string();
        let added = AddTags::of_stream(map.as_bytes()).expect("valid");
        assert_eq!(AddTags::of_resource(list.as_bytes()), Ok(added));
        assert_eq!(
            kind(AddTags::of_stream(list.as_bytes())),
            ErrorKind::InvalidArgument
        );
        assert_eq!(
            kind(AddTags::of_resource(map.as_bytes())),
            ErrorKind::InvalidArgument
        );
    }

    #[test]
    fn a_malformed_arn_has_a_name_of_its_own_where_streams_are_named() {
        for (arn, of_stream, of_resource) in [
            (
                "no-arn",
                ErrorKind::InvalidResourceFormat,
                ErrorKind::InvalidArgument,
            ),
            (
                &ARN.replace("stream/", "channel/"),
                ErrorKind::InvalidResourceFormat,
                ErrorKind::ResourceNotFound,
            ),
            (
                "",
                ErrorKind::InvalidResourceFormat,
                ErrorKind::InvalidArgument,
            ),
        ] {
            let body = json!({"StreamARN": arn, "ResourceARN": arn}).to_string();
            assert_eq!(
                kind(ListTags::of_stream(body.as_bytes())),
                of_stream,
                "{arn}"
            );
            assert_eq!(
                kind(ListTags::of_resource(body.as_bytes())),
                of_resource,
                "{arn}"
            );
        }
    }

    #[test]
    fn each_violation_says_what_is_allowed() {
        let keys: Vec<_> = (0..51).map(|n| n.to_string()).collect();
        let pair = |key: &str| json!({"Key": key, "Value": ""});
        for (tags, keys, says) in [
            (json!([]), json!([]), "1 to 50 items"),
            (json!(null), json!(null), "is missing"),
            (json!([pair("")]), json!([""]), "1 to 128"),
            (json!([pair("?")]), json!(["?"]), "letters, digits"),
            (json!([pair("a"), pair("a")]), json!(keys), ""),
            (json!([{"Key": "a"}]), json!([null]), "body is invalid"),
        ] {
            let body = json!({"ResourceARN": ARN, "Tags": tags, "TagKeyList": keys}).to_string();
            let added = AddTags::of_resource(body.as_bytes()).expect_err(&body);
            let removed = RemoveTags::of_resource(body.as_bytes()).expect_err(&body);
            for error in [added, removed] {
                assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{body}");
                assert!(error.message().contains(says), "{error}");
            }
        }
    }

    #[test]
    fn there_is_no_second_page() {
        let list = |token: &str| {
            ListTags::of_stream(
                json!({"StreamName": "a", "NextToken": token})
                    .to_string()
                    .as_bytes(),
            )
        };
        assert!(list("").is_ok());
        assert_eq!(kind(list("abcd")), ErrorKind::InvalidArgument);
        assert_eq!(kind(list("?")), ErrorKind::InvalidArgument);
    }
}

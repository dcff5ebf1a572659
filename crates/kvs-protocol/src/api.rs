//! Requests and responses of the operations, one file each.
//!
//! `parse` takes what came over the wire and checks all that can be checked without knowing a
//! stream; its error is the answer to send. In JSON, null is the same as absent and unknown
//! members are ignored. Responses serialise to the body to send.

pub mod create_stream;
pub mod delete_stream;
pub mod describe_stream;
pub mod get_data_endpoint;
pub mod get_media;
pub mod get_media_for_fragment_list;
pub mod image_generation;
pub mod list_fragments;
pub mod list_streams;
mod members;
pub mod notification;
pub mod operation;
pub mod put_media;
pub mod resource_tags;
pub mod stream_ref;
pub mod stream_storage;
pub mod tagging;
pub mod update_data_retention;
pub mod update_stream;

pub use create_stream::{CreateStream, CreatedStream, StorageTier};
pub use delete_stream::DeleteStream;
pub use describe_stream::{DescribeStream, DescribedStream, StreamInfo, StreamStatus};
pub use get_data_endpoint::{DataApi, DataEndpoint, GetDataEndpoint};
pub use get_media::{GetMedia, StartSelector};
pub use get_media_for_fragment_list::GetMediaForFragmentList;
pub use image_generation::{DescribedImageGeneration, ImageGeneration, UpdateImageGeneration};
pub use list_fragments::{
    FragmentSelector, ListFragments, ListedFragment, ListedFragments, TimestampOrigin,
};
pub use list_streams::{ListStreams, ListedStreams};
pub use notification::{
    ConfigurationStatus, DescribedNotification, Notification, UpdateNotification,
};
pub use operation::Operation;
pub use put_media::{ProducerTimecodes, PutMedia};
pub use resource_tags::ResourceTags;
pub use stream_ref::StreamRef;
pub use stream_storage::{DescribedStreamStorage, StorageConfiguration, UpdateStreamStorage};
pub use tagging::{AddTags, ListTags, ListedTags, RemoveTags};
pub use update_data_retention::{RetentionChange, UpdateDataRetention};
pub use update_stream::UpdateStream;

/// The content type of GetMedia's and GetMediaForFragmentList's response.
pub const MEDIA_CONTENT_TYPE: &str = "video/webm";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether each operation gives an answer to that body, whatever it is.
    fn parse_all(body: &[u8]) {
        let _ = CreateStream::parse(body);
        let _ = DescribeStream::parse(body);
        let _ = ListStreams::parse(body);
        let _ = DeleteStream::parse(body);
        let _ = UpdateStream::parse(body);
        let _ = UpdateDataRetention::parse(body);
        for parse in [AddTags::of_stream, AddTags::of_resource] {
            let _ = parse(body);
        }
        for parse in [RemoveTags::of_stream, RemoveTags::of_resource] {
            let _ = parse(body);
        }
        for parse in [ListTags::of_stream, ListTags::of_resource] {
            let _ = parse(body);
        }
        let _ = UpdateImageGeneration::parse(body);
        let _ = UpdateNotification::parse(body);
        let _ = UpdateStreamStorage::parse(body);
        let _ = GetDataEndpoint::parse(body);
        let _ = GetMedia::parse(body);
        let _ = ListFragments::parse(body);
        let _ = GetMediaForFragmentList::parse(body);
        let _ = PutMedia::parse(|name| (name != put_media::STREAM_ARN_HEADER).then_some(body));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(body: Vec<u8>) {
            parse_all(&body);
        }

        #[test]
        fn any_values_are_parsed_or_refused(text: String, number: f64) {
            for value in [serde_json::json!(text), serde_json::json!(number)] {
                for member in [
                    "StreamName", "StreamARN", "Fragments", "MaxResults", "NextToken", "Tags",
                    "DataRetentionInHours", "CurrentVersion", "APIName", "StreamNameCondition",
                    "Operation", "DataRetentionChangeInHours", "DeviceName", "MediaType",
                    "TagKeyList", "ResourceARN", "ImageGenerationConfiguration",
                    "NotificationConfiguration", "StreamStorageConfiguration",
                ] {
                    parse_all(serde_json::json!({ member: value }).to_string().as_bytes());
                }
                let start = serde_json::json!({
                    "StreamName": "a",
                    "StartSelector": {
                        "StartSelectorType": "SERVER_TIMESTAMP",
                        "StartTimestamp": value,
                    },
                });
                parse_all(start.to_string().as_bytes());
            }
        }
    }
}

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
pub mod list_fragments;
pub mod list_streams;
mod members;
pub mod operation;
pub mod put_media;
pub mod resource_tags;
pub mod stream_ref;

pub use create_stream::{CreateStream, CreatedStream, StorageTier};
pub use delete_stream::DeleteStream;
pub use describe_stream::{DescribeStream, DescribedStream, StreamInfo, StreamStatus};
pub use get_data_endpoint::{DataApi, DataEndpoint, GetDataEndpoint};
pub use get_media::{GetMedia, StartSelector};
pub use get_media_for_fragment_list::GetMediaForFragmentList;
pub use list_fragments::{
    FragmentSelector, ListFragments, ListedFragment, ListedFragments, TimestampOrigin,
};
pub use list_streams::{ListStreams, ListedStreams};
pub use operation::Operation;
pub use put_media::{ProducerTimecodes, PutMedia};
pub use resource_tags::ResourceTags;
pub use stream_ref::StreamRef;

/// The content type of GetMedia's and GetMediaForFragmentList's response.
pub const MEDIA_CONTENT_TYPE: &str = "video/webm";

//! Which operation a request is for: its path says it.

/// An operation of the API. All are POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Makes a stream.
    CreateStream,
    /// Shows a stream's metadata.
    DescribeStream,
    /// Lists the streams.
    ListStreams,
    /// Deletes a stream with all its fragments.
    DeleteStream,
    /// Changes what a stream says of itself.
    UpdateStream,
    /// Keeps a stream's fragments for longer or shorter.
    UpdateDataRetention,
    /// Gives a stream tags.
    TagStream,
    /// Takes tags from a stream.
    UntagStream,
    /// Lists a stream's tags.
    ListTagsForStream,
    /// Gives tags to a stream, by its ARN.
    TagResource,
    /// Takes tags from a stream, by its ARN.
    UntagResource,
    /// Lists a stream's tags, by its ARN.
    ListTagsForResource,
    /// Shows which pictures are made of a stream.
    DescribeImageGenerationConfiguration,
    /// Changes which pictures are made of a stream.
    UpdateImageGenerationConfiguration,
    /// Shows who is told of a stream's fragments.
    DescribeNotificationConfiguration,
    /// Changes who is told of a stream's fragments.
    UpdateNotificationConfiguration,
    /// Shows which tier a stream is stored on.
    DescribeStreamStorageConfiguration,
    /// Changes which tier a stream is stored on.
    UpdateStreamStorageConfiguration,
    /// Tells where to send the calls that carry media.
    GetDataEndpoint,
    /// Takes media in.
    PutMedia,
    /// Gives media out from a fragment on.
    GetMedia,
    /// Lists stored fragments.
    ListFragments,
    /// Gives out the media of the fragments named.
    GetMediaForFragmentList,
}

impl Operation {
    /// Every operation there is.
    pub const ALL: &[Self] = &[
        Self::CreateStream,
        Self::DescribeStream,
        Self::ListStreams,
        Self::DeleteStream,
        Self::UpdateStream,
        Self::UpdateDataRetention,
        Self::TagStream,
        Self::UntagStream,
        Self::ListTagsForStream,
        Self::TagResource,
        Self::UntagResource,
        Self::ListTagsForResource,
        Self::DescribeImageGenerationConfiguration,
        Self::UpdateImageGenerationConfiguration,
        Self::DescribeNotificationConfiguration,
        Self::UpdateNotificationConfiguration,
        Self::DescribeStreamStorageConfiguration,
        Self::UpdateStreamStorageConfiguration,
        Self::GetDataEndpoint,
        Self::PutMedia,
        Self::GetMedia,
        Self::ListFragments,
        Self::GetMediaForFragmentList,
    ];

    /// The path to POST to. Paths are case-sensitive.
    pub const fn path(self) -> &'static str {
        match self {
            Self::CreateStream => "/createStream",
            Self::DescribeStream => "/describeStream",
            Self::ListStreams => "/listStreams",
            Self::DeleteStream => "/deleteStream",
            Self::UpdateStream => "/updateStream",
            Self::UpdateDataRetention => "/updateDataRetention",
            Self::TagStream => "/tagStream",
            Self::UntagStream => "/untagStream",
            Self::ListTagsForStream => "/listTagsForStream",
            Self::TagResource => "/TagResource",
            Self::UntagResource => "/UntagResource",
            Self::ListTagsForResource => "/ListTagsForResource",
            Self::DescribeImageGenerationConfiguration => "/describeImageGenerationConfiguration",
            Self::UpdateImageGenerationConfiguration => "/updateImageGenerationConfiguration",
            Self::DescribeNotificationConfiguration => "/describeNotificationConfiguration",
            Self::UpdateNotificationConfiguration => "/updateNotificationConfiguration",
            Self::DescribeStreamStorageConfiguration => "/describeStreamStorageConfiguration",
            Self::UpdateStreamStorageConfiguration => "/updateStreamStorageConfiguration",
            Self::GetDataEndpoint => "/getDataEndpoint",
            Self::PutMedia => "/putMedia",
            Self::GetMedia => "/getMedia",
            Self::ListFragments => "/listFragments",
            Self::GetMediaForFragmentList => "/getMediaForFragmentList",
        }
    }

    /// The operation of that path.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|operation| operation.path() == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_operations_go_both_ways() {
        for &operation in Operation::ALL {
            assert_eq!(Operation::from_path(operation.path()), Some(operation));
        }
        assert_eq!(Operation::from_path("/CreateStream"), None);
    }
}

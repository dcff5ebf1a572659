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

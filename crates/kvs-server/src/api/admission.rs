//! Whether a caller may do what it asks for: which right each operation takes, and how it says no.

use kvs_protocol::api::Operation;
use kvs_protocol::{ApiError, ErrorKind, StreamName};

use crate::app::App;
use crate::auth::{Action, Caller};
use crate::quotas::OpenResponse;

impl App {
    /// Refuses an operation that the caller may not do. To be asked before the stream is looked up:
    /// a key learns nothing of streams that are not its own.
    pub(crate) fn admit(
        &self,
        caller: &Caller,
        operation: Operation,
        stream: &StreamName,
    ) -> Result<(), ApiError> {
        caller.authorize_any(enough(operation), Some(stream.as_str()), denial(operation))?;
        self.count(operation, Some(stream))
    }

    /// Refuses a response where as many are open as AWS's quotas allow; `None` where nobody is
    /// held to them.
    pub(crate) fn open_response(
        &self,
        operation: Operation,
        stream: &StreamName,
    ) -> Result<Option<OpenResponse>, ApiError> {
        let quotas = self.quotas();
        quotas
            .map(|quotas| quotas.open(operation, stream.as_str()))
            .transpose()
    }

    /// Refuses what is called too often, where callers are held to AWS's quotas.
    pub(crate) fn count(
        &self,
        operation: Operation,
        stream: Option<&StreamName>,
    ) -> Result<(), ApiError> {
        self.quotas().map_or(Ok(()), |quotas| {
            let now_ms = self.clock().monotonic_ms();
            quotas.take(operation, stream.map(StreamName::as_str), now_ms)
        })
    }
}

/// The actions of which each is enough.
fn enough(operation: Operation) -> &'static [Action] {
    match operation {
        // Whoever reads or writes a stream needs to know whether and where it is.
        Operation::DescribeStream | Operation::GetDataEndpoint => &[Action::Read, Action::Write],
        Operation::PutMedia => &[Action::Write],
        Operation::ListStreams
        | Operation::ListTagsForStream
        | Operation::ListTagsForResource
        | Operation::DescribeImageGenerationConfiguration
        | Operation::DescribeNotificationConfiguration
        | Operation::DescribeStreamStorageConfiguration
        | Operation::GetMedia
        | Operation::ListFragments
        | Operation::GetMediaForFragmentList => &[Action::Read],
        _ => &[Action::Admin],
    }
}

/// The exception that the operation's model declares.
fn denial(operation: Operation) -> ErrorKind {
    match operation {
        Operation::TagResource
        | Operation::UntagResource
        | Operation::ListTagsForResource
        | Operation::DescribeImageGenerationConfiguration
        | Operation::UpdateImageGenerationConfiguration
        | Operation::DescribeNotificationConfiguration
        | Operation::UpdateNotificationConfiguration
        | Operation::DescribeStreamStorageConfiguration
        | Operation::UpdateStreamStorageConfiguration => ErrorKind::OperationDenied,
        _ => ErrorKind::NotAuthorized,
    }
}

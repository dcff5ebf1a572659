//! Errors in the service's own form: an exception name, a status and a message.

use std::fmt;

use serde::Deserialize;
use serde_json::json;

/// The response header that carries the exception's name. SDKs do not understand the spelling
/// `x-amz-ErrorType` of AWS's prose.
pub const ERROR_TYPE_HEADER: &str = "x-amzn-errortype";

/// The response header that carries the id of the request, on success and on failure.
pub const REQUEST_ID_HEADER: &str = "x-amzn-requestid";

macro_rules! error_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $status:literal;)+) => {
        /// Which exception an API call ends with.
        ///
        /// The status belongs to the exception, not to the operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)+
        }

        impl ErrorKind {
            /// Every exception there is.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The name as it stands in `x-amzn-ErrorType`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// The HTTP status that it is sent with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$kind => $status,)+ }
            }

            /// The exception of that name, if it is one that this crate knows. Of two it is the
            /// first.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }
    };
}

error_kinds! {
    /// A value that the operation cannot work with.
    InvalidArgument = "InvalidArgumentException", 400;
    /// Too many calls, or too much of something, in a second.
    ClientLimitExceeded = "ClientLimitExceededException", 400;
    /// Too many connections to the stream at once.
    ConnectionLimitExceeded = "ConnectionLimitExceededException", 400;
    /// The account has as many streams as it may have.
    AccountStreamLimitExceeded = "AccountStreamLimitExceededException", 400;
    /// The device has as many streams as it may have.
    DeviceStreamLimitExceeded = "DeviceStreamLimitExceededException", 400;
    /// The name is taken, or the stream is changing.
    ResourceInUse = "ResourceInUseException", 400;
    /// The device is not known.
    InvalidDevice = "InvalidDeviceException", 400;
    /// More than 50 tags on one stream.
    TagsPerResourceExceededLimit = "TagsPerResourceExceededLimitException", 400;
    /// `CurrentVersion` is not the current one.
    VersionMismatch = "VersionMismatchException", 400;
    /// The ARN is malformed; of the tags of streams only.
    InvalidResourceFormat = "InvalidResourceFormatException", 400;
    /// The stream keeps nothing, so there is nothing to do it with.
    NoDataRetention = "NoDataRetentionException", 400;
    /// This host does not serve that stream or that API.
    InvalidEndpoint = "InvalidEndpointException", 400;
    /// No such stream, or not active.
    ResourceNotFound = "ResourceNotFoundException", 404;
    /// The caller may not do this.
    NotAuthorized = "NotAuthorizedException", 401;
    /// The front end turns the caller away.
    AccessDenied = "AccessDeniedException", 403;
    /// The caller may not do this, where an operation's model has this name for it.
    OperationDenied = "AccessDeniedException", 401;
    /// The Authorization header is malformed.
    IncompleteSignature = "IncompleteSignature", 400;
    /// The access key is not known.
    UnrecognizedClient = "UnrecognizedClientException", 403;
    /// The signature is not that of this request.
    InvalidSignature = "InvalidSignatureException", 403;
    /// The request is not signed.
    MissingAuthenticationToken = "MissingAuthenticationToken", 403;
    /// The request was signed too long ago, or by a clock that is wrong.
    RequestExpired = "RequestExpired", 400;
    /// No operation has that path.
    UnknownOperation = "UnknownOperationException", 404;
    /// The server failed.
    InternalFailure = "InternalFailure", 500;
    /// The server cannot answer now.
    ServiceUnavailable = "ServiceUnavailable", 503;
}

impl ErrorKind {
    /// The front end, which checks signatures, spells the member of the message in lower case.
    const fn message_member(self) -> &'static str {
        match self {
            Self::AccessDenied
            | Self::IncompleteSignature
            | Self::UnrecognizedClient
            | Self::InvalidSignature
            | Self::MissingAuthenticationToken
            | Self::RequestExpired => "message",
            _ => "Message",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error as a server answers it: what failed and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct ApiError {
    kind: ErrorKind,
    message: String,
}

impl ApiError {
    /// An error of that kind. The message is for the person who wrote the request.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// An [`ErrorKind::InvalidArgument`].
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// An [`ErrorKind::ResourceNotFound`] in the service's own words.
    pub fn stream_not_found() -> Self {
        Self::new(
            ErrorKind::ResourceNotFound,
            "The requested stream is not found or not active.",
        )
    }

    /// Which exception it is.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the person who wrote the request should know.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The JSON body. The name also goes into [`ERROR_TYPE_HEADER`], where SDKs look first.
    pub fn body(&self) -> String {
        json!({"__type": self.kind.name(), self.kind.message_member(): self.message}).to_string()
    }
}

/// An error response as a client reads it, whatever server sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} (HTTP {status}): {message}")]
pub struct ErrorReply {
    /// The HTTP status.
    pub status: u16,
    /// The exception's name; `Unknown` where the response names none.
    pub name: String,
    /// The message, or the start of a body that is not the service's.
    pub message: String,
}

/// A foreign body (a proxy's page, say) is quoted up to this length: enough to recognise it.
const QUOTED_CHARS_MAX: usize = 200;

impl ErrorReply {
    /// Reads status, [`ERROR_TYPE_HEADER`] and body of a response that is not a success.
    pub fn read(status: u16, error_type: Option<&str>, body: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Body {
            __type: Option<String>,
            #[serde(alias = "Message")]
            message: Option<String>,
        }
        let parsed = serde_json::from_slice::<Body>(body).ok();
        let quoted = || {
            String::from_utf8_lossy(body)
                .chars()
                .take(QUOTED_CHARS_MAX)
                .collect()
        };
        let (in_body, message) = match parsed {
            Some(body) => (body.__type, body.message.unwrap_or_default()),
            None => (None, quoted()),
        };
        let name = match (error_type, in_body.as_deref()) {
            (Some(header), _) => header.split(':').next().unwrap_or_default().trim(),
            (None, Some(shape)) => shape.rsplit('#').next().unwrap_or_default(),
            (None, None) => "",
        };
        let name = if name.is_empty() { "Unknown" } else { name };
        Self {
            status,
            name: name.to_owned(),
            message,
        }
    }

    /// The exception, if it is one that this crate knows.
    pub fn kind(&self) -> Option<ErrorKind> {
        ErrorKind::from_name(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_go_both_ways() {
        for &kind in ErrorKind::ALL {
            let found = ErrorKind::from_name(kind.name()).map(ErrorKind::name);
            assert_eq!(found, Some(kind.name()));
        }
        assert_eq!(ErrorKind::from_name("Coffee"), None);
    }

    #[test]
    fn a_client_reads_what_a_server_writes() {
        let error = ApiError::stream_not_found();
        let reply = ErrorReply::read(404, Some(error.kind().name()), error.body().as_bytes());
        assert_eq!(reply.kind(), Some(ErrorKind::ResourceNotFound));
        assert_eq!(reply.message, error.message());
        assert_eq!(
            ErrorReply::read(404, None, error.body().as_bytes()),
            reply,
            "the body alone is enough"
        );
    }

    #[test]
    fn the_forms_seen_in_the_wild_are_understood() {
        let header = "ResourceNotFoundException:https://kinesisvideo.amazonaws.com/doc/2017-09-30/";
        let reply = ErrorReply::read(404, Some(header), b"");
        assert_eq!(reply.name, "ResourceNotFoundException");
        let reply = ErrorReply::read(403, None, br#"{"__type":"a.b#AccessDeniedException"}"#);
        assert_eq!(reply.kind(), Some(ErrorKind::AccessDenied));
        let reply = ErrorReply::read(502, None, b"<html>Bad Gateway</html>");
        assert_eq!(
            (reply.name.as_str(), reply.message.as_str()),
            ("Unknown", "<html>Bad Gateway</html>")
        );
    }

    #[test]
    fn the_front_end_spells_message_in_lower_case() {
        let body = ApiError::new(ErrorKind::InvalidSignature, "x").body();
        assert_eq!(
            body,
            r#"{"__type":"InvalidSignatureException","message":"x"}"#
        );
        let body = ApiError::invalid_argument("x").body();
        assert_eq!(
            body,
            r#"{"Message":"x","__type":"InvalidArgumentException"}"#
        );
    }
}

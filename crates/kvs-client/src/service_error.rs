//! What went wrong with the service, by name, and what to do about it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// What kind of thing went wrong. The service's own errors are told apart by their names, never by
/// the HTTP status: a rate limit is a 400, like a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting makes no sense.
    Config,
    /// There are no credentials.
    Credentials,
    /// Whoever gives credentials out cannot be reached now.
    CredentialsUnavailable,
    /// The service refuses the credentials: wrong, expired, or not allowed to do this.
    NotAuthorized,
    /// The stream does not exist, or is not active.
    NotFound,
    /// The stream exists already, or is being changed.
    InUse,
    /// The request is one that the service never takes.
    InvalidArgument,
    /// The fragment is not there now; it may be later.
    FragmentNotFound,
    /// The stream's encryption key (KMS) cannot be used.
    Key,
    /// The stream has no retention, so it has no archive.
    NoDataRetention,
    /// Too many requests: later, again.
    RateLimit,
    /// Too many connections at once: when another one has ended, again.
    ConnectionLimit,
    /// The account's limit of streams is reached.
    StreamLimit,
    /// The data endpoint is not the stream's any more: ask for it again.
    InvalidEndpoint,
    /// The service itself failed (5xx).
    Unavailable,
    /// No connection: refused, no such host, cut off.
    Network,
    /// No answer in time.
    Timeout,
    /// TLS was refused: a certificate that nobody trusts, or no TLS at the other end.
    Tls,
    /// The answer was not what the protocol says.
    Protocol,
    /// The service gave an error that is not known here.
    Other,
}

/// An error of the service or of the way to it.
///
/// The message says what the user can do. No secret is ever in it.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ServiceError {
    kind: ErrorKind,
    message: String,
    status: Option<u16>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ServiceError {
    /// An error of that kind, with what the user is told.
    pub fn new(kind: ErrorKind, message: String) -> Self {
        Self {
            kind,
            message,
            status: None,
            source: None,
        }
    }

    /// An error in the settings.
    pub fn config(message: String) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Keeps what caused it.
    pub fn caused_by(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(cause));
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        use ErrorKind::*;
        match self.kind {
            RateLimit | ConnectionLimit | InvalidEndpoint | Unavailable | Network | Timeout => true,
            CredentialsUnavailable | Protocol | InUse | FragmentNotFound => true,
            Config | Credentials | NotAuthorized | NotFound | InvalidArgument => false,
            NoDataRetention | StreamLimit | Tls | Key | Other => false,
        }
    }

    /// The error of an HTTP answer: `name` is `x-amzn-ErrorType` up to its first colon.
    pub fn from_answer(operation: &str, status: u16, name: Option<&str>, message: &str) -> Self {
        let name = name.map(|name| {
            let before_url = name.split(':').next().unwrap_or(name);
            before_url.rsplit('#').next().unwrap_or(before_url)
        });
        let kind = name.map_or(ErrorKind::Other, kind_of_name);
        let kind = match kind {
            ErrorKind::Other if status >= 500 => ErrorKind::Unavailable,
            ErrorKind::Other if status == 429 => ErrorKind::RateLimit,
            ErrorKind::Other if matches!(status, 401 | 403) => ErrorKind::NotAuthorized,
            // The service names its errors; a proxy or a web server does not.
            ErrorKind::Other if name.is_none() => ErrorKind::Protocol,
            kind => kind,
        };
        let said = match (name, message) {
            (Some(name), "") => name.to_owned(),
            (Some(name), text) => format!("{name}: {text}"),
            (None, "") => format!("HTTP status {status}"),
            (None, text) => format!("HTTP status {status}: {text}"),
        };
        let mut error = Self::new(
            kind,
            format!("{operation} failed with {said}{}", advice(kind)),
        );
        error.status = Some(status);
        error
    }

    /// The error of a call through the SDK.
    pub(crate) fn from_sdk<E>(operation: &str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        match &error {
            SdkError::ServiceError(answer) => {
                let meta = answer.err();
                let status = answer.raw().status().as_u16();
                let text = meta.message().unwrap_or_default();
                Self::from_answer(operation, status, meta.code(), text)
            }
            SdkError::TimeoutError(_) => Self::timeout(operation).caused_by(error),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                Self::timeout(operation).caused_by(error)
            }
            SdkError::DispatchFailure(_) => Self::from_connect(operation, error),
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                let kind = match status {
                    500.. => ErrorKind::Unavailable,
                    _ => ErrorKind::Protocol,
                };
                let message =
                    format!("{operation} got an answer (HTTP {status}) that is not KVS's");
                Self::new(kind, message + advice(kind)).caused_by(error)
            }
            _ => {
                let message = format!("{operation} cannot be sent: {}", chain_text(&error));
                Self::new(ErrorKind::InvalidArgument, message)
            }
        }
    }

    /// Names the place that was not reached, if that is what went wrong.
    pub(crate) fn at(mut self, place: &str) -> Self {
        if let ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Tls = self.kind {
            self.message = format!("{place}: {}", self.message);
        }
        self
    }

    /// No answer in time.
    pub(crate) fn timeout(operation: &str) -> Self {
        let message = format!("{operation} got no answer in time");
        Self::new(ErrorKind::Timeout, message + advice(ErrorKind::Timeout))
    }

    /// No connection.
    pub(crate) fn from_connect(operation: &str, error: impl Error + Send + Sync + 'static) -> Self {
        let kind = if is_tls(&error) {
            ErrorKind::Tls
        } else {
            ErrorKind::Network
        };
        let message = format!("{operation} found no connection: {}", chain_text(&error));
        Self::new(kind, message + advice(kind)).caused_by(error)
    }
}

/// The kinds of the names that the models and the front end give.
fn kind_of_name(name: &str) -> ErrorKind {
    match name {
        "ResourceNotFoundException" => ErrorKind::NotFound,
        "ResourceInUseException" => ErrorKind::InUse,
        "InvalidArgumentException"
        | "InvalidResourceFormatException"
        | "InvalidDeviceException"
        | "TagsPerResourceExceededLimitException"
        | "ValidationError"
        | "ValidationException"
        | "VersionMismatchException" => ErrorKind::InvalidArgument,
        "NoDataRetentionException" => ErrorKind::NoDataRetention,
        "ClientLimitExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "LimitExceededException" => ErrorKind::RateLimit,
        "ConnectionLimitExceededException" => ErrorKind::ConnectionLimit,
        "AccountStreamLimitExceededException" | "DeviceStreamLimitExceededException" => {
            ErrorKind::StreamLimit
        }
        "InvalidEndpointException" => ErrorKind::InvalidEndpoint,
        "NotAuthorizedException"
        | "AccessDeniedException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "OptInRequired" => ErrorKind::NotAuthorized,
        "InternalFailure" | "ServiceUnavailable" | "InternalServerError" => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}

/// What the user can do, in brackets; starts with a separator or is empty.
pub(crate) fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotAuthorized => {
            " (check the credentials, their permissions, aws-region and the clock)"
        }
        ErrorKind::NotFound => " (check stream-name and aws-region, or create the stream)",
        ErrorKind::Key => " (check the stream's KMS key and the permissions on it)",
        ErrorKind::NoDataRetention => " (give the stream a retention period)",
        ErrorKind::StreamLimit => " (ask AWS for a higher limit, or delete streams)",
        ErrorKind::Network | ErrorKind::Timeout => " (check the endpoint and the network)",
        ErrorKind::Tls => " (check ca-file, and whether the endpoint is https)",
        ErrorKind::Protocol => " (check that the endpoint is a Kinesis Video Streams service)",
        _ => "",
    }
}

/// Whether TLS is among the causes.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    // An I/O error gives as its source that of what it wraps, so what it wraps is asked for too.
    causes(error).any(|cause| match cause.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().is_some_and(|inner| is_tls(inner)),
        None => cause.is::<rustls::Error>(),
    })
}

/// The innermost cause, which is the one that helps.
fn chain_text(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| {
        error.source()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_not_the_status() {
        let kind = |name| ServiceError::from_answer("GetMedia", 400, Some(name), "").kind();
        assert_eq!(kind("ClientLimitExceededException"), ErrorKind::RateLimit);
        assert_eq!(
            kind("ConnectionLimitExceededException"),
            ErrorKind::ConnectionLimit
        );
        assert_eq!(kind("InvalidArgumentException"), ErrorKind::InvalidArgument);
        assert_eq!(
            kind("ResourceNotFoundException:https://kinesisvideo.amazonaws.com/doc/2017-09-30/"),
            ErrorKind::NotFound
        );
        assert_eq!(
            kind("com.amazon.coral.service#AccessDeniedException"),
            ErrorKind::NotAuthorized
        );
    }

    #[test]
    fn without_a_name_the_status_decides() {
        let kind = |status| ServiceError::from_answer("GetMedia", status, None, "").kind();
        assert_eq!(kind(503), ErrorKind::Unavailable);
        assert_eq!(kind(403), ErrorKind::NotAuthorized);
        assert_eq!(kind(404), ErrorKind::Protocol);
        assert_eq!(kind(200), ErrorKind::Protocol);
    }

    #[test]
    fn a_place_is_named_where_it_was_not_reached() {
        let error = ServiceError::timeout("GetMedia").at("http://127.0.0.1:1");
        assert!(
            error
                .to_string()
                .starts_with("http://127.0.0.1:1: GetMedia")
        );
        let refused = ServiceError::from_answer("GetMedia", 403, None, "");
        assert!(!refused.at("http://127.0.0.1:1").to_string().contains("127"));
    }

    #[test]
    fn the_message_says_what_to_do() {
        let error = ServiceError::from_answer(
            "DescribeStream",
            404,
            Some("ResourceNotFoundException"),
            "The requested stream is not found or not active.",
        );
        assert_eq!(
            error.to_string(),
            "DescribeStream failed with ResourceNotFoundException: The requested stream is not \
             found or not active. (check stream-name and aws-region, or create the stream)"
        );
        assert!(!error.is_retryable());
    }
}

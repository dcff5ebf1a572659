//! PutMedia on the wire: one request whose body grows, and whose answer says what became of it.
//!
//! The SDK has no PutMedia. Its signature covers the headers and the hash of an empty body:
//! <https://docs.aws.amazon.com/kinesisvideostreams/latest/dg/API_dataplane_PutMedia.html>.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use kvs_protocol::{Ack, AckParser, ErrorReply, Timestamp, sigv4};

use super::session::Head;
use crate::task::OwnedTask;
use crate::{DataApi, ErrorKind, Service, ServiceError, clock};

const OPERATION: &str = "PutMedia";
/// An error's body is a line of JSON.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// How long an error's body may take.
const ERROR_WAIT: Duration = Duration::from_secs(5);

/// A session that the service takes data on: its acknowledgements. Dropping it breaks the
/// connection off.
#[derive(Debug)]
pub(super) struct Acks {
    body: Incoming,
    /// When the credentials expire that it was opened with.
    pub(super) expires: Option<SystemTime>,
    parser: AckParser,
    /// Moves the bytes.
    _connection: OwnedTask,
}

/// Connects, signs and sends the head of a PutMedia; returns when the service takes data.
pub(super) async fn open<B>(
    service: &Service,
    head: Head,
    body: B,
    now: SystemTime,
) -> Result<Acks, ServiceError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let endpoint = service.data_endpoint(DataApi::PutMedia).await?;
    let uri: Uri = format!("{endpoint}/putMedia").parse().map_err(|_| {
        let message = format!("the data endpoint {endpoint:?} is not a URL");
        ServiceError::new(ErrorKind::Protocol, message)
    })?;
    let credentials = service.credentials().await?;
    let region = service.region().await?;
    let request = request(service, &uri, head, body, &credentials, region, now)?;
    let config = service.config();
    let stream = service
        .http()
        .await?
        .connect(&uri, config.connect_timeout)
        .await?;
    let failed = |error: hyper::Error| ServiceError::from_connect(OPERATION, error);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let connection = OwnedTask::spawn(async move {
        // Whoever waits for the answer hears of the error there.
        let _ = connection.await;
    });
    let response = tokio::time::timeout(config.request_timeout, sender.send_request(request))
        .await
        .map_err(|_| ServiceError::timeout(OPERATION))?
        .map_err(failed)?;
    if response.status() == StatusCode::OK {
        return Ok(Acks {
            body: response.into_body(),
            expires: credentials.expiry(),
            parser: AckParser::new(),
            _connection: connection,
        });
    }
    Err(refusal(response).await)
}

impl Acks {
    /// The next acknowledgement; `None` at the end of the answer.
    pub(super) async fn next(&mut self) -> Result<Option<Ack>, String> {
        loop {
            match self.parser.next_ack() {
                Ok(Some(ack)) => return Ok(Some(ack)),
                Ok(None) => {}
                Err(error) => return Err(error.to_string()),
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.parser.push(bytes);
                    }
                }
                Some(Err(error)) => return Err(format!("the connection broke: {error}")),
            }
        }
    }
}

/// The request, signed.
fn request<B>(
    service: &Service,
    uri: &Uri,
    head: Head,
    body: B,
    credentials: &Credentials,
    region: &str,
    now: SystemTime,
) -> Result<Request<B>, ServiceError> {
    let unusable = |what: &str| ServiceError::config(format!("{what} cannot be sent in a header"));
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let stream = service.stream();
    let (stream_header, stream_value) = match stream.arn() {
        Some(arn) => ("x-amzn-stream-arn", arn),
        None => ("x-amzn-stream-name", stream.name()),
    };
    let start = match head.origin {
        Some(origin) => Timestamp::from_ms(origin.as_ms()),
        None => clock::timestamp(now),
    };
    let start = start.to_string();
    let times = match head.origin {
        Some(_) => "RELATIVE",
        None => "ABSOLUTE",
    };
    let acks = if head.acks { "1" } else { "0" };
    let signed = [
        ("host", host),
        (stream_header, stream_value),
        ("x-amzn-fragment-timecode-type", times),
        ("x-amzn-producer-start-timestamp", start.as_str()),
        ("x-amzn-fragment-acknowledgment-required", acks),
    ];
    let mut request = Request::post(uri.path())
        .header(header::USER_AGENT, &service.config().user_agent)
        .body(body)
        .map_err(|_| unusable("the user agent"))?;
    let headers = request.headers_mut();
    for (name, value) in signed {
        let value = HeaderValue::from_str(value).map_err(|_| unusable(name))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    for (name, mut value) in signature(uri, &signed, credentials, region, now)? {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(request)
}

/// The headers that sign the others.
fn signature(
    uri: &Uri,
    headers: &[(&str, &str)],
    credentials: &Credentials,
    region: &str,
    now: SystemTime,
) -> Result<Vec<(HeaderName, HeaderValue)>, ServiceError> {
    let failed = |error: &dyn std::error::Error| {
        let message = format!("{OPERATION} cannot be signed: {error}");
        ServiceError::new(ErrorKind::Credentials, message)
    };
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(sigv4::SERVICE)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let url = uri.to_string();
    let body = SignableBody::Bytes(&[]);
    let signable = SignableRequest::new("POST", url, headers.iter().copied(), body)
        .map_err(|error| failed(&error))?;
    let (instructions, _) = sign(signable, &params)
        .map_err(|error| failed(&error))?
        .into_parts();
    let (signed, _) = instructions.into_parts();
    signed
        .into_iter()
        .map(|header| {
            let value = HeaderValue::from_str(header.value()).map_err(|error| failed(&error))?;
            Ok((HeaderName::from_static(header.name()), value))
        })
        .collect()
}

/// The error that an answer other than 200 stands for.
async fn refusal(response: Response<Incoming>) -> ServiceError {
    let status = response.status().as_u16();
    let name = response
        .headers()
        .get(kvs_protocol::error::ERROR_TYPE_HEADER);
    let name = name.and_then(|name| name.to_str().ok()).map(str::to_owned);
    let body = Limited::new(response.into_body(), ERROR_BYTES_MAX).collect();
    let body = match tokio::time::timeout(ERROR_WAIT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        _ => Bytes::new(),
    };
    let reply = ErrorReply::read(status, name.as_deref(), &body);
    let name = Some(reply.name.as_str()).filter(|name| !name.is_empty());
    ServiceError::from_answer(OPERATION, status, name, &reply.message)
}

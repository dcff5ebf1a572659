//! The properties that say which stream of which service, and as whom; both elements have them.

use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use kvs_client::{
    ConnectionConfig, CredentialSource, Secret, ServiceError, StaticCredentials, StreamId,
};

use crate::iot_certificate;
use crate::property::{take, text, text_of};
use crate::uri;

const DEFAULT_STREAM_NAME: &str = "DEFAULT_STREAM";
/// Where AWS's element looks; it is not read unless it is set.
const DEFAULT_CREDENTIAL_PATH: &str = ".kvs/credential";
const DEFAULT_REGION: &str = "us-west-2";
const DEFAULT_USER_AGENT: &str = concat!("gst-plugin-kvs/", env!("CARGO_PKG_VERSION"));
const DEFAULT_CONNECTION_TIMEOUT_S: u32 = 5;
const DEFAULT_COMPLETION_TIMEOUT_S: u32 = 10;

/// What was said, as it was said. Secrets are in it, so it has no `Debug`.
#[derive(Clone, Default)]
pub(crate) struct ConnectionSettings {
    stream_name: Option<String>,
    stream_arn: Option<String>,
    region: Option<String>,
    endpoint: Option<String>,
    ca_file: Option<String>,
    access_key: Option<String>,
    secret_key: Option<Secret>,
    session_token: Option<Secret>,
    credential_path: Option<String>,
    iot_certificate: Option<gst::Structure>,
    connection_timeout: Option<Duration>,
    completion_timeout: Option<Duration>,
    user_agent: Option<String>,
}

impl ConnectionSettings {
    /// The properties, to be added to the element's own.
    pub(crate) fn param_specs() -> Vec<glib::ParamSpec> {
        let mut specs = Self::address_specs();
        specs.extend(Self::credential_specs());
        specs.extend(Self::timeout_specs());
        specs
    }

    fn address_specs() -> Vec<glib::ParamSpec> {
        let region = "AWS region; where not set AWS_REGION, AWS_DEFAULT_REGION, the profile, \
            us-west-2";
        let endpoint = "Base URL of the service (http or https); where not set \
            AWS_ENDPOINT_URL_KINESIS_VIDEO, AWS_ENDPOINT_URL, CONTROL_PLANE_URI, AWS itself";
        vec![
            glib::ParamSpecString::builder("stream-name")
                .nick("Stream name")
                .blurb("Name of the stream")
                .default_value(DEFAULT_STREAM_NAME)
                .mutable_ready()
                .build(),
            text(
                "stream-arn",
                "Stream ARN",
                "ARN of the stream, which names its region too; wins over stream-name",
            ),
            text("aws-region", "AWS region", region),
            text("region", "AWS region", "The same as aws-region"),
            text("endpoint", "Endpoint", endpoint),
            text("endpoint-uri", "Endpoint", "The same as endpoint"),
            text(
                "ca-file",
                "CA file",
                "PEM file of certificates to trust besides the system's; where not set \
                 KVSSINK_CA_CERT_PATH, AWS_CA_BUNDLE",
            ),
            glib::ParamSpecString::builder("user-agent")
                .nick("User agent")
                .blurb("User agent to name in requests")
                .default_value(DEFAULT_USER_AGENT)
                .mutable_ready()
                .build(),
        ]
    }

    fn credential_specs() -> Vec<glib::ParamSpec> {
        vec![
            text(
                "access-key",
                "Access key",
                "AWS access key id; where not set the environment and AWS's files. \
                 Reads back as null",
            ),
            text(
                "secret-key",
                "Secret key",
                "AWS secret access key. Reads back as null",
            ),
            text(
                "secret-access-key",
                "Secret key",
                "The same as secret-key. Reads back as null",
            ),
            text(
                "session-token",
                "Session token",
                "AWS session token of temporary credentials. Reads back as null",
            ),
            glib::ParamSpecString::builder("credential-path")
                .nick("Credential path")
                .blurb(
                    "File of one line, CREDENTIALS access secret, or CREDENTIALS access expiry \
                     secret session; read again before they expire",
                )
                .default_value(DEFAULT_CREDENTIAL_PATH)
                .mutable_ready()
                .build(),
            glib::ParamSpecBoxed::builder::<gst::Structure>("iot-certificate")
                .nick("IoT certificate")
                .blurb(
                    "The device's certificate, exchanged for credentials: iot-certificate,\
                     endpoint=HOST,cert-path=PEM,key-path=PEM,ca-path=PEM,role-aliases=NAME\
                     [,iot-thing-name=NAME][,connection-timeout=3][,completion-timeout=5]",
                )
                .mutable_ready()
                .build(),
        ]
    }

    fn timeout_specs() -> Vec<glib::ParamSpec> {
        vec![
            seconds(
                "connection-timeout",
                "Connection timeout",
                "How long connecting may take (s)",
                DEFAULT_CONNECTION_TIMEOUT_S,
            ),
            seconds(
                "completion-timeout",
                "Completion timeout",
                "How long a control-plane call may take (s)",
                DEFAULT_COMPLETION_TIMEOUT_S,
            ),
            glib::ParamSpecUInt::builder("request-timeout")
                .nick("Request timeout")
                .blurb("Where set, sets connection-timeout and completion-timeout (ms)")
                .minimum(1)
                .default_value(DEFAULT_COMPLETION_TIMEOUT_S * 1000)
                .mutable_ready()
                .build(),
        ]
    }

    /// Takes a property over; false if it is not one of these.
    pub(crate) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        let field = match name {
            "stream-name" => &mut self.stream_name,
            "stream-arn" => &mut self.stream_arn,
            "aws-region" | "region" => &mut self.region,
            "endpoint" | "endpoint-uri" => &mut self.endpoint,
            "ca-file" => &mut self.ca_file,
            "access-key" => &mut self.access_key,
            "user-agent" => &mut self.user_agent,
            "credential-path" => &mut self.credential_path,
            "iot-certificate" => {
                take(&mut self.iot_certificate, value);
                return true;
            }
            _ => return self.set_secret(name, value) || self.set_timeout(name, value),
        };
        *field = text_of(value);
        true
    }

    fn set_secret(&mut self, name: &str, value: &glib::Value) -> bool {
        let field = match name {
            "secret-key" | "secret-access-key" => &mut self.secret_key,
            "session-token" => &mut self.session_token,
            _ => return false,
        };
        *field = text_of(value).map(Secret::new);
        true
    }

    fn set_timeout(&mut self, name: &str, value: &glib::Value) -> bool {
        let Ok(number) = value.get::<u32>() else {
            return false;
        };
        match name {
            "connection-timeout" => {
                self.connection_timeout = Some(Duration::from_secs(number.into()));
            }
            "completion-timeout" => {
                self.completion_timeout = Some(Duration::from_secs(number.into()));
            }
            "request-timeout" => {
                self.connection_timeout = Some(Duration::from_millis(number.into()));
                self.completion_timeout = self.connection_timeout;
            }
            _ => return false,
        }
        true
    }

    /// Reads a property back: null for secrets, `None` if it is not one of these.
    pub(crate) fn get(&self, name: &str) -> Option<glib::Value> {
        let text = |field: &Option<String>, default: Option<&str>| {
            Some(field.as_deref().or(default).to_value())
        };
        let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        match name {
            "stream-name" => text(&self.stream_name, Some(DEFAULT_STREAM_NAME)),
            "stream-arn" => text(&self.stream_arn, None),
            "aws-region" | "region" => text(&self.region, Some(DEFAULT_REGION)),
            "endpoint" | "endpoint-uri" => text(&self.endpoint, None),
            "ca-file" => text(&self.ca_file, None),
            "credential-path" => text(&self.credential_path, Some(DEFAULT_CREDENTIAL_PATH)),
            "iot-certificate" => Some(self.iot_certificate.to_value()),
            "user-agent" => text(&self.user_agent, Some(DEFAULT_USER_AGENT)),
            "access-key" | "secret-key" | "secret-access-key" | "session-token" => {
                Some(None::<&str>.to_value())
            }
            "connection-timeout" => Some(seconds(self.connection_timeout()).to_value()),
            "completion-timeout" => Some(seconds(self.completion_timeout()).to_value()),
            "request-timeout" => Some(millis(self.completion_timeout()).to_value()),
            _ => None,
        }
    }

    /// What the client is told.
    ///
    /// # Errors
    /// A property makes no sense; the text names it and says what to do.
    pub(crate) fn config(&self) -> Result<ConnectionConfig, ServiceError> {
        let (property, stream) = match &self.stream_arn {
            Some(arn) => ("stream-arn", arn.as_str()),
            None => ("stream-name", self.stream_name()),
        };
        let wrong = |error: ServiceError| ServiceError::config(format!("{property}: {error}"));
        let stream: StreamId = stream.parse().map_err(wrong)?;
        let mut config = ConnectionConfig::new(stream);
        config.region.clone_from(&self.region);
        config.endpoint.clone_from(&self.endpoint);
        config.credentials = self.credentials(config.stream.name())?;
        config.ca_file = self.ca_file.as_ref().map(Into::into);
        config.connect_timeout = self.connection_timeout();
        config.request_timeout = self.completion_timeout();
        if let Some(user_agent) = &self.user_agent {
            config.user_agent.clone_from(user_agent);
        }
        config.check()?;
        Ok(config)
    }

    /// The stream's name, or the name that AWS's element takes where none is set.
    pub(crate) fn stream_name(&self) -> &str {
        self.stream_name.as_deref().unwrap_or(DEFAULT_STREAM_NAME)
    }

    /// The stream as a URI; `None` where none is named.
    pub(crate) fn uri(&self) -> Option<String> {
        let stream = self.stream_name.as_deref()?;
        let region = self.region.as_deref().unwrap_or_default();
        Some(uri::of(region, stream, self.endpoint.as_deref()))
    }

    /// Whether the user named a stream.
    pub(crate) fn names_a_stream(&self) -> bool {
        self.stream_name.is_some() || self.stream_arn.is_some()
    }

    fn credentials(&self, stream_name: &str) -> Result<CredentialSource, ServiceError> {
        match (&self.access_key, &self.secret_key) {
            (Some(access_key), Some(secret_key)) => {
                Ok(CredentialSource::Static(StaticCredentials {
                    access_key: access_key.clone(),
                    secret_key: secret_key.clone(),
                    session_token: self.session_token.clone(),
                }))
            }
            (None, None) if self.session_token.is_none() => self.other_credentials(stream_name),
            _ => Err(ServiceError::config(
                "access-key and secret-key belong together, session-token only with them: \
                 set both, or none to use the environment and AWS's files"
                    .to_owned(),
            )),
        }
    }

    /// Where credentials come from if none were set.
    fn other_credentials(&self, stream_name: &str) -> Result<CredentialSource, ServiceError> {
        match (&self.iot_certificate, &self.credential_path) {
            (Some(iot), None) => {
                let iot = iot_certificate::parse(iot, stream_name)?;
                Ok(CredentialSource::Iot(Box::new(iot)))
            }
            (None, Some(path)) => Ok(CredentialSource::File(path.into())),
            (None, None) => Ok(CredentialSource::Default),
            (Some(_), Some(_)) => Err(ServiceError::config(
                "iot-certificate and credential-path are both set: set one".to_owned(),
            )),
        }
    }

    fn connection_timeout(&self) -> Duration {
        self.connection_timeout
            .unwrap_or(Duration::from_secs(DEFAULT_CONNECTION_TIMEOUT_S.into()))
    }

    fn completion_timeout(&self) -> Duration {
        self.completion_timeout
            .unwrap_or(Duration::from_secs(DEFAULT_COMPLETION_TIMEOUT_S.into()))
    }
}

fn seconds(name: &str, nick: &str, blurb: &str, default: u32) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .nick(nick)
        .blurb(blurb)
        .minimum(1)
        .default_value(default)
        .mutable_ready()
        .build()
}

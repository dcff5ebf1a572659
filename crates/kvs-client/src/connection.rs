//! A connection: what the user said, resolved once into a region, an endpoint and a CA file.
//!
//! An explicit setting always wins over the environment, and the environment over defaults.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use kvs_protocol::arn::InvalidStreamArn;
use kvs_protocol::name::InvalidName;
use kvs_protocol::{Region, StreamArn, StreamName};

use crate::credentials::CredentialSource;
use crate::http::Http;
use crate::service_error::{ErrorKind, ServiceError};

/// The region where neither a setting, the environment nor the profile names one.
pub const DEFAULT_REGION: &str = "us-west-2";

/// How long a TCP and TLS connection may take by default.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one call of the control plane may take by default.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The stream that a connection is for: a name, or an ARN that names the region too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    name: StreamName,
    /// The ARN as it was given, and the region in it.
    arn: Option<(String, Region)>,
}

impl StreamId {
    /// The stream's name, also where it was given by ARN.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The ARN, if it was given by ARN.
    pub fn arn(&self) -> Option<&str> {
        self.arn.as_ref().map(|(arn, _)| arn.as_str())
    }

    /// The region that an ARN names.
    pub fn region(&self) -> Option<&str> {
        self.arn.as_ref().map(|(_, region)| region.as_str())
    }

    /// What a request carries as `StreamName`: nothing where it carries the ARN.
    pub fn request_name(&self) -> Option<&str> {
        self.arn.is_none().then(|| self.name())
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.arn().unwrap_or(self.name()))
    }
}

impl FromStr for StreamId {
    type Err = ServiceError;

    /// Takes a stream's name or its ARN.
    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let wrong =
            |why: &dyn fmt::Display| ServiceError::config(format!("{text:?} is no stream: {why}"));
        if text.starts_with("arn:") {
            let arn: StreamArn = text.parse().map_err(|why: InvalidStreamArn| wrong(&why))?;
            Ok(Self {
                name: arn.name,
                arn: Some((text.to_owned(), arn.region)),
            })
        } else {
            let name = text.parse().map_err(|why: InvalidName| wrong(&why))?;
            Ok(Self { name, arn: None })
        }
    }
}

/// What was said about a connection. Nothing is checked or looked up until it is used.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// The stream.
    pub stream: StreamId,
    /// The AWS region; `None` asks the ARN, the environment, then the profile.
    pub region: Option<String>,
    /// Base URL of the control plane (`http` or `https`); `None` asks the environment, then AWS.
    pub endpoint: Option<String>,
    /// Where credentials come from.
    pub credentials: CredentialSource,
    /// Certificates in PEM to trust besides the system's; `None` asks the environment.
    pub ca_file: Option<PathBuf>,
    /// How long a TCP and TLS connection may take.
    pub connect_timeout: Duration,
    /// How long one call of the control plane may take, connection included.
    pub request_timeout: Duration,
    /// What the client calls itself.
    pub user_agent: String,
}

impl ConnectionConfig {
    /// A connection for a stream with every default.
    pub fn new(stream: StreamId) -> Self {
        Self {
            stream,
            region: None,
            endpoint: None,
            credentials: CredentialSource::Default,
            ca_file: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            user_agent: concat!("gst-plugin-kvs/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Checks what needs no network: region, endpoint and CA file, wherever they were said.
    ///
    /// # Errors
    /// One of them makes no sense; the text says which.
    pub fn check(&self) -> Result<(), ServiceError> {
        let resolved = Resolved::new(self, |name| std::env::var(name).ok())?;
        if let Some(region) = &resolved.region {
            let wrong = |why: InvalidName| {
                ServiceError::config(format!("{region:?} is no aws-region: {why}"))
            };
            region.parse::<Region>().map_err(wrong)?;
        }
        Http::new(resolved.ca_file.as_deref()).map(drop)
    }
}

/// What setting, ARN and environment say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// `None`: the profile is to be asked, then [`DEFAULT_REGION`] is taken.
    pub(crate) region: Option<String>,
    /// `None`: AWS's own endpoint of the region.
    pub(crate) endpoint: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    /// AWS's endpoint is to be one with validated cryptography (FIPS 140).
    pub(crate) fips: bool,
    /// AWS's endpoint is to have IPv6 addresses too.
    pub(crate) dual_stack: bool,
}

impl Resolved {
    /// Resolves a configuration; `env` looks a variable up.
    pub(crate) fn new(
        config: &ConnectionConfig,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ServiceError> {
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| env(name).filter(|v| !v.is_empty()))
        };
        let region = config
            .region
            .clone()
            .or_else(|| config.stream.region().map(str::to_owned))
            .or_else(|| first(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let endpoint = config.endpoint.clone().or_else(|| {
            first(&[
                "AWS_ENDPOINT_URL_KINESIS_VIDEO",
                "AWS_ENDPOINT_URL",
                "CONTROL_PLANE_URI",
            ])
        });
        let ca_file = config
            .ca_file
            .clone()
            .or_else(|| first(&["KVSSINK_CA_CERT_PATH", "AWS_CA_BUNDLE"]).map(PathBuf::from));
        let endpoint = endpoint.as_deref().map(base_url).transpose()?;
        let is_on = |name| env(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Ok(Self {
            region,
            endpoint,
            ca_file,
            fips: is_on("AWS_USE_FIPS_ENDPOINT"),
            dual_stack: is_on("AWS_USE_DUALSTACK_ENDPOINT"),
        })
    }

    /// Whether AWS itself is at the other end.
    pub(crate) fn is_aws(&self) -> bool {
        self.endpoint.as_deref().is_none_or(is_aws_endpoint)
    }
}

/// Checks a base URL and takes the slash off its end.
fn base_url(text: &str) -> Result<String, ServiceError> {
    let text = text.trim().trim_end_matches('/');
    let uri = text.parse::<::http::Uri>().ok();
    let known = uri.as_ref().is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.query().is_none()
    });
    if known {
        return Ok(text.to_owned());
    }
    // A URL with a password in it must not reach a log, so the text is not repeated.
    Err(ServiceError::new(
        ErrorKind::Config,
        "the endpoint is not a base URL such as http://127.0.0.1:5600".to_owned(),
    ))
}

/// Whether a URL's host belongs to AWS.
fn is_aws_endpoint(url: &str) -> bool {
    let Ok(uri) = url.parse::<::http::Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    [
        "amazonaws.com",
        "amazonaws.com.cn",
        "api.aws",
        "api.amazonwebservices.com.cn",
    ]
    .iter()
    .any(|domain| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str =
        "arn:aws:kinesisvideo:eu-west-1:000000000000:stream/test_stream/1678721804436";

    fn config() -> ConnectionConfig {
        ConnectionConfig::new("cam".parse().expect("a name"))
    }

    fn env(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| {
            set.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn the_kind_of_awss_endpoint_is_the_environments_matter() {
        let of = |set| Resolved::new(&config(), env(set)).expect("it makes sense");
        let plain = of(&[("AWS_USE_FIPS_ENDPOINT", "false")]);
        assert!(!plain.fips && !plain.dual_stack);
        let both = of(&[
            ("AWS_USE_FIPS_ENDPOINT", "True"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ]);
        assert!(both.fips && both.dual_stack);
    }

    #[tokio::test]
    async fn each_partition_and_kind_has_its_endpoint() {
        use aws_sdk_kinesisvideo::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
        let resolver = DefaultResolver::new();
        for (region, fips, dual_stack, url) in [
            (
                "eu-west-1",
                false,
                false,
                "https://kinesisvideo.eu-west-1.amazonaws.com",
            ),
            (
                "cn-north-1",
                false,
                false,
                "https://kinesisvideo.cn-north-1.amazonaws.com.cn",
            ),
            (
                "us-gov-west-1",
                true,
                false,
                "https://kinesisvideo-fips.us-gov-west-1.amazonaws.com",
            ),
            (
                "us-east-1",
                false,
                true,
                "https://kinesisvideo.us-east-1.api.aws",
            ),
        ] {
            let params = Params::builder()
                .region(region)
                .use_fips(fips)
                .use_dual_stack(dual_stack)
                .build()
                .expect("they make sense");
            let found = resolver
                .resolve_endpoint(&params)
                .await
                .expect("there is one");
            assert_eq!(found.url(), url);
            assert!(is_aws_endpoint(url));
        }
    }

    #[test]
    fn a_stream_is_a_name_or_an_arn() {
        let name: StreamId = "front-door.1".parse().expect("a name");
        assert_eq!((name.name(), name.arn()), ("front-door.1", None));
        let arn: StreamId = ARN.parse().expect("an ARN");
        assert_eq!(
            (arn.name(), arn.arn(), arn.region()),
            ("test_stream", Some(ARN), Some("eu-west-1"))
        );
        assert_eq!(arn.request_name(), None);
        for wrong in [
            "",
            "a b",
            "caf\u{e9}",
            "arn:aws:s3:::bucket",
            "arn:",
            &ARN[..60],
            "a/b",
        ] {
            assert!(
                wrong.parse::<StreamId>().is_err(),
                "{wrong:?} must be refused"
            );
        }
    }

    #[test]
    fn an_explicit_setting_wins_over_the_environment() {
        let vars = env(&[
            ("AWS_REGION", "eu-north-1"),
            ("AWS_ENDPOINT_URL", "http://env:1"),
            ("AWS_CA_BUNDLE", "/env.pem"),
        ]);
        let mut said = config();
        said.region = Some("us-east-1".into());
        said.endpoint = Some("http://said:2/".into());
        said.ca_file = Some("/said.pem".into());
        let resolved = Resolved::new(&said, &vars).expect("valid");
        assert_eq!(resolved.region.as_deref(), Some("us-east-1"));
        assert_eq!(resolved.endpoint.as_deref(), Some("http://said:2"));
        assert_eq!(resolved.ca_file, Some("/said.pem".into()));

        let resolved = Resolved::new(&config(), &vars).expect("valid");
        assert_eq!(resolved.region.as_deref(), Some("eu-north-1"));
        assert_eq!(resolved.endpoint.as_deref(), Some("http://env:1"));
        assert_eq!(resolved.ca_file, Some("/env.pem".into()));
    }

    #[test]
    fn the_environment_has_an_order_of_its_own() {
        let vars = env(&[
            ("CONTROL_PLANE_URI", "http://c:3"),
            ("AWS_ENDPOINT_URL_KINESIS_VIDEO", "http://kv:1"),
            ("AWS_REGION", ""),
            ("AWS_DEFAULT_REGION", "ap-south-1"),
            ("AWS_CA_BUNDLE", "/aws.pem"),
            ("KVSSINK_CA_CERT_PATH", "/kvs.pem"),
        ]);
        let resolved = Resolved::new(&config(), vars).expect("valid");
        assert_eq!(resolved.endpoint.as_deref(), Some("http://kv:1"));
        assert_eq!(resolved.region.as_deref(), Some("ap-south-1"));
        assert_eq!(resolved.ca_file, Some("/kvs.pem".into()));
        let nothing = Resolved::new(&config(), env(&[])).expect("valid");
        assert_eq!(
            nothing,
            Resolved {
                region: None,
                endpoint: None,
                ca_file: None,
                fips: false,
                dual_stack: false,
            }
        );
        assert!(nothing.is_aws());
    }

    #[test]
    fn an_arn_names_the_region() {
        let said = ConnectionConfig::new(ARN.parse().expect("an ARN"));
        let resolved = Resolved::new(&said, env(&[("AWS_REGION", "us-east-1")])).expect("valid");
        assert_eq!(resolved.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn only_a_base_url_is_an_endpoint() {
        for wrong in [
            "localhost:5600",
            "ftp://host",
            "http://",
            "http://u:p@host",
            "http://h?x=1",
            "::",
        ] {
            let mut said = config();
            said.endpoint = Some(wrong.into());
            let error = Resolved::new(&said, env(&[])).expect_err(wrong);
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
    }

    #[test]
    fn what_needs_no_network_is_checked_at_once() {
        let mut said = config();
        said.endpoint = Some("https://127.0.0.1:9".into());
        said.region = Some("eu-west-1".into());
        said.check().expect("nobody has to listen there");
        said.region = Some("EU west".into());
        let error = said.check().expect_err("no region");
        assert!(error.to_string().contains("aws-region"), "{error}");
        said.region = None;
        said.ca_file = Some("/nowhere/ca.pem".into());
        let error = said.check().expect_err("no such file");
        assert!(error.to_string().contains("ca-file"), "{error}");
    }

    #[test]
    fn aws_is_known_by_its_domain() {
        assert!(is_aws_endpoint(
            "https://kinesisvideo.us-west-2.amazonaws.com"
        ));
        assert!(is_aws_endpoint(
            "https://s-1.kinesisvideo.cn-north-1.amazonaws.com.cn:443"
        ));
        assert!(!is_aws_endpoint("http://127.0.0.1:5600"));
        assert!(!is_aws_endpoint("https://notamazonaws.com"));
        assert!(!is_aws_endpoint("https://amazonaws.com.evil.example"));
    }
}

//! A handle on the service for one stream: resolves a connection when it is first used.

use std::sync::{Arc, Mutex, PoisonError};

use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use aws_sdk_kinesisvideo::config::Region;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::sync::OnceCell;

use crate::clock;
use crate::connection::{ConnectionConfig, DEFAULT_REGION, Resolved, StreamId};
use crate::control::EndpointCache;
use crate::credentials::{CachedCredentials, Chain, Placeholder};
use crate::http::Http;
use crate::service_error::ServiceError;

/// The service for one stream. A clone is another handle on the same connections and caches.
///
/// Making one costs nothing and cannot fail; the first call resolves the settings, and each error
/// in them is that call's error.
#[derive(Clone, Debug)]
pub struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ConnectionConfig,
    ready: OnceCell<Ready>,
    endpoints: Mutex<EndpointCache>,
}

/// What the settings came to.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) region: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) http: Http,
    fips: bool,
    dual_stack: bool,
    credentials: Arc<Provider>,
}

/// The one place where credentials are kept: the SDK's own caches are off, so that a refusal can
/// really be followed by a fresh fetch.
#[derive(Debug)]
struct Provider {
    chain: Chain,
    cached: Mutex<CachedCredentials>,
}

impl Service {
    /// A handle with those settings.
    pub fn new(config: ConnectionConfig) -> Self {
        Self(Arc::new(Inner {
            config,
            ready: OnceCell::new(),
            endpoints: Mutex::default(),
        }))
    }

    /// What was said.
    pub fn config(&self) -> &ConnectionConfig {
        &self.0.config
    }

    /// The stream.
    pub fn stream(&self) -> &StreamId {
        &self.0.config.stream
    }

    /// The region that requests are signed for.
    pub async fn region(&self) -> Result<&str, ServiceError> {
        Ok(&self.ready().await?.region)
    }

    /// What makes connections outside the SDK.
    pub async fn http(&self) -> Result<&Http, ServiceError> {
        Ok(&self.ready().await?.http)
    }

    /// Credentials that stay valid for at least a minute.
    pub async fn credentials(&self) -> Result<Credentials, ServiceError> {
        self.ready().await?.credentials.fetch().await
    }

    /// Forgets the credentials, because the service refused them; the next use fetches new ones.
    pub fn invalidate_credentials(&self) {
        if let Some(ready) = self.0.ready.get() {
            ready.credentials.lock().clear();
        }
    }

    pub(crate) fn endpoints(&self) -> std::sync::MutexGuard<'_, EndpointCache> {
        self.0
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn ready(&self) -> Result<&Ready, ServiceError> {
        self.0
            .ready
            .get_or_try_init(|| Ready::new(&self.0.config))
            .await
    }

    /// What each of the SDK's clients needs, for the given base URL.
    pub(crate) async fn sdk(&self, base_url: Option<&str>) -> Result<SdkParts, ServiceError> {
        let ready = self.ready().await?;
        // Asked for here, so that an error is told as what it is and not as the SDK's.
        ready.credentials.fetch().await?;
        Ok(SdkParts {
            region: Region::new(ready.region.clone()),
            fips: ready.fips,
            dual_stack: ready.dual_stack,
            http: ready.http.client(base_url),
            credentials: SharedCredentialsProvider::new(ProviderHandle(Arc::clone(
                &ready.credentials,
            ))),
            timeouts: TimeoutConfig::builder()
                .connect_timeout(self.0.config.connect_timeout)
                .operation_timeout(self.0.config.request_timeout)
                .build(),
            retries: RetryConfig::disabled(),
        })
    }
}

/// The parts that the SDK's client configurations have in common.
pub(crate) struct SdkParts {
    pub(crate) region: Region,
    pub(crate) fips: bool,
    pub(crate) dual_stack: bool,
    pub(crate) http: aws_smithy_runtime_api::client::http::SharedHttpClient,
    pub(crate) credentials: SharedCredentialsProvider,
    pub(crate) timeouts: TimeoutConfig,
    pub(crate) retries: RetryConfig,
}

/// Builds one of the SDK's clients: their configurations have the same shape, but no type in
/// common. Retries are off since whoever calls has a back-off of its own; stalled-stream protection
/// is off since a live stream may well be silent.
macro_rules! sdk_client {
    ($sdk:ident, $service:expr, $base_url:expr) => {{
        let base_url: Option<&str> = $base_url;
        let parts = $service.sdk(base_url).await?;
        let mut config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region(parts.region)
            .use_fips(parts.fips)
            .use_dual_stack(parts.dual_stack)
            .http_client(parts.http)
            .credentials_provider(parts.credentials)
            .identity_cache($sdk::config::IdentityCache::no_cache())
            .timeout_config(parts.timeouts)
            .retry_config(parts.retries)
            .stalled_stream_protection($sdk::config::StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(base_url.map(str::to_owned));
        config.set_app_name($crate::service::app_name($service.config()));
        $sdk::Client::from_conf(config.build())
    }};
}
pub(crate) use sdk_client;

/// The user agent in the form that the SDK takes.
pub(crate) fn app_name(config: &ConnectionConfig) -> Option<aws_sdk_kinesisvideo::config::AppName> {
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = config.user_agent.chars().map(allowed).collect();
    aws_sdk_kinesisvideo::config::AppName::new(name).ok()
}

impl Ready {
    async fn new(config: &ConnectionConfig) -> Result<Self, ServiceError> {
        let resolved = Resolved::new(config, |name| std::env::var(name).ok())?;
        let http = Http::new(resolved.ca_file.as_deref())?;
        let asking = ProviderConfig::without_region().with_http_client(http.client(None));
        let region = match resolved.region.clone() {
            Some(region) => region,
            None => ProfileFileRegionProvider::builder()
                .configure(&asking)
                .build()
                .region()
                .await
                .map_or_else(|| DEFAULT_REGION.to_owned(), |region| region.to_string()),
        };
        let placeholder = if resolved.is_aws() {
            Placeholder::Refused
        } else {
            Placeholder::Allowed
        };
        let asking = asking.with_region(Some(Region::new(region.clone())));
        let chain = Chain::new(&config.credentials, &asking, placeholder);
        let credentials = Arc::new(Provider {
            chain,
            cached: Mutex::default(),
        });
        Ok(Self {
            region,
            endpoint: resolved.endpoint,
            fips: resolved.fips,
            dual_stack: resolved.dual_stack,
            http,
            credentials,
        })
    }
}

impl Provider {
    async fn fetch(&self) -> Result<Credentials, ServiceError> {
        if let Some(credentials) = self.lock().get(clock::wall()) {
            return Ok(credentials);
        }
        let fetched = self.chain.fetch().await?;
        self.lock().put(fetched.clone());
        Ok(fetched)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CachedCredentials> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The provider as the SDK wants it.
#[derive(Debug)]
struct ProviderHandle(Arc<Provider>);

impl ProvideCredentials for ProviderHandle {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.0
                .fetch()
                .await
                .map_err(CredentialsError::provider_error)
        })
    }
}

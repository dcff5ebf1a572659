//! The SDK's HTTP client, with calls that may be dropped on any thread.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::config_bag::ConfigBag;
use tokio::runtime::Handle;

/// A client, or a connector, whose calls are dropped inside the runtime they were made in.
///
/// A call that is dropped once its answer has come gives its connection back to the pool, and the
/// pool's first idle connection starts a task. On a thread without a runtime that is a panic, and
/// whoever drops a reader may well be on one.
#[derive(Debug)]
pub(super) struct AnyThread<T>(pub(super) T);

impl HttpClient for AnyThread<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(AnyThread(self.0.http_connector(settings, components)))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        HttpClient::validate_base_client_config(&self.0, components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        HttpClient::validate_final_config(&self.0, components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

impl HttpConnector for AnyThread<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(Call {
            inner: Some(Box::pin(self.0.call(request))),
            runtime: Handle::try_current().ok(),
        })
    }
}

struct Call {
    /// Taken when it is dropped.
    inner: Option<Pin<Box<HttpConnectorFuture>>>,
    runtime: Option<Handle>,
}

impl Future for Call {
    type Output = <HttpConnectorFuture as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.inner {
            Some(inner) => inner.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let _inside = self.runtime.as_ref().map(Handle::enter);
        drop(self.inner.take());
    }
}

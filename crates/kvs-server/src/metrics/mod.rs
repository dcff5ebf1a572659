//! What the server counts while it runs, and the page that Prometheus reads.
//!
//! Counting is an atomic addition. What can be looked up is looked up when the page is asked for
//! ([`scrape`]). No label has more values than there are operations, errors or streams.

mod scrape;

use std::fmt;

use kvs_protocol::api::Operation;
use kvs_protocol::{Ack, AckError};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use scrape::Scrape;

use crate::store::Store;

/// The type of the page: OpenMetrics, which Prometheus has asked for since its version 2.5.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    ack_errors: Family<ErrorLabels, Counter>,
    acks: AckCounters,
    /// What PutMedia bodies brought.
    pub(crate) ingest_bytes: Counter,
    /// Fragments that arrived whole.
    pub(crate) fragments: Counter,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// PutMedia sessions that are open.
    pub(crate) sessions: Gauge,
    /// Responses with media under way.
    pub(crate) readers: Gauge,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    operation: String,
    status: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ErrorLabels {
    id: u32,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct AckLabels {
    kind: &'static str,
}

#[derive(Debug)]
struct AckCounters {
    buffering: Counter,
    received: Counter,
    persisted: Counter,
    idle: Counter,
    error: Counter,
}

impl AckCounters {
    fn new(family: &Family<AckLabels, Counter>) -> Self {
        let of = |kind| family.get_or_create_owned(&AckLabels { kind });
        Self {
            buffering: of("buffering"),
            received: of("received"),
            persisted: of("persisted"),
            idle: of("idle"),
            error: of("error"),
        }
    }
}

impl Metrics {
    /// Nothing has been counted yet.
    pub(crate) fn new(store: &Store) -> Self {
        let acks = Family::default();
        let mut metrics = Self {
            registry: Registry::with_prefix("kvs"),
            requests: Family::default(),
            ack_errors: Family::default(),
            acks: AckCounters::new(&acks),
            ingest_bytes: Counter::default(),
            fragments: Counter::default(),
            connections: Gauge::default(),
            sessions: Gauge::default(),
            readers: Gauge::default(),
        };
        metrics.register(acks, store);
        metrics
    }

    fn register(&mut self, acks: Family<AckLabels, Counter>, store: &Store) {
        let registry = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The server", version);
        let help = "Responses begun, by operation (other: none of KVS) and status";
        registry.register("requests", help, self.requests.clone());
        let help = "Bytes of PutMedia bodies";
        registry.register_with_unit("ingest", help, Unit::Bytes, self.ingest_bytes.clone());
        let help = "Fragments that arrived whole";
        registry.register("fragments", help, self.fragments.clone());
        registry.register("acks", "Acks sent, by kind", acks);
        let help = "PutMedia sessions that ended with an error, by its id";
        registry.register("put_media_errors", help, self.ack_errors.clone());
        let help = "Connections open now";
        registry.register("connections", help, self.connections.clone());
        let help = "PutMedia sessions open now";
        registry.register("put_media_sessions", help, self.sessions.clone());
        let help = "GetMedia and GetMediaForFragmentList responses under way now";
        registry.register("readers", help, self.readers.clone());
        let groups = store.groups();
        let help = "From when the writer takes a group of fragments until it is durable";
        let commit_seconds = groups.commit_seconds.clone();
        registry.register_with_unit("commit", help, Unit::Seconds, commit_seconds);
        let help = "Fragments made durable with one sync";
        registry.register("group_fragments", help, groups.fragments.clone());
        registry.register_collector(Box::new(Scrape::new(store.clone())));
    }

    /// A response begins.
    pub(crate) fn request(&self, operation: Option<Operation>, status: u16) {
        // The variants have the names that the service gives its operations.
        let operation = match operation {
            Some(operation) => format!("{operation:?}"),
            None => "other".into(),
        };
        let labels = RequestLabels { operation, status };
        self.requests.get_or_create(&labels).inc();
    }

    /// An ack is sent.
    pub(crate) fn ack(&self, ack: &Ack) {
        let counter = match ack {
            Ack::Buffering(_) => &self.acks.buffering,
            Ack::Received(_) => &self.acks.received,
            Ack::Persisted(_) => &self.acks.persisted,
            Ack::Idle => &self.acks.idle,
            _ => &self.acks.error,
        };
        counter.inc();
    }

    /// A session ends with an error, whether its producer wants acks or not.
    pub(crate) fn ended_with(&self, error: AckError) {
        let labels = ErrorLabels { id: error.id() };
        self.ack_errors.get_or_create(&labels).inc();
    }

    /// The page. Blocks.
    pub(crate) fn page(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

/// One more, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Present(Gauge);

impl Present {
    /// One more from now on.
    pub(crate) fn among(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

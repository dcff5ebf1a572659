//! What all requests share.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use kvs_protocol::api::StreamRef;
use kvs_protocol::{ApiError, KmsKeyId, Region};
use ring::rand::SystemRandom;
use tokio::sync::{mpsc, watch};

use crate::ask::ask;
use crate::auth::Auth;
use crate::clock::Clock;
use crate::config::Config;
use crate::faults::Faults;
use crate::faults::clock::FaultClock;
use crate::faults::disk::FaultDisk;
use crate::host::Hosts;
use crate::ingest::Budget;
use crate::live::{Live, LiveStream};
use crate::metrics::Metrics;
use crate::quotas::Quotas;
use crate::start_error::StartError;
use crate::store::{Expiry, Store, StoreConfig, StoreError, Stream};

/// One server's state. Requests hold it together with what they need of it.
#[derive(Debug)]
pub(crate) struct App {
    config: Config,
    auth: Arc<Auth>,
    hosts: Hosts,
    store: Store,
    metrics: Metrics,
    live: Arc<Live>,
    budget: Arc<Budget>,
    region: Region,
    default_key: KmsKeyId,
    random: SystemRandom,
    /// `None` unless the server is told to fail on purpose.
    faults: Option<Faults>,
    /// `None` unless callers are held to them.
    quotas: Option<Quotas>,
    stopping: watch::Receiver<bool>,
}

impl App {
    /// Reads the credentials and opens the store.
    pub(crate) fn open(
        mut config: Config,
        address: SocketAddr,
        stopping: watch::Receiver<bool>,
        running: mpsc::Sender<Infallible>,
    ) -> Result<Arc<Self>, StartError> {
        // Before the clock may be stepped: else no signature would be left that steps it back.
        let auth = Arc::new(Auth::open(&config)?);
        let faults = config.faults.then(Faults::default);
        if let Some(faults) = &faults {
            config.clock = Arc::new(FaultClock::new(config.clock, faults.clone()));
        }
        let hosts = Hosts::new(&config, address)?;
        let region = region(&config)?;
        let default_key = default_key(&config)?;
        let place = match &config.data {
            Some(data) => {
                let place = StoreConfig::on_disk(data);
                match config.disk_bytes_max {
                    Some(bytes_max) => place.within(bytes_max),
                    None => place,
                }
            }
            None => StoreConfig::in_memory(),
        };
        let place = StoreConfig {
            master_key: config.master_key.clone(),
            expiry: match config.trust_clock {
                true => Expiry::Confirmed,
                false => Expiry::Synchronized,
            },
            ..place
        };
        let mut store =
            Store::open_wrapped(&place, Arc::clone(&config.clock), |disk| {
                match faults.clone() {
                    None => disk,
                    Some(faults) => Arc::new(FaultDisk::new(disk, faults)),
                }
            })?;
        store.claim()?;
        store.tell_when_closed(running);
        Ok(Arc::new(Self {
            auth,
            hosts,
            metrics: Metrics::new(&store),
            store,
            live: Arc::default(),
            budget: Budget::new(config.open_bytes_max),
            region,
            default_key,
            random: SystemRandom::new(),
            faults,
            quotas: config.aws_quotas.then(Quotas::default),
            config,
            stopping,
        }))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn auth(&self) -> &Arc<Auth> {
        &self.auth
    }

    pub(crate) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.config.clock
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// What a stream is said to be encrypted with if its maker named no key.
    pub(crate) fn default_key(&self) -> &KmsKeyId {
        &self.default_key
    }

    pub(crate) fn random(&self) -> &SystemRandom {
        &self.random
    }

    /// AWS's quotas; `None` if nobody is held to them.
    pub(crate) fn quotas(&self) -> Option<&Quotas> {
        self.quotas.as_ref()
    }

    /// What the server is told to do wrong; `None` if it may not be told.
    pub(crate) fn faults(&self) -> Option<&Faults> {
        self.faults.as_ref()
    }

    /// Turns true when the server is told to stop.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// The stream that a request names.
    pub(crate) fn stream(&self, named: &StreamRef) -> Result<Arc<Stream>, ApiError> {
        let stream = self.store.stream(named.name());
        let stream = stream.ok_or_else(ApiError::stream_not_found)?;
        match named {
            StreamRef::Arn(arn) if *arn != self.arn(&stream) => Err(ApiError::stream_not_found()),
            _ => Ok(stream),
        }
    }

    /// The ring of a stream's newest fragments.
    pub(crate) async fn live_stream(
        self: &Arc<Self>,
        stream: &Arc<Stream>,
    ) -> Result<Arc<LiveStream>, StoreError> {
        let (app, stream) = (Arc::clone(self), Arc::clone(stream));
        ask(&self.store, move |store| {
            app.live.stream(stream.id, || {
                Ok(store.newest(stream.id)?.map(|newest| newest.number))
            })
        })
        .await
    }

    /// All rings of newest fragments.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Deletes a stream and ends whoever writes or reads it.
    pub(crate) async fn delete(self: &Arc<Self>, stream: &Stream) -> Result<(), StoreError> {
        let id = stream.id;
        let app = Arc::clone(self);
        ask(&self.store, move |store| {
            let deleted = store.delete_stream(id);
            if deleted.is_err() {
                // It may have been committed all the same: the next turn opens the index again.
                store.checkpoint()?;
            }
            // It may be gone although its key could not be destroyed yet.
            if store.stream_by_id(id).is_none() {
                app.live.remove(id);
            }
            deleted
        })
        .await
    }
}

fn region(config: &Config) -> Result<Region, StartError> {
    config.region.parse().map_err(|_| StartError::Flag {
        flag: "region",
        value: config.region.clone(),
        what: "it has to be like us-west-2",
    })
}

fn default_key(config: &Config) -> Result<KmsKeyId, StartError> {
    let Config {
        region, account_id, ..
    } = config;
    let is_account = account_id.len() == 12 && account_id.bytes().all(|b| b.is_ascii_digit());
    format!("arn:aws:kms:{region}:{account_id}:alias/aws/kinesisvideo")
        .parse()
        .ok()
        .filter(|_| is_account)
        .ok_or_else(|| StartError::Flag {
            flag: "account-id",
            value: account_id.clone(),
            what: "it has to be twelve digits",
        })
}

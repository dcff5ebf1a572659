//! What a server is told before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::ingest::OPEN_BYTES_MAX;
use crate::seed::Seed;

/// Everything that a server is told.
///
/// The default keeps all data in memory and listens on a free port of the loopback interface,
/// which is what a test wants; the binary's flags say otherwise.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The folder of the store; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// The file of the key that wraps the streams' keys; `None` keeps it in the data folder.
    pub master_key: Option<PathBuf>,
    /// The base URL that GetDataEndpoint gives out; `None` takes it from the request's Host.
    pub public_url: Option<String>,
    /// The region of the streams' ARNs and of every signature.
    pub region: String,
    /// The twelve digits of the streams' ARNs.
    pub account_id: String,
    /// The file of the access keys; `None` takes any signature or none, on loopback only.
    pub credentials: Option<PathBuf>,
    /// Certificate and key; `None` speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// After how long without a fragment a GetMedia ends; `None` never ends it.
    pub get_media_idle: Option<Duration>,
    /// Streams that have data when the server starts.
    pub seeds: Vec<Seed>,
    /// Whether callers are held to AWS's rates and number of streams.
    pub aws_quotas: bool,
    /// Whether `/_kvs/faults` is there, over which the server is told to do things wrong.
    pub faults: bool,
    /// How old a PutMedia may get before its producer has to open another; `None` is any age.
    pub connection_age_max: Option<Duration>,
    /// The web origins whose pages may call a server without credentials.
    pub allow_origins: Vec<String>,
    /// What all fragments that are being received may take of memory; for tests.
    #[doc(hidden)]
    pub open_bytes_max: u64,
    /// What the data folder may take of the disk; over it the oldest fragments go. `None` is what
    /// the disk has.
    pub disk_bytes_max: Option<u64>,
    /// Whether the wall clock is right although the machine does not know it to be synchronised.
    pub trust_clock: bool,
    /// Where wall time comes from.
    pub clock: Arc<dyn Clock>,
}

/// The files that a TLS server shows and proves itself with, both PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The flag's default, as AWS ends a GetMedia.
pub const GET_MEDIA_IDLE: Duration = Duration::from_secs(3);
/// The flag's default, AWS's limit.
pub(crate) const CONNECTION_AGE_MAX: Duration = Duration::from_secs(45 * 60);
/// The flag's default.
pub const REGION: &str = "us-west-2";
/// The flag's default.
pub const ACCOUNT_ID: &str = "000000000000";

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: None,
            master_key: None,
            public_url: None,
            region: REGION.into(),
            account_id: ACCOUNT_ID.into(),
            credentials: None,
            tls: None,
            get_media_idle: Some(GET_MEDIA_IDLE),
            seeds: Vec::new(),
            aws_quotas: false,
            faults: false,
            connection_age_max: Some(CONNECTION_AGE_MAX),
            allow_origins: Vec::new(),
            open_bytes_max: OPEN_BYTES_MAX,
            disk_bytes_max: None,
            trust_clock: true,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

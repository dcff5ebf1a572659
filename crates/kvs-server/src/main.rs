//! The `kvs-server` binary: flags in, a running server or one line of error out.

mod commands;

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, ValueEnum};
use commands::{Command, failed};
use kvs_server::{ACCOUNT_ID, Config, Handle, REGION, Seed, Server, TlsFiles};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

const PORT: u16 = 5600;

/// Kinesis Video Streams on one machine.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Flags {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

/// Who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum LogFormat {
    /// People.
    Text,
    /// Machines: a JSON object a line.
    Json,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("place").args(["data", "memory"]))]
struct Serve {
    /// Where to listen; port 0 picks a free one.
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
        value_parser = address
    )]
    listen: SocketAddr,
    /// Where everything is stored.
    #[arg(long, default_value = "./kvs-data")]
    data: PathBuf,
    /// Store nothing on disk.
    #[arg(long)]
    memory: bool,
    /// The file of the key that encrypts the streams' keys [default: in the data folder].
    #[arg(long)]
    master_key: Option<PathBuf>,
    /// The base URL that clients are told [default: the one they used].
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The region that requests are signed for.
    #[arg(long, default_value = REGION)]
    region: String,
    /// The account of the streams' ARNs.
    #[arg(long, default_value = ACCOUNT_ID)]
    account_id: String,
    /// Access keys, in the format of ~/.aws/credentials. Without it anybody on this machine may do
    /// anything, and nobody else is let in.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// The certificate chain, PEM.
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM.
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// What the data folder may take, such as 50G: over it the oldest fragments go.
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "memory")]
    max_disk: Option<u64>,
    /// The clock is right although no time server says so: old fragments may go by it.
    #[arg(long)]
    trust_clock: bool,
    /// End a GetMedia after so long without a fragment; 0 never does.
    #[arg(long, default_value = "3s", value_parser = duration)]
    get_media_idle: Duration,
    /// End a PutMedia at that age, behind the fragment under way; 0 never does.
    #[arg(long, default_value = "45m", value_parser = duration)]
    connection_age_max: Duration,
    /// Hold callers to AWS's rates and number of streams.
    #[arg(long)]
    aws_quotas: bool,
    /// Let web pages of this origin call a server without --credentials; may be given again.
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allow_origins: Vec<String>,
    /// Begin with a stream that has this file's data (Matroska or MP4), ending now; several may be
    /// given. The stream is named after the file unless =STREAM is behind it.
    #[arg(long, value_name = "FILE[=STREAM]", value_parser = seed)]
    seed: Vec<Seed>,
    /// For whom the log on stderr is written.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Let whoever may administer the server make it fail: see docs/faults.md.
    #[arg(long)]
    enable_faults: bool,
}

impl Serve {
    fn into_config(self) -> Config {
        Config {
            listen: self.listen,
            data: (!self.memory).then_some(self.data),
            master_key: self.master_key,
            public_url: self.public_url,
            region: self.region,
            account_id: self.account_id,
            credentials: self.credentials,
            tls: self
                .tls_cert
                .zip(self.tls_key)
                .map(|(cert, key)| TlsFiles { cert, key }),
            disk_bytes_max: self.max_disk,
            trust_clock: self.trust_clock,
            get_media_idle: Some(self.get_media_idle).filter(|idle| !idle.is_zero()),
            seeds: self.seed,
            aws_quotas: self.aws_quotas,
            faults: self.enable_faults,
            connection_age_max: Some(self.connection_age_max).filter(|age| !age.is_zero()),
            allow_origins: self.allow_origins,
            ..Config::default()
        }
    }
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match flags.serve.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
    // A line in the log like any other, and not one of its own with a trace.
    std::panic::set_hook(Box::new(|panic| {
        let what = panic.to_string().replace('\n', " ");
        tracing::error!(what, "a task failed");
    }));
    match flags.command {
        Some(command) => command.run(),
        None => {
            raise_file_limit();
            serve(flags.serve.into_config())
        }
    }
}

/// As many open files as the system lets it have: the usual 1024 are soon taken by connections.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Runs until a signal says to stop.
#[tokio::main]
async fn serve(config: Config) -> ExitCode {
    // Installed first, so that a signal that comes while the store opens is not lost.
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    let server = match Server::start(config).await {
        Ok(server) => server,
        Err(error) => return failed(&error),
    };
    if let Err(error) = announce(&server) {
        return failed(&error);
    }
    while signals.next().await == Told::Reload {
        if let Err(error) = server.reload() {
            tracing::error!(%error, "nothing was read again: no thread could be started for it");
        }
    }
    tracing::info!("stopping");
    server.stop().await;
    ExitCode::SUCCESS
}

/// What a signal says.
#[derive(PartialEq)]
enum Told {
    Stop,
    Reload,
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.term.recv() => Told::Stop,
            _ = self.int.recv() => Told::Stop,
            _ = self.hup.recv() => Told::Reload,
        }
    }
}

fn announce(server: &Handle) -> io::Result<()> {
    writeln!(io::stdout(), "kvs-server listening on {}", server.url())
}

/// An address is no name: which interface a name stands for is not for us to guess.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("it has to be IP:PORT, for example 127.0.0.1:{PORT}"))
}

/// A path with a `=` in it needs a name behind it.
fn seed(text: &str) -> Result<Seed, Infallible> {
    let (file, stream) = match text.rsplit_once('=') {
        Some((file, stream)) => (file, Some(stream.into())),
        None => (text, None),
    };
    let file = file.into();
    Ok(Seed { file, stream })
}

/// `3s`, `500ms`, `2m`, or a plain number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u32 = digits
        .parse()
        .map_err(|_| "give a time such as 3s, 500ms or 2m")?;
    let unit = match &text[digits.len()..] {
        "ms" => Duration::from_millis(1),
        "" | "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        _ => return Err("the units are ms, s and m".into()),
    };
    Ok(unit * number)
}

/// `50G`, `1T`: powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    /// Some segments, so that eviction takes a part, besides the reserve and the index.
    const SIZE_MIN: u64 = 1 << 30;
    const SIZE_WANTED: &str = "give a whole number of G or T, 1G or more, such as 50G or 2T";
    let unit = match text.as_bytes().last() {
        Some(b'G') => 1 << 30,
        Some(b'T') => 1 << 40,
        _ => return Err(SIZE_WANTED.into()),
    };
    let number = text[..text.len() - 1].parse::<u64>();
    let bytes = number.ok().and_then(|number| number.checked_mul(unit));
    bytes
        .filter(|bytes| *bytes >= SIZE_MIN)
        .ok_or(SIZE_WANTED.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("50G"), Ok(50 << 30));
        assert_eq!(size("2T"), Ok(2 << 40));
        for wrong in ["", "G", "0G", "50", "-1G", "1.5G", "99999999999T", "1é"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("3s"), Ok(Duration::from_secs(3)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "s", "-1s", "3 s", "3h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_an_ip_and_a_port() {
        assert!(address("127.0.0.1:0").is_ok() && address("[::1]:5600").is_ok());
        for wrong in ["localhost:0", "5601", "127.0.0.1", ""] {
            let flags = Flags::try_parse_from(["kvs-server", "--listen", wrong]);
            let said = flags.expect_err(wrong).to_string();
            assert!(
                said.contains("has to be IP:PORT, for example 127.0.0.1:5600"),
                "{said}"
            );
        }
    }

    #[test]
    fn flags_are_consistent() {
        use clap::CommandFactory;
        Flags::command().debug_assert();
        assert!(Flags::try_parse_from(["kvs-server", "--tls-cert", "x"]).is_err());
        let flags = Flags::parse_from(["kvs-server", "--memory", "--get-media-idle", "0"]);
        let config = flags.serve.into_config();
        assert_eq!((config.data, config.get_media_idle), (None, None));
    }
}

//! What the properties say, resolved once into what to read.

use kvs_client::{ConnectionConfig, FragmentNumber, LiveConfig, Range, RangeClock, Timestamp};

use super::{Mode, Start, TimeBase};
use crate::connection_settings::ConnectionSettings;

/// What was said, as it was said.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) connection: ConnectionSettings,
    pub(super) mode: Mode,
    pub(super) start: Start,
    pub(super) start_time: Option<String>,
    pub(super) stop_time: Option<String>,
    pub(super) start_fragment: Option<String>,
    pub(super) continuation_token: Option<String>,
    pub(super) time_base: TimeBase,
    pub(super) retry_attempts: u32,
    pub(super) post_messages: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connection: ConnectionSettings::default(),
            mode: Mode::default(),
            start: Start::default(),
            start_time: None,
            stop_time: None,
            start_fragment: None,
            continuation_token: None,
            time_base: TimeBase::default(),
            retry_attempts: 0,
            post_messages: true,
        }
    }
}

/// A property that makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum InvalidSetting {
    #[error(
        "{property}={value:?} is no time: give RFC 3339 (2024-05-01T12:00:00Z) or seconds \
         since 1970"
    )]
    Time {
        property: &'static str,
        value: String,
    },
    #[error("start-fragment={0:?} is no fragment number: give 1 to 128 digits")]
    FragmentNumber(String),
    #[error("start={start} needs {property}: set it, or leave start at auto")]
    Missing {
        start: &'static str,
        property: &'static str,
    },
    #[error("start={0} is for mode=live: in the archive use start-time or start=earliest")]
    NotInArchive(&'static str),
    #[error("stop-time is before start-time: swap them")]
    EmptyRange,
    #[error("{0}")]
    Connection(#[from] kvs_client::ServiceError),
}

/// What to read. It is valid.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) connection: ConnectionConfig,
    pub(super) source: SourceConfig,
    pub(super) time_base: TimeBase,
    pub(super) stop_time: Option<Timestamp>,
    /// After so many failures in a row reading is given up; 0 is never.
    pub(super) retry_attempts: u32,
    pub(super) post_messages: bool,
}

/// Which reader reads it.
#[derive(Clone, Debug)]
pub(super) enum SourceConfig {
    Live(LiveConfig),
    Archive(Range),
}

impl Config {
    pub(super) fn is_live(&self) -> bool {
        matches!(self.source, SourceConfig::Live(_))
    }
}

impl Settings {
    /// Checks everything that was said.
    pub(super) fn resolve(&self) -> Result<Config, InvalidSetting> {
        let stop_time = parse_time("stop-time", self.stop_time.as_deref())?;
        let start = self.start()?;
        if let (
            kvs_client::Start::ProducerTime(start) | kvs_client::Start::ServerTime(start),
            Some(stop),
        ) = (&start, stop_time)
            && stop < *start
        {
            return Err(InvalidSetting::EmptyRange);
        }
        let source = match self.mode {
            Mode::Live => SourceConfig::Live(LiveConfig {
                start,
                retry_attempts: self.retry_attempts,
                ..LiveConfig::default()
            }),
            Mode::Archive => SourceConfig::Archive(Range {
                clock: match self.time_base {
                    TimeBase::Producer => RangeClock::Producer,
                    TimeBase::Server => RangeClock::Server,
                },
                from: archive_start(&start)?,
                to: stop_time,
            }),
        };
        Ok(Config {
            connection: self.connection.config()?,
            source,
            time_base: self.time_base,
            stop_time,
            retry_attempts: self.retry_attempts,
            post_messages: self.post_messages,
        })
    }

    fn start(&self) -> Result<kvs_client::Start, InvalidSetting> {
        let missing = |start, property| InvalidSetting::Missing { start, property };
        Ok(match self.chosen_start() {
            Start::Now => kvs_client::Start::Now,
            Start::Earliest => kvs_client::Start::Earliest,
            Start::Timestamp => {
                let time = parse_time("start-time", self.start_time.as_deref())?
                    .ok_or_else(|| missing("timestamp", "start-time"))?;
                match self.time_base {
                    TimeBase::Producer => kvs_client::Start::ProducerTime(time),
                    TimeBase::Server => kvs_client::Start::ServerTime(time),
                }
            }
            Start::Fragment => {
                let text = self
                    .start_fragment
                    .as_deref()
                    .ok_or_else(|| missing("fragment", "start-fragment"))?;
                let number = text
                    .parse::<FragmentNumber>()
                    .map_err(|_| InvalidSetting::FragmentNumber(text.to_owned()))?;
                kvs_client::Start::AfterFragment(number)
            }
            Start::Auto | Start::Continuation => {
                let token = self
                    .continuation_token
                    .clone()
                    .ok_or_else(|| missing("continuation", "continuation-token"))?;
                kvs_client::Start::Continuation(token)
            }
        })
    }

    /// What `auto` means here.
    fn chosen_start(&self) -> Start {
        match (self.start, self.mode) {
            (Start::Auto, _) if self.start_time.is_some() => Start::Timestamp,
            (Start::Auto, _) if self.start_fragment.is_some() => Start::Fragment,
            (Start::Auto, _) if self.continuation_token.is_some() => Start::Continuation,
            (Start::Auto, Mode::Live) => Start::Now,
            (Start::Auto, Mode::Archive) => Start::Earliest,
            (said, _) => said,
        }
    }
}

/// Where a range of the archive begins; `None` is the oldest fragment.
fn archive_start(start: &kvs_client::Start) -> Result<Option<Timestamp>, InvalidSetting> {
    match start {
        kvs_client::Start::Earliest => Ok(None),
        kvs_client::Start::ProducerTime(time) | kvs_client::Start::ServerTime(time) => {
            Ok(Some(*time))
        }
        kvs_client::Start::AfterFragment(_) => Err(InvalidSetting::NotInArchive("fragment")),
        kvs_client::Start::Continuation(_) => Err(InvalidSetting::NotInArchive("continuation")),
        _ => Err(InvalidSetting::NotInArchive("now")),
    }
}

fn parse_time(
    property: &'static str,
    text: Option<&str>,
) -> Result<Option<Timestamp>, InvalidSetting> {
    text.map(|value| {
        value.parse().map_err(|_| InvalidSetting::Time {
            property,
            value: value.to_owned(),
        })
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use gst::prelude::*;

    use super::*;

    fn refused(settings: &Settings) -> String {
        settings.resolve().expect_err("must be refused").to_string()
    }

    fn live_start(settings: &Settings) -> kvs_client::Start {
        match settings.resolve().expect("valid").source {
            SourceConfig::Live(live) => live.start,
            SourceConfig::Archive(_) => panic!("live is the default"),
        }
    }

    #[test]
    fn auto_takes_what_is_set() {
        let mut settings = Settings::default();
        assert_eq!(live_start(&settings), kvs_client::Start::Now);
        settings.continuation_token = Some("token".into());
        assert_eq!(
            live_start(&settings),
            kvs_client::Start::Continuation("token".into())
        );
        settings.start_time = Some("1704164645.678".into());
        let time = Timestamp::from_ms(1_704_164_645_678);
        assert_eq!(live_start(&settings), kvs_client::Start::ProducerTime(time));
        settings.time_base = TimeBase::Server;
        assert_eq!(live_start(&settings), kvs_client::Start::ServerTime(time));
        settings.start = Start::Earliest;
        assert_eq!(live_start(&settings), kvs_client::Start::Earliest);
    }

    /// What an unset variable of a shell becomes, in quotes.
    #[test]
    fn an_empty_text_is_nothing() {
        let mut settings = Settings::default();
        for name in [
            "start-time",
            "stop-time",
            "start-fragment",
            "continuation-token",
        ] {
            settings.set(name, &"".to_value());
        }
        assert_eq!(live_start(&settings), kvs_client::Start::Now);
    }

    #[test]
    fn the_archive_is_a_range() {
        let settings = Settings {
            mode: Mode::Archive,
            start_time: Some("2024-01-02T03:04:05Z".into()),
            stop_time: Some("1704164700".into()),
            ..Settings::default()
        };
        match settings.resolve().expect("valid").source {
            SourceConfig::Archive(range) => {
                assert_eq!(range.from, Some(Timestamp::from_ms(1_704_164_645_000)));
                assert_eq!(range.to, Some(Timestamp::from_ms(1_704_164_700_000)));
            }
            SourceConfig::Live(_) => panic!("the mode is archive"),
        }
    }

    #[test]
    fn a_refusal_names_the_property() {
        let mut settings = Settings {
            start: Start::Fragment,
            ..Settings::default()
        };
        assert!(refused(&settings).contains("start-fragment"));
        settings.start_fragment = Some("x".into());
        assert!(refused(&settings).contains("start-fragment=\"x\""));
        settings.start_fragment = Some("12".into());
        settings.mode = Mode::Archive;
        assert!(refused(&settings).contains("start=fragment is for mode=live"));
        settings.start = Start::Auto;
        settings.start_time = Some("yesterday".into());
        assert!(refused(&settings).contains("start-time=\"yesterday\""));
        settings.start_time = Some("10".into());
        settings.stop_time = Some("9".into());
        assert!(refused(&settings).contains("stop-time is before start-time"));
    }
}

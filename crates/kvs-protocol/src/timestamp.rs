//! Timestamps as the API writes them: seconds since 1970 with milliseconds behind the point.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::calendar;

/// An instant in whole milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    ms: u64,
}

/// Why a value is no timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a timestamp is a number of seconds since 1970, such as 1704164645.678")]
pub struct InvalidTimestamp;

/// 9999-12-31T23:59:59.999Z. A greater number of seconds is a number of milliseconds by mistake.
const MS_MAX: u64 = 253_402_300_799_999;

impl Timestamp {
    /// The instant `ms` milliseconds after 1970.
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    /// Milliseconds since 1970.
    pub const fn as_ms(self) -> u64 {
        self.ms
    }

    /// The instant that is `seconds` after 1970, to the nearest millisecond.
    fn from_seconds(seconds: f64) -> Result<Self, InvalidTimestamp> {
        let ms = (seconds * 1000.0).round();
        // The cast is exact: the bound lies below 2^53.
        if (0.0..=MS_MAX as f64).contains(&ms) {
            Ok(Self { ms: ms as u64 })
        } else {
            Err(InvalidTimestamp)
        }
    }
}

impl fmt::Display for Timestamp {
    /// `1511852109.126`, as in the tags of GetMedia.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.ms / 1000, self.ms % 1000)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Takes seconds as a decimal number, in any notation, or ISO 8601.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<f64>() {
            Ok(seconds) => Self::from_seconds(seconds),
            Err(_) => calendar::parse_extended(text)
                .map(Self::from_ms)
                .ok_or(InvalidTimestamp),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The nearest double to a decimal of three places prints as just that decimal.
        serializer.serialize_f64(self.ms as f64 / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{InvalidTimestamp}")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Timestamp, E> {
                Timestamp::from_seconds(value).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Timestamp, E> {
                self.visit_f64(value as f64)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Timestamp, E> {
                self.visit_f64(value as f64)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Timestamp, E> {
                value.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_notation_that_clients_send_is_read() {
        for json in [
            "1704164645.678",
            "1.704164645678E9",
            r#""1704164645.678""#,
            r#""2024-01-02T03:04:05.678Z""#,
        ] {
            let read: Timestamp = serde_json::from_str(json).expect(json);
            assert_eq!(read, Timestamp::from_ms(1_704_164_645_678), "{json}");
        }
        assert_eq!("5".parse(), Ok(Timestamp::from_ms(5000)));
    }

    #[test]
    fn what_is_no_timestamp_is_refused() {
        for text in ["", "soon", "-1", "NaN", "inf", "1e300", "1704164645678"] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }

    #[test]
    fn milliseconds_are_padded() {
        assert_eq!(
            Timestamp::from_ms(1_511_852_109_005).to_string(),
            "1511852109.005"
        );
    }

    proptest! {
        #[test]
        fn no_millisecond_is_lost_on_the_way(ms in 0..=MS_MAX) {
            let instant = Timestamp::from_ms(ms);
            let json = serde_json::to_string(&instant).expect("a number");
            prop_assert!(json.split('.').nth(1).is_none_or(|decimals| decimals.len() <= 3));
            prop_assert_eq!(serde_json::from_str(&json).ok(), Some(instant));
            prop_assert_eq!(instant.to_string().parse(), Ok(instant));
        }
    }
}

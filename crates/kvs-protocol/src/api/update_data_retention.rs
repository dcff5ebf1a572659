//! UpdateDataRetention: keeps a stream's fragments for longer or shorter.

use serde::Deserialize;

use super::create_stream::RETENTION_HOURS_MAX;
use super::{StreamRef, members};
use crate::{ApiError, Version};

/// A request to change how long a stream's fragments are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateDataRetention {
    /// The stream.
    pub stream: StreamRef,
    /// Changes it only if the metadata still has this version.
    pub current_version: Version,
    /// What to change.
    pub change: RetentionChange,
}

/// By how much the retention period changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionChange {
    /// So many hours longer.
    Longer(u64),
    /// So many hours shorter.
    Shorter(u64),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Operation {
    IncreaseDataRetention,
    DecreaseDataRetention,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    current_version: Option<Version>,
    operation: Option<Operation>,
    data_retention_change_in_hours: Option<i64>,
}

impl UpdateDataRetention {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = StreamRef::read::<Members>(body)?;
        let current_version = members::required("CurrentVersion", members.current_version)?;
        let operation = members::required("Operation", members.operation)?;
        let wanted = members::required(
            "DataRetentionChangeInHours",
            members.data_retention_change_in_hours,
        )?;
        let hours = u64::try_from(wanted).ok().filter(|&hours| hours >= 1);
        let hours = hours.ok_or_else(|| {
            ApiError::invalid_argument(format!(
                "DataRetentionChangeInHours is {wanted}; it has to be 1 at least."
            ))
        })?;
        Ok(Self {
            stream,
            current_version,
            change: match operation {
                Operation::IncreaseDataRetention => RetentionChange::Longer(hours),
                Operation::DecreaseDataRetention => RetentionChange::Shorter(hours),
            },
        })
    }
}

impl RetentionChange {
    /// The hours after it, from those before.
    ///
    /// # Errors
    /// They would be fewer than none, or more than ten years.
    pub fn apply(self, hours: u32) -> Result<u32, ApiError> {
        let before = u64::from(hours);
        let after = match self {
            Self::Longer(by) => before.checked_add(by),
            Self::Shorter(by) => before.checked_sub(by),
        };
        after
            .and_then(|after| u32::try_from(after).ok())
            .filter(|&after| after <= RETENTION_HOURS_MAX)
            .ok_or_else(|| {
                let (by, word) = match self {
                    Self::Longer(by) => (by, "longer"),
                    Self::Shorter(by) => (by, "shorter"),
                };
                ApiError::invalid_argument(format!(
                    "The retention is {hours} hours and cannot be {by} hours {word}; it has to \
                     be from 0 to {RETENTION_HOURS_MAX}."
                ))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(members: &str) -> Result<UpdateDataRetention, ApiError> {
        let body = format!(r#"{{"StreamName":"a","CurrentVersion":"v",{members}}}"#);
        UpdateDataRetention::parse(body.as_bytes())
    }

    #[test]
    fn a_change_is_an_operation_and_its_hours() {
        let request =
            parse(r#""Operation":"DECREASE_DATA_RETENTION","DataRetentionChangeInHours":2"#);
        assert_eq!(
            request.map(|request| request.change),
            Ok(RetentionChange::Shorter(2))
        );
        for (members, says) in [
            (r#""Operation":"INCREASE_DATA_RETENTION""#, "is missing"),
            (r#""DataRetentionChangeInHours":1"#, "Operation is missing"),
            (
                r#""Operation":"DOUBLE","DataRetentionChangeInHours":1"#,
                "expected `INCREASE_DATA_RETENTION` or `DECREASE_DATA_RETENTION`",
            ),
            (
                r#""Operation":"INCREASE_DATA_RETENTION","DataRetentionChangeInHours":0"#,
                "it has to be 1 at least",
            ),
        ] {
            let error = parse(members).expect_err(members);
            assert!(error.message().contains(says), "{members}: {error}");
        }
    }

    #[test]
    fn the_result_has_bounds_on_both_sides() {
        use RetentionChange::{Longer, Shorter};
        assert_eq!(Shorter(24).apply(24), Ok(0));
        assert_eq!(Longer(87_599).apply(1), Ok(RETENTION_HOURS_MAX));
        for (change, before) in [
            (Shorter(25), 24),
            (Longer(87_600), 1),
            (Longer(u64::MAX), 1),
            (Longer(1 << 32), 0),
        ] {
            let error = change.apply(before).expect_err("out of bounds");
            assert!(
                error.message().contains("from 0 to 87600"),
                "{change:?}: {error}"
            );
        }
    }
}

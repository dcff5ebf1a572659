//! DescribeNotificationConfiguration, UpdateNotificationConfiguration: who is told of fragments
//! that ask for it.

use serde::{Deserialize, Serialize};

use super::StreamRef;
use crate::{ApiError, DestinationUri};

/// Who is told of a stream's fragments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Notification {
    /// Whether anybody is told.
    pub status: ConfigurationStatus,
    /// Who.
    pub destination_config: NotificationDestination,
}

/// Where notifications go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NotificationDestination {
    /// A topic's ARN, as a rule.
    pub uri: DestinationUri,
}

/// Whether a configuration is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ConfigurationStatus {
    /// It is.
    Enabled,
    /// It is kept only.
    Disabled,
}

/// A request to set or delete the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateNotification {
    /// The stream.
    pub stream: StreamRef,
    /// The new one; none deletes what there is.
    pub configuration: Option<Notification>,
}

/// The response to a request for the configuration.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribedNotification {
    /// None if there is none.
    pub notification_configuration: Option<Notification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    notification_configuration: Option<Notification>,
}

impl UpdateNotification {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = StreamRef::read::<Members>(body)?;
        let configuration = members.notification_configuration;
        Ok(Self {
            stream,
            configuration,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse(configuration: &Value) -> Result<UpdateNotification, ApiError> {
        let body = json!({"StreamName": "a", "NotificationConfiguration": configuration});
        UpdateNotification::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_configuration_is_shown_as_it_was_set() {
        let topic = "arn:aws:sns:us-west-2:000000000000:topic";
        let good = json!({"Status": "DISABLED", "DestinationConfig": {"Uri": topic}});
        let set = parse(&good).expect("valid").configuration;
        assert_eq!(serde_json::to_value(set).expect("JSON"), good);
        assert_eq!(parse(&Value::Null).expect("valid").configuration, None);
        for bad in [
            json!({}),
            json!([]),
            json!({"Status": "ENABLED"}),
            json!({"Status": "ENABLED", "DestinationConfig": {}}),
            json!({"Status": "ENABLED", "DestinationConfig": {"Uri": ""}}),
            json!({"Status": "enabled", "DestinationConfig": {"Uri": topic}}),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }
}

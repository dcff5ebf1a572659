//! The connections: how long they live, and when the upload gives up.

use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use kvs_client::producer::ProducerConfig;

use crate::property::{number, switch, take};

const DEFAULT_STOP_TIMEOUT_S: u32 = 120;
const DEFAULT_STALENESS_S: u32 = 60;
const DEFAULT_ROTATION_PERIOD_S: u32 = 3600;
/// Attempts that `restart-on-error=false` allows.
const ATTEMPTS_WITHOUT_RESTART: u32 = 1;
/// Attempts that `restart-on-error=true` allows: any number.
const ATTEMPTS_UNLIMITED: u32 = 0;

#[derive(Clone)]
pub(super) struct SessionSettings {
    stop_timeout_s: u32,
    staleness_s: u32,
    rotation_period_s: u32,
    retry_attempts: u32,
    fragment_acks: bool,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            stop_timeout_s: DEFAULT_STOP_TIMEOUT_S,
            staleness_s: DEFAULT_STALENESS_S,
            rotation_period_s: DEFAULT_ROTATION_PERIOD_S,
            retry_attempts: ATTEMPTS_UNLIMITED,
            fragment_acks: true,
        }
    }
}

impl SessionSettings {
    pub(super) fn specs() -> Vec<glib::ParamSpec> {
        vec![
            number(
                "stop-stream-timeout",
                "Stop timeout",
                "How long EOS waits for the last confirmation (s)",
                1..=u32::MAX,
                DEFAULT_STOP_TIMEOUT_S,
            ),
            number(
                "connection-staleness",
                "Connection staleness",
                "A connection on which a confirmation is due for so long is made anew (s)",
                1..=u32::MAX,
                DEFAULT_STALENESS_S,
            ),
            number(
                "rotation-period",
                "Rotation period",
                "A connection is replaced, with fresh credentials, after so long (s); 40 min at \
                 most",
                1..=u32::MAX,
                DEFAULT_ROTATION_PERIOD_S,
            ),
            number(
                "retry-attempts",
                "Retry attempts",
                "Failed attempts in a row after which the upload fails; 0: retry for ever",
                0..=u32::MAX,
                ATTEMPTS_UNLIMITED,
            ),
            switch(
                "restart-on-error",
                "Restart on error",
                "true sets retry-attempts to 0, false to 1",
                true,
            ),
            switch(
                "fragment-acks",
                "Fragment acks",
                "Ask for acknowledgements. Without them what was sent counts as stored, and an \
                 outage costs what was under way",
                true,
            ),
        ]
    }

    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "stop-stream-timeout" => take(&mut self.stop_timeout_s, value),
            "connection-staleness" => take(&mut self.staleness_s, value),
            "rotation-period" => take(&mut self.rotation_period_s, value),
            "retry-attempts" => take(&mut self.retry_attempts, value),
            "restart-on-error" => {
                self.retry_attempts = match value.get() {
                    Ok(false) => ATTEMPTS_WITHOUT_RESTART,
                    _ => ATTEMPTS_UNLIMITED,
                };
            }
            "fragment-acks" => take(&mut self.fragment_acks, value),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "stop-stream-timeout" => self.stop_timeout_s.to_value(),
            "connection-staleness" => self.staleness_s.to_value(),
            "rotation-period" => self.rotation_period_s.to_value(),
            "retry-attempts" => self.retry_attempts.to_value(),
            "restart-on-error" => (self.retry_attempts != ATTEMPTS_WITHOUT_RESTART).to_value(),
            "fragment-acks" => self.fragment_acks.to_value(),
            _ => return None,
        })
    }

    pub(super) fn apply(&self, config: &mut ProducerConfig) {
        config.stop_timeout = Duration::from_secs(self.stop_timeout_s.into());
        config.connection_staleness = Duration::from_secs(self.staleness_s.into());
        config.rotation_period = Duration::from_secs(self.rotation_period_s.into());
        config.retry_attempts = self.retry_attempts;
        config.acks = self.fragment_acks;
    }
}

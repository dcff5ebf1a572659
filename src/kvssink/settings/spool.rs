//! The spool: where on disk, and how much.

use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use kvs_client::SpoolConfig;
use kvs_client::producer::SpoolLimits;

use crate::property::{number, take, text, text_of};

const DEFAULT_MAX_SIZE_MB: u32 = 1024;
const DEFAULT_MAX_AGE_S: u32 = 0;

#[derive(Clone)]
pub(super) struct SpoolSettings {
    path: Option<String>,
    max_size_mb: u32,
    max_age_s: u32,
    key_file: Option<String>,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            path: None,
            max_size_mb: DEFAULT_MAX_SIZE_MB,
            max_age_s: DEFAULT_MAX_AGE_S,
            key_file: None,
        }
    }
}

impl SpoolSettings {
    pub(super) fn specs() -> Vec<glib::ParamSpec> {
        vec![
            text(
                "spool-path",
                "Spool path",
                "Folder in which everything lies that is not confirmed, of this element alone; \
                 where not set, it lies in memory only",
            ),
            number(
                "spool-max-size",
                "Spool maximum size",
                "What the spool holds at most (MB); then its oldest fragment is dropped, or the \
                 source is held back, as a full buffer does it",
                1..=u32::MAX,
                DEFAULT_MAX_SIZE_MB,
            ),
            number(
                "spool-max-age",
                "Spool maximum age",
                "What is so much older than the newest fragment is dropped (s); 0: never",
                0..=u32::MAX,
                DEFAULT_MAX_AGE_S,
            ),
            text(
                "spool-key-file",
                "Spool key file",
                "File with a key that encrypts the spool: 32 bytes, or 64 hexadecimal digits; \
                 where not set, it is plain Matroska",
            ),
        ]
    }

    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "spool-path" => self.path = text_of(value),
            "spool-max-size" => take(&mut self.max_size_mb, value),
            "spool-max-age" => take(&mut self.max_age_s, value),
            "spool-key-file" => self.key_file = text_of(value),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "spool-path" => self.path.to_value(),
            "spool-max-size" => self.max_size_mb.to_value(),
            "spool-max-age" => self.max_age_s.to_value(),
            "spool-key-file" => self.key_file.to_value(),
            _ => return None,
        })
    }

    /// Where it is, if there is to be one.
    pub(super) fn config(&self) -> Option<SpoolConfig> {
        let folder = self.path.as_ref()?.into();
        let key_file = self.key_file.as_ref().map(Into::into);
        Some(SpoolConfig { folder, key_file })
    }

    pub(super) fn limits(&self) -> SpoolLimits {
        SpoolLimits {
            bytes_max: u64::from(self.max_size_mb) << 20,
            age_max: Duration::from_secs(self.max_age_s.into()),
        }
    }
}

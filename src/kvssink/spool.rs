//! The element's spool: open from its first upload on until NULL, and shared by its uploads.

use kvs_client::producer::Spooling;
use kvs_client::{Spool, SpoolConfig, SpoolError};

use super::settings::Settings;

/// The spool that is open, and for what.
#[derive(Debug, Default)]
pub(super) struct OpenSpool(Option<(SpoolConfig, String, Spool)>);

impl OpenSpool {
    /// The spool that the settings name, if they name one. One of other settings is closed.
    pub(super) fn get(
        &mut self,
        settings: &Settings,
        stream: &str,
    ) -> Result<Option<Spooling>, SpoolError> {
        let Some(config) = settings.spool_config() else {
            self.close();
            return Ok(None);
        };
        let is_it =
            |(open, of, _): &&(SpoolConfig, String, Spool)| *open == config && *of == stream;
        let spool = match self.0.as_ref().filter(is_it) {
            Some((_, _, spool)) => spool.clone(),
            None => {
                self.close();
                let spool = Spool::open(&config, stream)?;
                self.0 = Some((config, stream.to_owned(), spool.clone()));
                spool
            }
        };
        let limits = settings.spool_limits();
        Ok(Some(Spooling { spool, limits }))
    }

    /// Another element may have the folder now.
    pub(super) fn close(&mut self) {
        self.0 = None;
    }
}

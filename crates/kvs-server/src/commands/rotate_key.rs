//! `kvs-server rotate-key`: exchanges the master key.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kvs_server::store;

use super::{Folder, counted, failed};

/// The flags of `kvs-server rotate-key`.
#[derive(Debug, Args)]
pub(crate) struct RotateKey {
    #[command(flatten)]
    folder: Folder,
    /// The file of the new master key [default: a random one in the data folder].
    #[arg(long, value_name = "FILE")]
    new_master_key: Option<PathBuf>,
}

impl RotateKey {
    pub(super) fn run(self) -> ExitCode {
        let Folder { data, master_key } = self.folder;
        let new = self.new_master_key.as_deref();
        let rotated = match store::rotate_key(&data, master_key.as_deref(), new) {
            Ok(rotated) => rotated,
            Err(error) => return failed(&error),
        };
        if let Some(error) = rotated.unfinished {
            let _ = writeln!(
                io::stderr(),
                "kvs-server: the new master key is in force; the next start ends what is left"
            );
            return failed(&error);
        }
        let keys = counted(rotated.streams, "stream key");
        let place = match new {
            Some(new) => format!("start the server with --master-key {}", new.display()),
            None => "it lies in the data folder".into(),
        };
        // Whoever closed stdout has the exit code.
        let _ = writeln!(io::stdout(), "{keys} under a new master key: {place}");
        ExitCode::SUCCESS
    }
}

//! `kvs-server check`: names what is wrong in a data folder, a line each.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use kvs_server::store;

use super::{Folder, counted, failed};

/// The flags of `kvs-server check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    folder: Folder,
    /// Read and decrypt every record, not just its header.
    #[arg(long)]
    full: bool,
}

impl Check {
    pub(super) fn run(self) -> ExitCode {
        let Folder { data, master_key } = self.folder;
        let checked = match store::check(data, master_key, self.full) {
            Ok(checked) => checked,
            Err(error) => return failed(&error),
        };
        let mut stdout = io::stdout().lock();
        if checked.violations.is_empty() {
            let streams = counted(checked.streams, "stream");
            let fragments = counted(checked.fragments, "fragment");
            let depth = if self.full {
                "every byte was read"
            } else {
                "headers and index; --full reads every byte"
            };
            // Whoever closed stdout has the exit code.
            let _ = writeln!(stdout, "{streams}, {fragments}: no damage found ({depth})");
            return ExitCode::SUCCESS;
        }
        for violation in &checked.violations {
            if writeln!(stdout, "{violation}").is_err() {
                break;
            }
        }
        ExitCode::FAILURE
    }
}

//! `kvs-server backup`: copies a data folder while it is in use.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kvs_server::store;

use super::show::Shown;
use super::{Folder, counted, failed};

/// The flags of `kvs-server backup`.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    folder: Folder,
    /// Where the backup lies, or is to lie. What it has already is not copied again.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

impl Backup {
    pub(super) fn run(self) -> ExitCode {
        let Folder { data, master_key } = self.folder;
        let mut shown = Shown::new("copied");
        let done = store::backup(&data, master_key.as_deref(), &self.to, |progress| {
            shown.show(progress);
        });
        let done = match done {
            Ok(done) => done,
            Err(error) => return failed(&error),
        };
        let streams = counted(done.streams, "stream");
        let fragments = counted(done.fragments, "fragment");
        let mib = done.copied_bytes.div_ceil(1 << 20);
        let mut lines = format!("{streams}, {fragments}: backed up, {mib} MiB of it new\n");
        lines += match done.master_key {
            true => "the master key is in the backup: who has the backup can read it\n",
            false => "the master key is not in the backup: keep a copy of its file elsewhere\n",
        };
        if done.damaged > 0 {
            let damaged = counted(done.damaged as usize, "fragment");
            lines += &format!("{damaged} were damaged before: kvs-server check names them\n");
        }
        // Whoever closed stdout has the exit code.
        let _ = io::stdout().write_all(lines.as_bytes());
        ExitCode::SUCCESS
    }
}

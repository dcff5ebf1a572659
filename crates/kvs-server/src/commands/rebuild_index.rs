//! `kvs-server rebuild-index`: makes an index that is lost again.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use kvs_server::store;

use super::show::Shown;
use super::{Folder, counted, failed};

/// The flags of `kvs-server rebuild-index`.
#[derive(Debug, Args)]
pub(crate) struct RebuildIndex {
    #[command(flatten)]
    folder: Folder,
}

impl RebuildIndex {
    pub(super) fn run(self) -> ExitCode {
        let Folder { data, master_key } = self.folder;
        let mut shown = Shown::new("read");
        let rebuilt = store::rebuild_index(&data, master_key.as_deref(), |progress| {
            shown.show(progress);
        });
        let rebuilt = match rebuilt {
            Ok(rebuilt) => rebuilt,
            Err(error) => return failed(&error),
        };
        let streams = counted(rebuilt.streams, "stream");
        let fragments = counted(rebuilt.fragments as usize, "fragment");
        let mut line = format!("{streams}, {fragments}: the index is made again");
        if rebuilt.without_a_key > 0 {
            let records = counted(rebuilt.without_a_key as usize, "record");
            line += &format!("; {records} wait for a key that is missing or damaged");
        }
        if let Some(old) = rebuilt.old_index {
            line += &format!("; the old one is {old}");
        }
        // Whoever closed stdout has the exit code.
        let _ = writeln!(io::stdout(), "{line}");
        ExitCode::SUCCESS
    }
}

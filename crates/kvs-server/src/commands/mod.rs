//! The subcommands: tools for a data folder, beside the server.

mod backup;
mod check;
mod rebuild_index;
mod rotate_key;
mod show;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

/// What the binary does instead of serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy a data folder, whether a server uses it or not.
    Backup(backup::Backup),
    /// Look for damage in a data folder that no server uses. Exit code 1 if there is any.
    Check(check::Check),
    /// Make the index of a data folder that no server uses again, and keep the old one.
    RebuildIndex(rebuild_index::RebuildIndex),
    /// Exchange the master key of a data folder that no server uses.
    RotateKey(rotate_key::RotateKey),
}

impl Command {
    /// Does it, and says how the process ends.
    pub(crate) fn run(self) -> ExitCode {
        match self {
            Self::Backup(backup) => backup.run(),
            Self::Check(check) => check.run(),
            Self::RebuildIndex(rebuild) => rebuild.run(),
            Self::RotateKey(rotate) => rotate.run(),
        }
    }
}

/// Which folder a tool works on.
#[derive(Debug, Args)]
struct Folder {
    /// The data folder.
    #[arg(long)]
    data: PathBuf,
    /// The file of the master key, if it is not in the data folder.
    #[arg(long)]
    master_key: Option<PathBuf>,
}

/// `1 stream`, `2 streams`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// One line, on stderr, whatever the error.
pub(crate) fn failed(error: &dyn Error) -> ExitCode {
    let line = error.to_string().replace('\n', " ");
    // Nobody is left to tell if stderr is closed.
    let _ = writeln!(io::stderr(), "kvs-server: {line}");
    ExitCode::FAILURE
}

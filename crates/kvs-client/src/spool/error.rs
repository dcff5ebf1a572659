//! What can be wrong with a spool, or with one of its files.

use std::io;
use std::path::PathBuf;

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The folder does not exist and cannot be made.
    #[error("the folder {folder:?} cannot be made: {source}; give one that can be written to")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else has the folder open.
    #[error(
        "the folder {folder:?} is in use by another element or process: give each a folder of its \
         own"
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder was made for another stream.
    #[error(
        "the folder {folder:?} holds media of the stream {holds:?}, not of {wanted:?}: give each \
         stream a folder of its own"
    )]
    OtherStream {
        /// The folder.
        folder: PathBuf,
        /// The stream that the folder was made for.
        holds: String,
        /// The stream that it was to be opened for.
        wanted: String,
    },
    /// The folder has fragments, but nothing says of which stream.
    #[error(
        "the folder {folder:?} holds media, but its file `stream` is missing: write the name of \
         the media's stream into it, or give another folder"
    )]
    UnknownStream {
        /// The folder.
        folder: PathBuf,
    },
    /// The file of the key cannot be read, or holds something else.
    #[error(
        "the key file {path:?} {what}: it must hold 32 bytes or 64 hexadecimal digits, as \
         `openssl rand -hex 32` writes them"
    )]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never what it holds.
        what: String,
    },
    /// The folder has sealed fragments, and no key was given.
    #[error(
        "the folder {folder:?} holds {files} sealed files: give the key that they were made with"
    )]
    NeedsKey {
        /// The folder.
        folder: PathBuf,
        /// How many files are sealed.
        files: usize,
    },
    /// The folder cannot be read or written.
    #[error("the folder {folder:?} cannot be used: {source}; check its owner and its disk")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a fragment cannot be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SpoolReadError {
    /// The file cannot be read; it may be gone.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file is not one whole fragment.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The file is sealed by another key, or under another number, or it was changed.
    #[error("the file cannot be opened with this key")]
    Key,
}

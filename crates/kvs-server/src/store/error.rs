//! What the store refuses, with whose fault it is.

use std::io;
use std::path::PathBuf;

use kvs_protocol::{AckError, ApiError, ChunkError, ErrorKind, FragmentNumber, FragmentParts};

use super::folder::FORMAT_VERSION;
use super::stream::StreamId;

/// Why the store could not do it. Each is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The caller's: the name is taken.
    #[error("a stream of that name exists")]
    Exists,
    /// The caller's, or it was deleted meanwhile.
    #[error("no such stream")]
    NoStream,
    /// The caller's, or its time has passed meanwhile.
    #[error("no such fragment")]
    NoFragment,
    /// The caller's: somebody else changed the stream first.
    #[error("the stream has changed meanwhile")]
    Changed,
    /// The caller's: no record holds it.
    #[error("the fragment has {0} bytes, more than a record holds")]
    TooLarge(u64),
    /// The disk has less room than the low-water mark.
    #[error("the disk of the data folder is nearly full: free some room; ingest goes on by itself")]
    DiskFull,
    /// The disk does not answer.
    #[error("the disk of the data folder has not answered for {0} s")]
    Stalled(u64),
    /// The disk failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// The disk's answer.
        source: io::Error,
    },
    /// The index failed.
    #[error("the index failed: {0}")]
    Index(String),
    /// The disk gave back other bytes than were written.
    #[error(
        "fragment {} of stream {} is damaged: {what}",
        FragmentNumber::from_parts(*.number).as_str(), .stream.0
    )]
    Damaged {
        /// Its stream.
        stream: StreamId,
        /// Its number.
        number: FragmentParts,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A key that is missing, of the wrong form, or not the one it should be.
    #[error("{0}")]
    Key(String),
    /// One stream's key is missing or damaged; the other streams are well.
    #[error("{0}")]
    StreamKey(String),
    /// What it says is nowhere else while the index is made again.
    #[error(
        "{0} is damaged: put it back from a backup; without the file its stream would be left out"
    )]
    StreamFile(String),
    /// The data folder is held.
    #[error(
        "another kvs-server uses the data folder {}: stop it, or give this one another with --data",
        .0.display()
    )]
    InUse(PathBuf),
    /// A file is where the data folder should be.
    #[error("{} is a file, not a folder: name a folder with --data", .0.display())]
    NotAFolder(PathBuf),
    /// The data folder was written by another version.
    #[error(
        "the data folder has format {found}, and this kvs-server knows {FORMAT_VERSION}: \
         start the version of kvs-server that wrote it, or give another folder with --data"
    )]
    UnknownFormat {
        /// What its FORMAT file says.
        found: String,
    },
    /// The folder has files, and no FORMAT among them.
    #[error(
        "{} holds data but no FORMAT file: restore the file, or give an empty folder with --data",
        .0.display()
    )]
    NotAStore(PathBuf),
    /// A backup that was cut short has not all that it needs.
    #[error(
        "{} is a backup that was cut short: run kvs-server backup again, which goes on with it",
        .0.display()
    )]
    UnfinishedBackup(PathBuf),
    /// A folder that a backup must not be written to.
    #[error("{} {why}", .to.display())]
    NotForBackup {
        /// The folder.
        to: PathBuf,
        /// Why not, and what to do.
        why: &'static str,
    },
    /// What was to be copied is no longer sure to be there.
    #[error("{0}: run the backup again, which goes on where it stopped")]
    BackupBroken(String),
    /// There is nothing to check.
    #[error("there is no store in {}: name its folder with --data", .0.display())]
    NoStore(PathBuf),
    /// The server stops, and the answer with it.
    #[error("the server is stopping")]
    Interrupted,
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// An error of the disk in the middle of something.
    pub(super) fn io(doing: impl Into<String>) -> impl Fn(io::Error) -> Self {
        let doing = doing.into();
        move |source| {
            let doing = doing.clone();
            Self::Io { doing, source }
        }
    }

    fn is_disk_full(&self) -> bool {
        match self {
            Self::DiskFull => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// What a producer is told.
    pub fn ack_error(&self) -> AckError {
        match self {
            Self::NoStream => AckError::StreamNotActive,
            Self::StreamKey(_) => AckError::KmsKeyNotFound,
            Self::TooLarge(_) => AckError::MaxFragmentSizeReached,
            Self::DiskFull | Self::Stalled(_) | Self::Io { .. } => AckError::ArchivalError,
            _ => AckError::InternalError,
        }
    }

    /// What a reader is told in the middle of a response.
    pub fn chunk_error(&self) -> ChunkError {
        match self {
            Self::NoFragment => ChunkError::FRAGMENT_NOT_FOUND,
            Self::StreamKey(_) => ChunkError {
                id: AckError::KmsKeyNotFound.id(),
                code: AckError::KmsKeyNotFound.code().into(),
            },
            _ => ChunkError::INTERNAL_ERROR,
        }
    }

    /// The same once more, for everyone else of a group that failed.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::NoStream => Self::NoStream,
            Self::StreamKey(what) => Self::StreamKey(what.clone()),
            Self::DiskFull => Self::DiskFull,
            Self::Stalled(seconds) => Self::Stalled(*seconds),
            Self::Io { doing, source } => Self::Io {
                doing: doing.clone(),
                source: io::Error::new(source.kind(), source.to_string()),
            },
            Self::Index(what) => Self::Index(what.clone()),
            other => Self::Index(other.to_string()),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists => Self::new(ErrorKind::ResourceInUse, "The stream exists already."),
            StoreError::NoStream | StoreError::NoFragment => Self::stream_not_found(),
            error if error.is_disk_full() => Self::new(
                ErrorKind::InternalFailure,
                "The server's disk is full: it goes on when there is room.",
            ),
            // The cause is for the server's log.
            _ => Self::new(ErrorKind::InternalFailure, "The server could not do it."),
        }
    }
}

/// The disk does not say how much room it has.
pub(super) fn no_room_known(error: io::Error) -> StoreError {
    StoreError::io("ask for the disk's room")(error)
}

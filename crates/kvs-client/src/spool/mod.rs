//! The uploader's spool: a folder in which each fragment that is not stored by the service yet has
//! a file, so that it outlives the process and the power.
//!
//! ```text
//!   lock                                             locked while the spool is open
//!   stream                                           the name of the stream
//!   00000000004294967296_{start}_{end}_{frames}.mkv  a fragment; .mkv.sealed where there is a key
//!   …_held.mkv                                       one that nobody has asked for yet
//!   *.part                                           half written: what a crash left
//! ```
//!
//! 1. A file with its final name is whole: it is written and synced under another name.
//! 2. A fragment is durable when [`Spool::write`] returns: the folder is synced as well.
//! 3. One that was removed may come back after the power went, but never in part.
//! 4. A fragment belongs to one living session at most. Numbers grow over all sessions.
//! 5. Files with other names are somebody else's, and left alone.
//!
//! A sealed file is `KVSSPOOL1`, a salt of 32 bytes, and the Matroska file in AES-256-GCM with its
//! tag. Its key is HKDF-SHA256 of the salt, the spool's key and `kvs-spool`; the nonce is zero. The
//! magic, the salt and the fragment's number (8 bytes, big-endian) are authenticated with it.
//!
//! Everything here blocks: it is called from threads that may.

mod error;
mod files;
mod index;
mod media;
mod name;
mod seal;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

pub use error::SpoolError;
pub(crate) use error::SpoolReadError;
pub(crate) use index::{Beginning, Found};
pub(crate) use media::Media;

use crate::random;
use files::{FILE_BYTES_MAX, Folder, RealFolder};
use index::Index;
use name::FileName;
use seal::{Key, SALT_BYTES};

/// The file that names the stream.
const STREAM: &str = "stream";

/// Where a spool is, and whether it is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The folder, which belongs to one stream. It is made where it does not exist.
    pub folder: PathBuf,
    /// A file with the key that seals what is written: 32 bytes or 64 hexadecimal digits. `None`
    /// writes plain Matroska.
    pub key_file: Option<PathBuf>,
}

/// An open spool. Clones are the same one; the folder is free again when the last is gone.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: Box<dyn Folder>,
    key: Option<Key>,
    index: Mutex<Index>,
}

impl Spool {
    /// Opens the folder for the stream of that name, and removes what a crash left half written.
    ///
    /// # Errors
    /// The key file or the folder cannot be used; each error says what to do.
    pub fn open(config: &SpoolConfig, stream: &str) -> Result<Self, SpoolError> {
        let key = config.key_file.as_deref().map(Key::load).transpose()?;
        let folder = RealFolder::open(&config.folder)?;
        Self::over(Box::new(folder), &config.folder, key, stream)
    }

    /// Opens a folder that is known as `path`.
    fn over(
        folder: Box<dyn Folder>,
        path: &Path,
        key: Option<Key>,
        stream: &str,
    ) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::Io {
            folder: path.to_owned(),
            source,
        };
        remove_parts(folder.as_ref()).map_err(failed)?;
        let files = folder.list().map_err(failed)?.into_iter();
        let files: Vec<_> = files
            .filter_map(|(name, bytes)| Some((FileName::parse(&name)?, bytes)))
            .collect();
        match named_stream(folder.as_ref()).map_err(failed)? {
            Some(holds) if holds == stream => {}
            Some(holds) => {
                return Err(SpoolError::OtherStream {
                    folder: path.to_owned(),
                    holds,
                    wanted: stream.to_owned(),
                });
            }
            None if files.is_empty() => {
                let line = Bytes::from(format!("{stream}\n"));
                files::write_whole(folder.as_ref(), STREAM, &[line]).map_err(failed)?;
            }
            None => {
                return Err(SpoolError::UnknownStream {
                    folder: path.to_owned(),
                });
            }
        }
        let sealed = files.iter().filter(|(name, _)| name.sealed).count();
        if key.is_none() && sealed > 0 {
            return Err(SpoolError::NeedsKey {
                folder: path.to_owned(),
                files: sealed,
            });
        }
        Ok(Self(Arc::new(Inner {
            folder,
            key,
            index: Mutex::new(Index::new(files)),
        })))
    }

    /// A session begins. It owns what it finds, which no other living session owns, and what it
    /// writes, until its [`end`](Self::end).
    pub(crate) fn begin(&self) -> Beginning {
        self.index().begin()
    }

    /// The session that began with `first` owns nothing any more.
    pub(crate) fn end(&self, first: u64) {
        self.index().end(first);
    }

    /// Writes a fragment of the session whose range `number` is in; how many bytes its file takes.
    /// It is durable then.
    ///
    /// # Errors
    /// Nothing has been kept then. `InvalidData` for media that Matroska or the spool cannot hold,
    /// `AlreadyExists` for a number that was written before, or what the system says.
    pub(crate) fn write(&self, number: u64, media: &Media) -> io::Result<u64> {
        let Inner { folder, key, .. } = self.0.as_ref();
        if self.index().name(number).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut pieces = media.to_pieces()?;
        if let Some(key) = key {
            let mut salt = [0; SALT_BYTES];
            random::fill(&mut salt)?;
            pieces = vec![key.seal(number, &salt, &pieces)?];
        }
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        if bytes > FILE_BYTES_MAX {
            let what = format!("a fragment of {bytes} bytes, more than {FILE_BYTES_MAX}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let name = FileName {
            number,
            start: media.start,
            end: media.end,
            frames: media.news,
            held: media.held,
            sealed: key.is_some(),
        };
        files::write_whole(folder.as_ref(), &name.to_string(), &pieces)?;
        self.index().insert(name, bytes);
        Ok(bytes)
    }

    /// Reads a fragment back. Its frames are slices of one allocation.
    ///
    /// # Errors
    /// The file is gone, cannot be read, is not one whole fragment, or not of this key.
    pub(crate) fn read(&self, number: u64) -> Result<Media, SpoolReadError> {
        let Inner { folder, key, .. } = self.0.as_ref();
        let name = self.index().name(number).ok_or(missing())?;
        let file = folder.read(&name.to_string()).map_err(too_large)?;
        let file = match key {
            _ if !name.sealed => Bytes::from(file),
            Some(key) => key.open(number, file)?,
            None => return Err(SpoolReadError::Key),
        };
        Media::from_bytes(file)
    }

    /// Somebody has asked for a fragment that was held. Durable when this returns; one that is
    /// missing is fine.
    ///
    /// # Errors
    /// The system does not give the file its new name.
    pub(crate) fn release(&self, number: u64) -> io::Result<()> {
        let Some(held) = self.index().name(number).filter(|name| name.held) else {
            return Ok(());
        };
        let name = FileName {
            held: false,
            ..held
        };
        let folder = self.0.folder.as_ref();
        folder.rename(&held.to_string(), &name.to_string())?;
        self.index().rename(name);
        folder.sync()
    }

    /// Removes a fragment; one that is missing is fine. After a power cut it may be there again.
    ///
    /// # Errors
    /// The system does not let go of the file.
    pub(crate) fn remove(&self, number: u64) -> io::Result<()> {
        let Some(name) = self.index().name(number) else {
            return Ok(());
        };
        match self.0.folder.unlink(&name.to_string()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.index().remove(number);
        Ok(())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.0.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing() -> SpoolReadError {
    io::Error::from(io::ErrorKind::NotFound).into()
}

/// A file that is too large is none that was written here.
fn too_large(error: io::Error) -> SpoolReadError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => {
            SpoolReadError::Damaged(format!("it has more than {FILE_BYTES_MAX} bytes"))
        }
        _ => error.into(),
    }
}

/// Removes the files that were being written when the process ended.
fn remove_parts(folder: &dyn Folder) -> io::Result<()> {
    let mut count = 0;
    for (name, _) in folder.list()? {
        let whole = files::part_of(&name);
        if whole.is_some_and(|whole| whole == STREAM || FileName::parse(whole).is_some()) {
            folder.unlink(&name)?;
            count += 1;
        }
    }
    if count > 0 {
        tracing::warn!(count, "removed files of the spool that were half written");
    }
    Ok(())
}

/// The stream that the folder was made for; `None` is a new folder.
fn named_stream(folder: &dyn Folder) -> io::Result<Option<String>> {
    match folder.read(STREAM) {
        Ok(name) => Ok(Some(String::from_utf8_lossy(&name).trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

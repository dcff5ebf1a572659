//! The keys: one master key wraps one key for each stream, which makes one for each record.

use std::fmt;
use std::io;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroize;

use crate::store::disk::{self, Disk, DiskFile};
use crate::store::error::StoreError;
use crate::store::random::Random;
use crate::store::record::TAG_BYTES;
use crate::store::record::header::SALT_BYTES;
use crate::store::stream::StreamId;

const KEY_BYTES: usize = 32;
/// The name of the master key's file in the data folder.
pub(in crate::store) const MASTER_KEY_FILE: &str = "master.key";
/// The folder of the streams' wrapped keys.
pub(in crate::store) const KEYS: &str = "keys";
/// Records name the key they were made with; a stream has had no other so far.
pub(in crate::store) const KEY_EPOCH: u32 = 1;

const RECORD_LABEL: &[u8] = b"kvs-server record 1";
const WRAP_LABEL: &[u8] = b"kvs-server stream key 1";
const MARK_LABEL: &[u8] = b"kvs-server master key mark 1";

const WRAPPED_MAGIC: [u8; 8] = *b"KVSKEY\0\x01";
const WRAPPED_CLEAR_BYTES: usize = 32;
const WRAPPED_BYTES: usize = WRAPPED_CLEAR_BYTES + KEY_BYTES + TAG_BYTES;

/// A secret; its bytes are gone from memory when it is.
pub(in crate::store) struct Key([u8; KEY_BYTES]);

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(secret)")
    }
}

impl Key {
    pub(in crate::store) fn random(random: &dyn Random) -> Self {
        let mut key = Self([0; KEY_BYTES]);
        random.fill(&mut key.0);
        key
    }

    /// 64 hexadecimal digits, as `openssl rand -hex 32` writes them.
    pub(in crate::store) fn from_hex(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim_ascii();
        let mut key = Self([0; KEY_BYTES]);
        if text.len() != 2 * KEY_BYTES || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in key.0.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(key)
    }

    pub(super) fn to_hex(&self) -> String {
        let mut text = self.0.map(|byte| format!("{byte:02x}")).concat();
        text.push('\n');
        text
    }

    fn derive(&self, salt: &[u8; SALT_BYTES], label: &[u8]) -> LessSafeKey {
        let secret = Salt::new(HKDF_SHA256, salt).extract(&self.0);
        let labels = [label];
        let derived = secret
            .expand(&labels, &AES_256_GCM)
            .expect("the cipher's key is shorter than what HKDF can make");
        LessSafeKey::new(UnboundKey::from(derived))
    }

    /// Tells a master key from any other, and nothing of it.
    pub(in crate::store) fn mark(&self) -> u64 {
        let secret = Salt::new(HKDF_SHA256, &[]).extract(&self.0);
        let mut bytes = [0; 32];
        secret
            .expand(&[MARK_LABEL], HKDF_SHA256)
            .and_then(|derived| derived.fill(&mut bytes))
            .expect("one hash is what HKDF can make");
        let [a, b, c, d, e, f, g, h, ..] = bytes;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The key of the record with this salt.
    pub(in crate::store) fn record_key(&self, salt: &[u8; SALT_BYTES]) -> LessSafeKey {
        self.derive(salt, RECORD_LABEL)
    }

    /// A stream's key as its file holds it, wrapped by this one.
    pub(super) fn wrap(&self, stream: StreamId, key: &Self, random: &dyn Random) -> Vec<u8> {
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt);
        let mut bytes = Vec::with_capacity(WRAPPED_BYTES);
        bytes.extend_from_slice(&WRAPPED_MAGIC);
        bytes.extend_from_slice(&stream.0.to_le_bytes());
        bytes.extend_from_slice(&KEY_EPOCH.to_le_bytes());
        bytes.extend_from_slice(&salt);
        let mut secret = key.0;
        let tag = self
            .derive(&salt, WRAP_LABEL)
            .seal_in_place_separate_tag(no_nonce(), Aad::from(&bytes), &mut secret)
            .expect("32 bytes are far below what the cipher takes");
        bytes.extend_from_slice(&secret);
        bytes.extend_from_slice(tag.as_ref());
        bytes
    }

    /// The key in a file that `wrap` made of this stream's key, under this master key.
    pub(super) fn unwrap(&self, stream: StreamId, bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; WRAPPED_BYTES] = bytes.try_into().ok()?;
        let (clear, sealed) = bytes.split_at(WRAPPED_CLEAR_BYTES);
        if clear[..8] != WRAPPED_MAGIC || clear[8..12] != stream.0.to_le_bytes() {
            return None;
        }
        let salt = clear[16..].try_into().ok()?;
        let mut sealed = sealed.to_vec();
        let opened = self.derive(&salt, WRAP_LABEL);
        let opened = opened
            .open_in_place(no_nonce(), Aad::from(clear), &mut sealed)
            .ok()?;
        let key = Self((&*opened).try_into().ok()?);
        sealed.zeroize();
        Some(key)
    }
}

/// The salt has made the key new, and it seals once.
fn no_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn file_name(stream: StreamId) -> String {
    format!("{:08x}", stream.0)
}

pub(in crate::store) fn path(stream: StreamId) -> String {
    format!("{KEYS}/{}", file_name(stream))
}

/// Makes a key for a stream, and its file durable.
pub(in crate::store) fn create(
    disk: &dyn Disk,
    master: &Key,
    stream: StreamId,
    random: &dyn Random,
) -> Result<Key, StoreError> {
    let key = Key::random(random);
    let wrapped = master.wrap(stream, &key, random);
    disk::write_whole(disk, &format!("{KEYS}/"), &file_name(stream), &wrapped)
        .map_err(StoreError::io("write a stream's key"))?;
    Ok(key)
}

/// Reads a stream's key. What is wrong with its file is wrong with this stream alone.
pub(in crate::store) fn load(
    disk: &dyn Disk,
    master: &Key,
    stream: StreamId,
) -> Result<Key, StoreError> {
    let path = path(stream);
    let wrong = |what: &str| {
        StoreError::StreamKey(format!(
            "{path} {what}: put it back from a backup and start the server again, or delete the \
             stream"
        ))
    };
    let wrapped = match disk::read_whole(disk, &path) {
        Ok(wrapped) => wrapped,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(wrong("is missing")),
        Err(error) => return Err(wrong(&format!("cannot be read ({error})"))),
    };
    let key = master.unwrap(stream, &wrapped);
    key.ok_or_else(|| wrong("is damaged"))
}

/// Overwrites a stream's key, then takes its file away, both durably. No key is no error: this is
/// also how an interrupted destruction is ended.
pub(in crate::store) fn destroy(disk: &dyn Disk, stream: StreamId) -> Result<(), StoreError> {
    destroy_file(disk, &path(stream))
        .and_then(|()| disk.sync_dir(KEYS))
        .map_err(StoreError::io("destroy a stream's key"))
}

/// Overwrites a file and unlinks it, durably when its folder is synced.
pub(super) fn destroy_file(disk: &dyn Disk, path: &str) -> io::Result<()> {
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    overwrite(file.as_ref())?;
    disk.unlink(path)
}

/// Zeros over all that a small file has, on the disk when this returns.
pub(super) fn overwrite(file: &dyn DiskFile) -> io::Result<()> {
    file.write_at(0, &vec![0; file.len()? as usize])?;
    file.sync_data()
}

/// Destroys the keys that belong to no stream: of one half made, or half deleted. A file that has
/// another name than a key's is somebody else's.
pub(in crate::store) fn destroy_orphans(
    disk: &dyn Disk,
    exists: impl Fn(StreamId) -> bool,
) -> Result<(), StoreError> {
    for name in names(disk)? {
        let whole = name.strip_suffix(disk::FRESH).unwrap_or(&name);
        let orphan = |stream| whole.len() < name.len() || !exists(stream);
        if stream_of(whole).is_some_and(orphan) {
            destroy_file(disk, &format!("{KEYS}/{name}"))
                .and_then(|()| disk.sync_dir(KEYS))
                .map_err(StoreError::io(format!("destroy {KEYS}/{name}")))?;
        }
    }
    Ok(())
}

/// The files of the keys.
pub(in crate::store) fn names(disk: &dyn Disk) -> Result<Vec<String>, StoreError> {
    disk.list(KEYS).map_err(StoreError::io("list the keys"))
}

/// The stream whose key is in the file of this name.
pub(in crate::store) fn stream_of(name: &str) -> Option<StreamId> {
    let id = u32::from_str_radix(name, 16).ok().map(StreamId)?;
    (file_name(id) == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::random::SeededRandom;

    #[test]
    fn a_wrapped_key_opens_for_its_stream_and_master_alone() {
        let random = SeededRandom::new(1);
        let (master, other) = (Key::random(&random), Key::random(&random));
        let key = Key::random(&random);
        let wrapped = master.wrap(StreamId(7), &key, &random);
        let opened = master
            .unwrap(StreamId(7), &wrapped)
            .expect("it is the right key");
        assert_eq!(opened.0, key.0);
        assert!(other.unwrap(StreamId(7), &wrapped).is_none());
        assert!(master.unwrap(StreamId(8), &wrapped).is_none());
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert!(master.unwrap(StreamId(7), &changed).is_none(), "byte {at}");
        }
    }

    #[test]
    fn hex_is_read_as_it_is_written() {
        let key = Key::random(&SeededRandom::new(2));
        let again = Key::from_hex(key.to_hex().as_bytes()).expect("it is what it wrote");
        assert_eq!(again.0, key.0);
        assert!(Key::from_hex(b"too short").is_none());
        assert_eq!(format!("{key:?}"), "Key(secret)");
    }
}

//! Files that only their key opens: AES-256-GCM under a key that is made for each file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use super::{SpoolError, SpoolReadError};

const KEY_BYTES: usize = 32;
/// More than a key file may hold: 64 digits and a line's end.
const KEY_FILE_BYTES_MAX: u64 = 128;
const MAGIC: &[u8; 9] = b"KVSSPOOL1";
pub(super) const SALT_BYTES: usize = 32;
/// What stands before the ciphertext: the magic and the salt.
const CLEAR_BYTES: usize = MAGIC.len() + SALT_BYTES;
/// What the keys of files are for.
const LABEL: &[u8] = b"kvs-spool";

/// The spool's key; its bytes are gone from memory when it is. They are boxed, as each move would
/// leave a copy behind.
pub(super) struct Key(Zeroizing<Box<[u8]>>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(secret)")
    }
}

impl Key {
    /// The key in a file: 32 bytes, or 64 hexadecimal digits with or without a line's end.
    pub(super) fn load(path: &Path) -> Result<Self, SpoolError> {
        let wrong = |what: String| SpoolError::KeyFile {
            path: path.to_owned(),
            what,
        };
        // With room for all that is read, so that no part of a key is left in a smaller buffer.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * KEY_FILE_BYTES_MAX as usize));
        File::open(path)
            .and_then(|file| file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes))
            .map_err(|error| wrong(format!("cannot be read ({error})")))?;
        let key = Self::parse(&bytes);
        key.ok_or_else(|| wrong(format!("is no key ({} bytes are read)", bytes.len())))
    }

    /// The key in a key file's bytes.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut key = Self(Zeroizing::new(Box::new([0; KEY_BYTES])));
        if bytes.len() == KEY_BYTES {
            key.0.copy_from_slice(bytes);
            return Some(key);
        }
        let digits = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
        if digits.len() != 2 * KEY_BYTES {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        for (byte, digits) in key.0.iter_mut().zip(digits.chunks(2)) {
            let value = digit(digits[0])? << 4 | digit(digits[1])?;
            *byte = u8::try_from(value).ok()?;
        }
        Some(key)
    }

    /// The file of fragment `number` whose plain bytes are `pieces`.
    pub(super) fn seal(
        &self,
        number: u64,
        salt: &[u8; SALT_BYTES],
        pieces: &[Bytes],
    ) -> io::Result<Bytes> {
        let plain_bytes: usize = pieces.iter().map(Bytes::len).sum();
        let mut file = Vec::with_capacity(CLEAR_BYTES + plain_bytes + MAX_TAG_LEN);
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(salt);
        for piece in pieces {
            file.extend_from_slice(piece);
        }
        let (clear, plain) = file.split_at_mut(CLEAR_BYTES);
        let sealed = self.of_file(salt).and_then(|key| {
            let aad = Aad::from(named(clear, number));
            key.seal_in_place_separate_tag(no_nonce(), aad, plain)
        });
        let tag = sealed.map_err(|_| io::Error::other("the cipher failed"))?;
        file.extend_from_slice(tag.as_ref());
        Ok(file.into())
    }

    /// The plain bytes in the file of fragment `number`, which are decrypted in place.
    pub(super) fn open(&self, number: u64, mut file: Vec<u8>) -> Result<Bytes, SpoolReadError> {
        let Some((clear, sealed)) = file.split_at_mut_checked(CLEAR_BYTES) else {
            return Err(SpoolReadError::Damaged("it is too short".to_owned()));
        };
        let Some(salt) = clear.strip_prefix(MAGIC) else {
            return Err(SpoolReadError::Damaged("it is not sealed".to_owned()));
        };
        let opened = self.of_file(salt).and_then(|key| {
            let aad = Aad::from(named(clear, number));
            key.open_in_place(no_nonce(), aad, sealed)
                .map(|plain| plain.len())
        });
        let plain_bytes = opened.map_err(|_| SpoolReadError::Key)?;
        Ok(Bytes::from(file).slice(CLEAR_BYTES..CLEAR_BYTES + plain_bytes))
    }

    /// The key of the file that has this salt.
    fn of_file(&self, salt: &[u8]) -> Result<LessSafeKey, Unspecified> {
        let secret = Salt::new(HKDF_SHA256, salt).extract(&self.0[..]);
        let labels = [LABEL];
        let derived = secret.expand(&labels, &AES_256_GCM)?;
        Ok(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

/// What is authenticated besides the media: how the file begins, and which fragment it is, so that
/// no file can take another one's place.
fn named(clear: &[u8], number: u64) -> Vec<u8> {
    [clear, &number.to_be_bytes()].concat()
}

/// The salt has made the key new, and it seals once.
fn no_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(bytes: &[u8]) -> Result<Key, SpoolError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, bytes).expect("written");
        Key::load(&path)
    }

    #[test]
    fn a_key_file_holds_bytes_or_digits() {
        let bytes: Vec<u8> = (0xA0..0xC0).collect();
        let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
        let hex = hex.collect::<String>();
        let line = format!("{}\n", hex.to_uppercase());
        let other_line = format!("{hex}\r\n");
        for form in [
            &bytes,
            hex.as_bytes(),
            line.as_bytes(),
            other_line.as_bytes(),
        ] {
            assert_eq!(load(form).expect("a key").0[..], bytes[..]);
        }
        assert_eq!(format!("{:?}", load(&bytes).expect("a key")), "Key(secret)");
    }

    #[test]
    fn another_size_is_refused_and_not_repeated() {
        let digits = "5".repeat(64);
        for wrong in [
            String::new(),
            "5".repeat(31),
            "5".repeat(33),
            "5".repeat(63),
            "5".repeat(65),
            "5".repeat(200),
            format!("{digits}\n\n"),
            format!("{}g", &digits[1..]),
            format!("+{}", &digits[1..]),
        ] {
            let error = load(wrong.as_bytes()).expect_err("no key").to_string();
            assert!(
                error.contains("32 bytes or 64 hexadecimal digits"),
                "{error}"
            );
            assert!(!error.contains("5555"), "{error}");
        }
        let missing = Key::load(Path::new("/nowhere/key")).expect_err("no file");
        assert!(missing.to_string().contains("/nowhere/key"), "{missing}");
    }

    #[test]
    fn each_bit_counts() {
        let key = Key::parse(&[7; KEY_BYTES]).expect("32 bytes");
        let pieces = [Bytes::from_static(b"some "), Bytes::from_static(b"media")];
        let sealed = key.seal(5, &[9; SALT_BYTES], &pieces).expect("sealed");
        let opened = key.open(5, sealed.to_vec()).expect("it is the right key");
        assert_eq!(opened, Bytes::from_static(b"some media"));
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert!(key.open(5, changed).is_err(), "byte {at}");
            assert!(key.open(5, sealed[..at].to_vec()).is_err(), "{at} bytes");
        }
        assert!(matches!(
            key.open(6, sealed.into()),
            Err(SpoolReadError::Key)
        ));
    }
}

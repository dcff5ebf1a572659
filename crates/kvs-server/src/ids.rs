//! Texts that nobody can guess: ids of requests, versions of streams.

use kvs_protocol::Version;
use ring::rand::{SecureRandom, SystemRandom};

/// A random UUID (RFC 9562, version 4).
pub(crate) fn uuid(random: &SystemRandom) -> String {
    let mut bytes = fill::<16>(random);
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0xF] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}

/// A stream's version: 20 letters and digits.
pub(crate) fn version(random: &SystemRandom) -> Version {
    // 32 letters, of which the two missing digits look like others: no byte is wasted.
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bytes = fill::<20>(random);
    let letters = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    let text: String = letters.collect();
    text.parse().expect("20 letters and digits are a version")
}

fn fill<const N: usize>(random: &SystemRandom) -> [u8; N] {
    let mut bytes = [0; N];
    random
        .fill(&mut bytes)
        .expect("the system has randomness, or no TLS connection would work either");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_form() {
        let id = uuid(&SystemRandom::new());
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert_ne!(id, uuid(&SystemRandom::new()));
    }
}

//! The randomness of this machine; everything else is told a number.

use std::io;

use ring::rand::{SecureRandom, SystemRandom};

/// A number that is evenly spread over its whole range.
pub(crate) fn number() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness a back-off is at its shortest, which does no harm.
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// Bytes that nobody can foresee, and that are never the same twice.
///
/// # Errors
/// The system has no randomness to give.
pub(crate) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let filled = SystemRandom::new().fill(bytes);
    filled.map_err(|_| io::Error::other("the system gives no random numbers"))
}

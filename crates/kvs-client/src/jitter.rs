//! Random numbers from a seed, so that a run can be repeated.

/// SplitMix64: small, and good enough for back-off and for the names of documents.
#[derive(Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    /// The row of numbers of that seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A name that no other document has.
    pub(crate) fn uid(&mut self) -> [u8; 16] {
        let mut uid = [0; 16];
        uid[..8].copy_from_slice(&self.number().to_be_bytes());
        uid[8..].copy_from_slice(&self.number().to_be_bytes());
        uid
    }

    /// The next number, evenly spread over its whole range.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

//! Numbers that look random and are the same for the same seed.

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    /// The seed is that of `KVS_SEED`, or a fixed one; it is printed with the test's name.
    pub(crate) fn new(test: &str) -> Self {
        let seed = given_seed().unwrap_or(0x5EED);
        eprintln!("{test}: KVS_SEED={seed}");
        Self(seed)
    }

    /// The numbers of that seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// That of `KVS_SEED`.
pub(crate) fn given_seed() -> Option<u64> {
    std::env::var("KVS_SEED").ok()?.parse().ok()
}

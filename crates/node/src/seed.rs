//! Random numbers from a seed: splitmix64, which needs no state beyond a counter and passes
//! what an election timeout asks of it. Nothing here is a secret.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `[low, high)`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low).max(1)
    }
}

/// Several values into one, each bit depending on all.
pub(crate) fn mix_all(values: &[u64]) -> u64 {
    values.iter().fold(0, |hash, &value| mix(hash.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ value))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

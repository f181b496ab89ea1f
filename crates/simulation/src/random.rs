//! Streams of random numbers: one for each purpose, so that taking a fault out of a script leaves the rest as it was.

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(SmallRng);

/// The stream that a seed gives for a purpose.
pub fn stream(seed: u64, purpose: &str) -> Random {
    let mut state = seed ^ fnv1a(FNV_START, purpose.as_bytes());
    Random(SmallRng::seed_from_u64(next_mixed(&mut state)))
}

impl Random {
    /// A number from `from` to `to`, both included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0.random_range(from..=to.max(from))
    }

    /// True so many times in a thousand.
    pub fn per_mille(&mut self, chance: u64) -> bool {
        chance > 0 && self.0.random_range(0..1000) < chance
    }

    /// One of these, of which there has to be one.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.between(0, of.len() as u64 - 1) as usize]
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.random()
    }
}

/// SplitMix64: the next number of a state.
pub(crate) const fn next_mixed(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

pub(crate) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a 64, going on from a state.
pub(crate) fn fnv1a(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

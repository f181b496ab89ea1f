//! How many distinct series there are, estimated in 16 KiB: a HyperLogLog sketch of the series keys.
//!
//! Registers as in Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog: the analysis of a near-optimal cardinality
//! estimation algorithm" (2007), over hashes of 64 bits as in Heule, Nunkesser and Hall, "HyperLogLog in practice"
//! (2013), so that no correction for large numbers is needed. The estimator is Ertl's, "New cardinality estimation
//! algorithms for HyperLogLog sketches" (2017), which needs neither a switch to linear counting nor tables of biases.

use std::fmt;

/// Bits of the hash that choose the register.
const PRECISION: u32 = 14;
const REGISTERS: usize = 1 << PRECISION;
/// Bits of the hash that are left: the longest run of zeros a register can show.
const MAX_ZEROS: usize = 64 - PRECISION as usize;

/// An estimate of how many distinct series keys have been added. The standard error is 1.04 / sqrt(16384) = 0.8 %.
/// The sketch of a union is the union of the sketches, whichever shard or node made them. Nothing can be taken out.
#[derive(Clone, PartialEq, Eq)]
pub struct SeriesSketch(Box<[u8; REGISTERS]>);

impl Default for SeriesSketch {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl fmt::Debug for SeriesSketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeriesSketch(about {})", self.estimate())
    }
}

impl SeriesSketch {
    /// Bytes of [`Self::as_bytes`].
    pub(crate) const LEN: usize = REGISTERS;

    /// Adds a canonical series key.
    pub fn insert(&mut self, key: &str) {
        let hash = xxhash_rust::xxh3::xxh3_64(key.as_bytes());
        let register = (hash >> MAX_ZEROS) as usize;
        // The bit set below the hash's own ends the run.
        let zeros = ((hash << PRECISION) | (1 << (PRECISION - 1))).leading_zeros();
        let seen = &mut self.0[register];
        *seen = (*seen).max(zeros as u8 + 1);
    }

    /// Adds all that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0.iter()) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// About how many distinct keys have been added.
    pub fn estimate(&self) -> u64 {
        let mut counts = [0u32; MAX_ZEROS + 2];
        for register in self.0.iter() {
            counts[usize::from(*register).min(MAX_ZEROS + 1)] += 1;
        }
        let registers = REGISTERS as f64;
        let [empty, runs @ .., full] = &counts;
        let mut sum = registers * tau(1.0 - f64::from(*full) / registers);
        for count in runs.iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += registers * sigma(f64::from(*empty) / registers);
        (registers * registers / (2.0 * std::f64::consts::LN_2 * sum)).round() as u64
    }

    /// One byte for each register.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &*self.0
    }

    /// Of what [`Self::as_bytes`] gave; `None` if it is none of it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let registers: Box<[u8; REGISTERS]> = Box::new(bytes.try_into().ok()?);
        registers.iter().all(|register| usize::from(*register) <= MAX_ZEROS + 1).then_some(Self(registers))
    }
}

/// Ertl's sigma: x + the sum over k >= 1 of x^(2^k) 2^(k-1); infinite at 1.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

/// Ertl's tau: a third of (1 - x - the sum over k >= 1 of (1 - x^(2^-k))^2 2^-k).
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x).powi(2) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(keys: std::ops::Range<u32>) -> SeriesSketch {
        let mut sketch = SeriesSketch::default();
        keys.for_each(|key| sketch.insert(&format!("cpu,host=h{key}")));
        sketch
    }

    #[test]
    fn estimates_are_within_four_standard_errors() {
        assert_eq!(SeriesSketch::default().estimate(), 0);
        for count in [1u32, 10, 1000, 12_000, 40_000, 100_000, 500_000] {
            let error = of(0..count).estimate() as f64 / f64::from(count) - 1.0;
            assert!(error.abs() < 4.0 * 0.0081, "{count} keys: off by {error}");
        }
    }

    #[test]
    fn a_union_is_that_of_the_sketches_and_repetition_changes_nothing() {
        let mut parts = of(0..600);
        parts.merge(&of(300..1000));
        parts.merge(&of(0..1000));
        assert_eq!(parts, of(0..1000));
        assert_eq!(SeriesSketch::from_bytes(parts.as_bytes()), Some(parts));
        assert_eq!(SeriesSketch::from_bytes(&[0; 5]), None);
        assert_eq!(SeriesSketch::from_bytes(&[52; REGISTERS]), None);
    }
}

//! Damaged copies of good input, the same for the same seed.

use std::ops::Range;

use crate::Checksums;

/// Good input, and where its checksums are.
#[derive(Debug, Clone)]
pub struct Seed {
    bytes: Vec<u8>,
    checksums: Checksums,
    covered: Vec<Range<usize>>,
}

impl Seed {
    /// Looks for the checksums.
    pub fn new(bytes: Vec<u8>, checksums: Checksums) -> Self {
        let covered = checksums.covered(&bytes);
        Self { bytes, checksums, covered }
    }

    /// As it was given.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes a bit wrong.
    pub fn flip(&mut self, at: usize) {
        self.bytes[at] ^= 1;
    }

    /// With right checksums.
    pub fn sealed(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        self.checksums.seal(&mut bytes, &self.covered);
        bytes
    }

    /// Puts other bytes in the place of some; the checksums behind move along.
    fn splice(&mut self, place: Range<usize>, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let moved = |at: usize| {
            if at >= place.end { at - place.len() + bytes.len() } else { at.min(place.start) }
        };
        for range in &mut self.covered {
            *range = moved(range.start).min(moved(range.end))..moved(range.end);
        }
        self.bytes.splice(place, bytes.iter().copied());
    }
}

/// Makes inputs. Not clever: bits, bytes, numbers at their edges, pieces cut out, doubled, moved, or taken from others.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// Longest input it makes, in bytes.
    pub const INPUT_BYTES_MAX: usize = 1 << 16;

    /// With a seed; 0 is as good as any.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed ^ 0x9e37_79b9_7f4a_7c15 }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number below `bound`; 0 if there is none.
    fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }

    /// One of the seeds with a few changes; every other time its checksums are right.
    pub fn mutated(&mut self, seeds: &[Seed]) -> Vec<u8> {
        let pick = self.below(seeds.len());
        let Some(mut input) = seeds.get(pick).cloned() else { return Vec::new() };
        for _ in 0..=self.below(6) {
            let other = self.below(seeds.len());
            self.change(&mut input, seeds.get(other).map_or(&[], Seed::bytes));
        }
        let length = input.bytes.len();
        input.splice(length.min(Self::INPUT_BYTES_MAX)..length, []);
        if self.below(2) == 0 { input.bytes } else { input.sealed() }
    }

    fn change(&mut self, input: &mut Seed, other: &[u8]) {
        const EDGES: [u64; 8] =
            [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x7fff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff];
        const LETTERS: &[u8] = b" \n\t\"'\\,=()/*.;:-+0919azAZ\0\xff\xc3\xa9";
        let at = self.below(input.bytes.len() + 1);
        let length = self.below((input.bytes.len() - at).min(64) + 1);
        match self.below(8) {
            0 => {
                let bit = 1 << self.below(8);
                input.bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
            }
            1 => {
                let byte = self.next() as u8;
                input.bytes.get_mut(at).into_iter().for_each(|old| *old = byte);
            }
            2 => {
                let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][self.below(4)];
                input.bytes.iter_mut().skip(at).zip(&edge[..width]).for_each(|(byte, edge)| *byte = *edge);
            }
            3 => input.splice(at..at + length, []),
            4 => {
                let piece = input.bytes[at..at + length].to_vec();
                input.splice(at..at, piece);
            }
            5 => {
                let letter = LETTERS[self.below(LETTERS.len())];
                input.splice(at..at, [letter]);
            }
            6 => {
                let from = self.below(other.len() + 1);
                let count = self.below((other.len() - from).min(256) + 1);
                input.splice(at..at + length, &other[from..from + count]);
            }
            _ => input.splice(at..input.bytes.len(), []),
        }
    }
}

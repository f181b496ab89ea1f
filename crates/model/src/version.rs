//! The version of a batch of writes: a hybrid logical clock value with the accepting node as tie-break.
//! A cell's value is that of its greatest version, so merging is commutative, associative and idempotent.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

const NODE_BITS: u32 = 10;
const COUNTER_BITS: u32 = 12;
const NODE_MASK: u64 = (1 << NODE_BITS) - 1;
const COUNTER_MASK: u64 = (1 << COUNTER_BITS) - 1;
const MS_SHIFT: u32 = NODE_BITS + COUNTER_BITS;
const MS_MAX: u64 = u64::MAX >> MS_SHIFT;

/// A hybrid logical clock value (Kulkarni et al., "Logical Physical Clocks", 2014), ordered as one integer:
///
/// ```text
///  63            22 21        10 9      0
/// +----------------+------------+--------+
/// | ms since epoch |  counter   |  node  |
/// +----------------+------------+--------+
/// ```
///
/// The milliseconds last until the year 2109.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Version(pub u64);

impl Version {
    /// Before every version a clock hands out.
    pub const ZERO: Self = Self(0);

    /// Puts the parts together; each must fit its bits.
    pub const fn from_parts(ms: u64, counter: u16, node: u16) -> Self {
        assert!(ms <= MS_MAX && counter as u64 <= COUNTER_MASK && node as u64 <= NODE_MASK);
        Self(ms << MS_SHIFT | (counter as u64) << NODE_BITS | node as u64)
    }

    /// Milliseconds since the epoch: the physical part, at least the accepting node's clock.
    pub const fn ms(self) -> u64 {
        self.0 >> MS_SHIFT
    }

    /// Order among the versions of one millisecond.
    pub const fn counter(self) -> u16 {
        (self.0 >> NODE_BITS & COUNTER_MASK) as u16
    }

    /// The node that accepted the write.
    pub const fn node(self) -> u16 {
        (self.0 & NODE_MASK) as u16
    }

    /// Eight bytes, big-endian, so that byte order is version order.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The inverse of [`Self::to_bytes`].
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@{}", self.ms(), self.counter(), self.node())
    }
}

/// Hands out strictly ascending versions for one node, whatever the wall clock does. Shared freely: every
/// method takes `&self`, and two calls never return the same version.
#[derive(Debug)]
pub struct Clock {
    node: u16,
    /// Milliseconds and counter of the latest version seen or handed out, without a node.
    latest: AtomicU64,
}

/// A version from elsewhere is further ahead of this node's clock than [`Clock::MAX_AHEAD_MS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("version {version} is {ahead_ms} ms ahead of this node's clock; check the clocks of both nodes")]
pub struct TooFarAhead {
    /// The version refused.
    pub version: Version,
    /// By how much it is ahead.
    pub ahead_ms: u64,
}

impl Clock {
    /// The greatest node number.
    pub const MAX_NODE: u16 = NODE_MASK as u16;

    /// How far ahead of the local wall clock another node's version may be, in milliseconds: one node with a
    /// wrong clock must not drag every other one into the future.
    pub const MAX_AHEAD_MS: u64 = 300_000;

    /// A clock for `node` that goes on after `latest`, the greatest version this node has stored
    /// ([`Version::ZERO`] for none): a wall clock set back across a restart does no harm.
    pub fn new(node: u16, latest: Version) -> Self {
        assert!(node <= Self::MAX_NODE, "node number {node} does not fit a version");
        Self { node, latest: AtomicU64::new(latest.0 >> NODE_BITS) }
    }

    /// The next version, given the wall clock in milliseconds since the epoch. Past 4096 versions in one
    /// millisecond it borrows from the next one.
    pub fn tick(&self, now_ms: u64) -> Version {
        let now = now_ms.min(MS_MAX) << COUNTER_BITS;
        let next = |latest: u64| if now > latest { now } else { latest + 1 };
        let latest = self
            .latest
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |latest| Some(next(latest)))
            .unwrap_or_else(|latest| latest);
        Version(next(latest) << NODE_BITS | u64::from(self.node))
    }

    /// Takes note of a version from elsewhere: every later [`Self::tick`] exceeds it.
    pub fn observe(&self, version: Version, now_ms: u64) -> Result<(), TooFarAhead> {
        let ahead_ms = version.ms().saturating_sub(now_ms);
        if ahead_ms > Self::MAX_AHEAD_MS {
            return Err(TooFarAhead { version, ahead_ms });
        }
        self.latest.fetch_max(version.0 >> NODE_BITS, Ordering::AcqRel);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_and_order_is_ms_counter_node() {
        let version = Version::from_parts(1_700_000_000_123, 4095, 1023);
        assert_eq!((version.ms(), version.counter(), version.node()), (1_700_000_000_123, 4095, 1023));
        assert_eq!(Version::from_bytes(version.to_bytes()), version);
        assert_eq!(version.to_string(), "1700000000123.4095@1023");
        let mut ordered = vec![
            Version::ZERO,
            Version::from_parts(1, 0, 1023),
            Version::from_parts(1, 1, 0),
            Version::from_parts(1, 1, 1),
            Version::from_parts(2, 0, 0),
        ];
        ordered.dedup();
        assert!(ordered.is_sorted());
        let bytes: Vec<_> = ordered.iter().map(|version| version.to_bytes()).collect();
        assert!(bytes.is_sorted());
        assert_eq!(bytes.len(), 5);
    }

    #[test]
    fn ticks_ascend_when_the_wall_clock_stands_still_or_goes_back() {
        let clock = Clock::new(7, Version::ZERO);
        let mut previous = Version::ZERO;
        for now_ms in [1000, 1000, 900, 0, 1001, 5000, 4999] {
            let version = clock.tick(now_ms);
            assert!(version > previous, "{version} after {previous}");
            assert_eq!(version.node(), 7);
            previous = version;
        }
        assert_eq!(previous, Version::from_parts(5000, 1, 7));
    }

    #[test]
    fn a_full_counter_borrows_the_next_millisecond() {
        let clock = Clock::new(0, Version::from_parts(10, 4095, 3));
        assert_eq!(clock.tick(10), Version::from_parts(11, 0, 0));
    }

    #[test]
    fn observed_versions_are_exceeded_unless_absurd() {
        let clock = Clock::new(1, Version::ZERO);
        let seen = Version::from_parts(2000, 5, 900);
        clock.observe(seen, 1000).expect("one second ahead is fine");
        assert!(clock.tick(1000) > seen);
        let absurd = Version::from_parts(1_000_000_000, 0, 2);
        let refused = clock.observe(absurd, 1000).expect_err("eleven days ahead is not");
        assert_eq!(refused.ahead_ms, 999_999_000);
        assert!(clock.tick(1000) < absurd);
    }

    #[test]
    fn concurrent_ticks_are_distinct() {
        let clock = Clock::new(3, Version::ZERO);
        let mut all: Vec<Version> = std::thread::scope(|scope| {
            let ticking: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..2000).map(|i| clock.tick(i / 500)).collect::<Vec<_>>()))
                .collect();
            ticking.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 8000);
    }
}

//! The version of what a record says: the same on every consumer, and whenever the record is read again.

use skywatch_model::{Clock, Version};

/// The node bits and the counter of a version, together.
const OFFSET_BITS: u32 = 22;
const NODE_BITS: u32 = 10;

/// The version of a record that was appended at a time (milliseconds since the epoch) and has an offset: its time, and among
/// the records of one millisecond their order. `now_ms` only tells a time that cannot be true, because a producer's clock
/// is wrong: nodes refuse versions from the future, so such a record counts as older than all others.
pub fn version_of(appended_ms: u64, offset: u64, now_ms: u64) -> Version {
    let order = offset & ((1 << OFFSET_BITS) - 1);
    let is_true = appended_ms <= now_ms.saturating_add(Clock::MAX_AHEAD_MS / 2);
    let (counter, node) = ((order >> NODE_BITS) as u16, (order & ((1 << NODE_BITS) - 1)) as u16);
    Version::from_parts(if is_true { appended_ms } else { 0 }, counter, node)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn versions_follow_time_and_within_a_millisecond_the_offset() {
        let versions = [
            (NOW - 1, 900_000),
            (NOW, 5),
            (NOW, 6),
            (NOW, 1_023),
            (NOW, 1_024),
            (NOW, 4_000_000),
            (NOW + 1, 7),
        ]
        .map(|(ms, offset)| version_of(ms, offset, NOW));
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        assert_eq!(version_of(NOW, 77, NOW), version_of(NOW, 77, NOW + 86_400_000), "whenever it is read");
    }

    #[test]
    fn a_time_in_the_future_makes_a_version_that_every_node_takes() {
        let version = version_of(NOW + 3_600_000, 3, NOW);
        assert_eq!((version.ms(), version.node()), (0, 3));
        Clock::new(1, Version::ZERO).observe(version_of(NOW + 100_000, 3, NOW), NOW).unwrap();
    }
}

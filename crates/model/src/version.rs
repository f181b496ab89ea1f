//! The version of a batch of writes: a hybrid logical clock value with the accepting node as tie-break.
//! A cell's value is that of its greatest version, so merging is commutative, associative and idempotent.

/// A hybrid logical clock value (Kulkarni et al., "Logical Physical Clocks", 2014), ordered as one integer:
///
/// ```text
///  63            22 21        10 9      0
/// +----------------+------------+--------+
/// | ms since epoch |  counter   |  node  |
/// +----------------+------------+--------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Version(pub u64);

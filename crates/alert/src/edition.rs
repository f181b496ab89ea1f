//! How new a stored state is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Tells which of two stored states is the newer one; no two states have the same.
///
/// No clock is compared with another. Whoever begins to evaluate in a cluster does so in a term that is greater than that of
/// the state it goes on from, and not less than the count with which its lease was granted, which is greater than that of every
/// lease before; within a term, what is stored is counted. So what a node stored before it lost the lease is older than whatever
/// came after it, also if it goes on counting for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Edition {
    /// Whose evaluations: see above. 0 on a server that shares its state with nobody.
    pub term: u64,
    /// Counts what was stored; 0 before anything was.
    pub number: u64,
}

impl Edition {
    /// Where a node begins that goes on from this state, with a lease that was granted as number `granted`.
    pub(crate) fn succeeded_by(self, granted: u64) -> Self {
        Self { term: granted.max(self.term.saturating_add(1)), number: 0 }
    }

    /// What is stored after this, in the same term.
    pub(crate) const fn next(self) -> Self {
        Self { term: self.term, number: self.number.saturating_add(1) }
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_newer_than_all_that_its_predecessor_goes_on_to_store() {
        let before = Edition { term: 7, number: 1_000 };
        for granted in [0, 7, 8, 900] {
            let after = before.succeeded_by(granted);
            assert!(after.term >= granted && after > before.next().next(), "{after} follows {before}");
            assert!(after.next() > after);
        }
        assert_eq!(before.to_string(), "7.1000");
        let older: Edition = serde_json::from_str(r#"{"number": 3, "of a later release": 1}"#).unwrap();
        assert_eq!(older, Edition { term: 0, number: 3 });
    }
}

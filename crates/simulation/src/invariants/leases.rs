//! A lease is held by one node at a time, in true time.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::{Host, Violation};

/// When who believed to hold a lease. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Holdings(Arc<Mutex<Vec<Holding>>>);

/// A node believed so from one moment to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Who.
    pub host: Host,
    /// From when.
    pub from: Duration,
    /// Until when, at least.
    pub to: Duration,
}

impl Holdings {
    /// The node believes to hold the lease now. If it did so at its previous look too, it did so in between.
    pub fn seen(&self, host: Host, now: Duration, did_before: bool) {
        let mut holdings = self.0.lock();
        let latest = holdings.iter_mut().rev().find(|holding| holding.host == host);
        match latest {
            Some(holding) if did_before => holding.to = now,
            _ => holdings.push(Holding { host, from: now, to: now }),
        }
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Holding> {
        self.0.lock().clone()
    }
}

/// Whether any two overlap.
pub fn check(holdings: &[Holding]) -> Result<(), Violation> {
    let mut ordered = holdings.to_vec();
    ordered.sort_by_key(|holding| holding.from);
    let mut latest: Option<Holding> = None;
    for holding in ordered {
        if let Some(other) = latest.filter(|other| other.host != holding.host && holding.from <= other.to) {
            return Err(Violation::new("leases do not overlap", format!("{other:?} and {holding:?}")));
        }
        latest = latest.filter(|other| other.to > holding.to).or(Some(holding));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(host: usize, from: u64, to: u64) -> Holding {
        Holding { host: Host(host), from: Duration::from_secs(from), to: Duration::from_secs(to) }
    }

    #[test]
    fn two_at_once_are_found() {
        assert!(check(&[holding(1, 0, 5), holding(2, 6, 9), holding(1, 10, 12)]).is_ok());
        assert!(check(&[holding(1, 0, 5), holding(1, 3, 9)]).is_ok(), "the same node twice");
        assert!(check(&[holding(1, 0, 5), holding(2, 5, 9)]).is_err());
        assert!(check(&[holding(2, 3, 4), holding(1, 0, 5)]).is_err());
        assert!(
            check(&[holding(1, 0, 9), holding(1, 2, 3), holding(2, 5, 6)]).is_err(),
            "behind a shorter one"
        );
    }

    #[test]
    fn looks_in_a_row_are_one_holding() {
        let holdings = Holdings::default();
        let second = Duration::from_secs;
        holdings.seen(Host(1), second(1), false);
        holdings.seen(Host(1), second(2), true);
        holdings.seen(Host(1), second(4), false);
        assert_eq!(holdings.all(), [holding(1, 1, 2), holding(1, 4, 4)]);
    }
}

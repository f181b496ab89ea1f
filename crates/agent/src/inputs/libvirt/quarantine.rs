//! Domains that did not answer are left alone, for longer each time: each try costs a thread that
//! may never return. Pure but for the instants passed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// First time a domain is left alone.
const FIRST: Duration = Duration::from_secs(30);
/// Longest time.
const LONGEST: Duration = Duration::from_secs(600);

/// Who is left alone, and who was of late.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    domains: BTreeMap<String, Case>,
}

#[derive(Debug)]
struct Case {
    times: u32,
    /// `None` while on probation: asked again, not yet forgiven.
    until: Option<Instant>,
}

impl Quarantine {
    /// A domain did not answer.
    pub(super) fn add(&mut self, name: &str, now: Instant) {
        let case = self.domains.entry(name.to_owned()).or_insert(Case { times: 0, until: None });
        let wait = FIRST.saturating_mul(1 << case.times.min(8)).min(LONGEST);
        case.times += 1;
        case.until = Some(now + wait);
    }

    /// A domain answered.
    pub(super) fn forgive(&mut self, name: &str) {
        self.domains.remove(name);
    }

    /// Lets those out whose time is over.
    pub(super) fn release(&mut self, now: Instant) {
        for case in self.domains.values_mut() {
            case.until = case.until.filter(|until| *until > now);
        }
    }

    /// Whether nobody is left alone or on probation.
    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Those to be left alone.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let names: Vec<_> = self
            .domains
            .iter()
            .filter(|(_, case)| case.until.is_some())
            .map(|(name, _)| name.clone())
            .collect();
        names.into_iter()
    }

    /// Forgets domains on probation that exist no more.
    pub(super) fn forget_absent(&mut self, present: impl Fn(&str) -> bool) {
        self.domains.retain(|name, case| case.until.is_some() || present(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_each_time_until_forgiven() {
        let start = Instant::now();
        let mut quarantine = Quarantine::default();
        quarantine.add("a", start);
        quarantine.release(start + Duration::from_secs(29));
        assert_eq!(quarantine.names().count(), 1);
        quarantine.release(start + Duration::from_secs(30));
        assert_eq!(quarantine.names().count(), 0);
        assert!(!quarantine.is_empty(), "on probation");
        quarantine.add("a", start);
        quarantine.release(start + Duration::from_secs(59));
        assert_eq!(quarantine.names().count(), 1);
        for _ in 0..40 {
            quarantine.add("a", start);
        }
        quarantine.release(start + LONGEST);
        assert_eq!(quarantine.names().count(), 0);
        quarantine.forgive("a");
        assert!(quarantine.is_empty());
    }

    #[test]
    fn a_domain_that_is_gone_is_forgotten_when_its_time_is_over() {
        let start = Instant::now();
        let mut quarantine = Quarantine::default();
        quarantine.add("a", start);
        quarantine.forget_absent(|_| false);
        assert!(!quarantine.is_empty());
        quarantine.release(start + LONGEST);
        quarantine.forget_absent(|_| false);
        assert!(quarantine.is_empty());
    }
}

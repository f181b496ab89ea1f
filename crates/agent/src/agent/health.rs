//! What of a plugin's troubles is logged: changes rather than states, and never a flood.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::config::display_duration;
use crate::input::GatherError;

/// Logs changes, not states: a service that is down is told of once, not every ten seconds.
#[derive(Debug)]
pub(super) struct Health {
    plugin: String,
    /// The errors told of, while they last.
    failing: Option<String>,
    failures: u64,
    late: bool,
}

impl Health {
    pub(super) fn new(plugin: String) -> Self {
        Self { plugin, failing: None, failures: 0, late: false }
    }

    /// A gather ended with these errors.
    pub(super) fn gathered(&mut self, errors: &[GatherError]) {
        if errors.is_empty() {
            if self.failing.take().is_some() {
                info!("{}: works again after {} failed collections", self.plugin, self.failures);
            }
            self.failures = 0;
            return;
        }
        self.failures += 1;
        let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        if self.failing.as_ref() == Some(&text) {
            debug!("{}: {text} (still)", self.plugin);
        } else {
            error!("{}: {text}", self.plugin);
            self.failing = Some(text);
        }
    }

    /// A gather is not done although the next is due.
    pub(super) fn late(&mut self, interval: i64) {
        if !self.late {
            warn!(
                "{}: a collection takes longer than the interval of {}",
                self.plugin,
                display_duration(interval)
            );
        }
        self.late = true;
    }

    /// A gather ended.
    pub(super) fn answered(&mut self) {
        if self.late {
            info!("{}: the late collection is done", self.plugin);
        }
        self.late = false;
    }
}

/// Errors of a service told of in a [`SPAN`]; a listener may have one with every line it is sent.
const TOLD_MAX: u32 = 5;
/// How long errors are counted together.
const SPAN: Duration = Duration::from_secs(60);

/// Tells of the first errors of each minute, and of how many there were besides.
#[derive(Debug)]
pub(super) struct Complaints {
    plugin: String,
    began: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Complaints {
    pub(super) fn new(plugin: String) -> Self {
        Self { plugin, began: None, told: 0, untold: 0 }
    }

    /// Logs the error, or counts it.
    pub(super) fn note(&mut self, error: &GatherError, now: Instant) {
        if self.may_tell(now) {
            error!("{}: {error}", self.plugin);
        } else {
            debug!("{}: {error}", self.plugin);
        }
    }

    fn may_tell(&mut self, now: Instant) -> bool {
        if self.began.is_none_or(|began| now.duration_since(began) >= SPAN) {
            if self.untold > 0 {
                error!("{}: {} more errors were not told of", self.plugin, self.untold);
            }
            *self = Self { plugin: std::mem::take(&mut self.plugin), began: Some(now), told: 0, untold: 0 };
        }
        if self.told < TOLD_MAX {
            self.told += 1;
            true
        } else {
            self.untold += 1;
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_errors_is_told_of_by_its_beginning() {
        let mut complaints = Complaints::new("inputs.test".to_owned());
        let start = Instant::now();
        let told = (0..100).filter(|_| complaints.may_tell(start)).count();
        assert_eq!((told, complaints.untold), (5, 95));
        assert!(!complaints.may_tell(start + SPAN - Duration::from_nanos(1)));
        assert!(complaints.may_tell(start + SPAN), "a new span begins");
        assert_eq!(complaints.untold, 0);
    }
}

//! How long a node that could not be reached is left alone. Pure.
//!
//! A dead node costs one call its dial timeout now and then, and the others nothing.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

/// A node that cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Absence {
    failures: u32,
    until: Instant,
    /// Why it cannot be reached.
    pub reason: String,
}

impl Absence {
    /// After another failure, of an attempt that began then: what it took counts, so that a node that is cut off is found again soon
    /// after it is back.
    pub(crate) fn after(earlier: Option<&Self>, begun: Instant, now: Instant, reason: String) -> Self {
        let failures = earlier.map_or(0, |earlier| earlier.failures).saturating_add(1);
        let pause = FIRST.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST);
        Self { failures, until: (begun + pause).max(now + FIRST), reason }
    }

    /// Whether it is left alone now.
    pub(crate) fn holds(&self, now: Instant) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_asked_again_soon_at_first_and_every_second_later() {
        let now = Instant::now();
        let mut absence = None;
        for pause_ms in [100, 200, 400, 800, 1000, 1000] {
            let next = Absence::after(absence.as_ref(), now, now, "refused".to_owned());
            assert!(next.holds(now + Duration::from_millis(pause_ms - 1)));
            assert!(!next.holds(now + Duration::from_millis(pause_ms)));
            absence = Some(next);
        }
        let later = now + Duration::from_millis(990);
        let next = Absence::after(absence.as_ref(), now, later, "silence".to_owned());
        assert!(next.holds(later + Duration::from_millis(99)) && !next.holds(later + FIRST));
    }
}

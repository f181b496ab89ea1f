//! Whether a node has been silent for so long that nobody should wait for it. Pure.
//!
//! One that was taken for silent and answers a moment later costs others two changes of the catalogue: the next time it is
//! given twice as long, until it has been well for a while. An outage does not count as that. It is not given longer still: the more it
//! is given, the longer a write waits that comes when it is away in earnest.

use std::time::Duration;

use tokio::time::Instant;

/// A silence that ends this many times sooner than it took to notice was none.
const HICCUP: u32 = 2;
/// How much longer it is given then.
const LONGER: u32 = 2;
/// After this long without one, hiccups are forgotten.
const CALM: Duration = Duration::from_secs(30);

/// What is known of one node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    /// When it was heard, or excused, last.
    heard: Instant,
    /// When it answered last.
    answered: Option<Instant>,
    /// Since when it has been taken for silent.
    silent_since: Option<Instant>,
    last_hiccup: Option<Instant>,
}

impl Silence {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { heard: now, answered: None, silent_since: None, last_hiccup: None }
    }

    /// It has answered. Whether it had been taken for silent.
    pub(crate) fn hear(&mut self, now: Instant, after: Duration) -> bool {
        let is_known = self.answered.is_some();
        (self.heard, self.answered) = (now, Some(now));
        let Some(since) = self.silent_since.take() else { return false };
        // One that has just been made a member is starting.
        self.last_hiccup = (is_known && now - since < after * HICCUP).then_some(now);
        true
    }

    /// That it has not answered so far has a reason: it does not run, or this node itself had no time.
    pub(crate) const fn excuse(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Whether it answered lately.
    pub(crate) fn has_answered(&self, now: Instant, within: Duration) -> bool {
        self.answered.is_some_and(|answered| now - answered < within)
    }

    /// Whether it has not answered for longer than it is given.
    pub(crate) fn is_due(&self, now: Instant, after: Duration) -> bool {
        let had_hiccup = self.last_hiccup.is_some_and(|at| now - at < CALM);
        now - self.heard >= if had_hiccup { after * LONGER } else { after }
    }

    /// Takes it for silent. Whether it had not been.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let is_new = self.silent_since.is_none();
        self.silent_since.get_or_insert(now);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_millis(600);

    #[test]
    fn hiccups_make_patient_and_outages_do_not() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut silence = Silence::new(at(0));
        silence.begin(at(0));
        assert!(silence.hear(at(0), AFTER), "it starts, which is no hiccup");
        assert!(!silence.is_due(at(599), AFTER) && silence.is_due(at(600), AFTER));
        assert!(silence.begin(at(600)) && !silence.begin(at(700)));
        assert!(silence.hear(at(1_799), AFTER), "a hiccup");
        assert!(!silence.is_due(at(2_900), AFTER) && silence.is_due(at(2_999), AFTER));
        silence.begin(at(3_000));
        assert!(silence.hear(at(4_200), AFTER), "an outage");
        assert!(silence.is_due(at(4_800), AFTER));
        for round in 1..5 {
            silence.begin(at(10_000 * round));
            silence.hear(at(10_000 * round + 1), AFTER);
        }
        assert!(
            !silence.is_due(at(41_200), AFTER) && silence.is_due(at(41_201), AFTER),
            "twice as long at most"
        );
        silence.hear(at(100_000), AFTER);
        assert!(silence.is_due(at(100_600), AFTER), "they are forgotten");
    }

    #[test]
    fn who_is_excused_has_not_answered() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut silence = Silence::new(at(0));
        silence.excuse(at(500));
        assert!(!silence.is_due(at(1_000), AFTER) && !silence.has_answered(at(501), AFTER));
        silence.hear(at(1_000), AFTER);
        assert!(silence.has_answered(at(1_599), AFTER) && !silence.has_answered(at(1_600), AFTER));
    }
}

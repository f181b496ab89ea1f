//! When a connection is asked for a sign of life, and when it is given up. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How long silence is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Silence after which a ping is sent while answers are awaited.
    pub busy: Duration,
    /// The same while none is.
    pub idle: Duration,
    /// Silence after a ping that makes another connection worth while: this one may be waiting for its turn to be sent again, long after
    /// a cut has ended.
    pub doubt: Duration,
    /// Silence after a ping that ends the connection.
    pub silence_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            busy: Duration::from_secs(1),
            idle: Duration::from_secs(5),
            doubt: Duration::from_millis(300),
            silence_max: Duration::from_secs(4),
        }
    }
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Look again then, or when answers begin to be awaited.
    Wait(Instant),
    /// Send a ping.
    Ping,
    /// Give the connection up.
    Dead,
}

/// The signs of life of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepalive {
    patience: Patience,
    heard: Instant,
    pinged: Option<Instant>,
}

impl Keepalive {
    /// That of a connection that was just made.
    pub(crate) const fn new(patience: Patience, now: Instant) -> Self {
        Self { patience, heard: now, pinged: None }
    }

    /// Something came.
    pub(crate) const fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    /// Whether a ping has not been answered for a while.
    pub(crate) fn is_doubtful(&self, now: Instant) -> bool {
        self.pinged.is_some_and(|pinged| now >= pinged + self.patience.doubt)
    }

    /// What to do; after a ping the next answer is no ping.
    pub(crate) fn step(&mut self, now: Instant, is_busy: bool) -> Step {
        if let Some(pinged) = self.pinged {
            let end = pinged + self.patience.silence_max;
            return if now >= end { Step::Dead } else { Step::Wait(end) };
        }
        let due = self.heard + if is_busy { self.patience.busy } else { self.patience.idle };
        if now < due {
            return Step::Wait(due);
        }
        self.pinged = Some(now);
        Step::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_asked_then_given_up() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut keepalive = Keepalive::new(Patience::default(), begun);
        assert_eq!(keepalive.step(at(0), false), Step::Wait(at(5)));
        assert_eq!(keepalive.step(at(0), true), Step::Wait(at(1)));
        assert_eq!(keepalive.step(at(1), true), Step::Ping);
        assert_eq!(keepalive.step(at(1), true), Step::Wait(at(5)));
        assert!(!keepalive.is_doubtful(at(1)) && keepalive.is_doubtful(at(2)));
        keepalive.heard(at(3));
        assert!(!keepalive.is_doubtful(at(3)));
        assert_eq!(keepalive.step(at(5), false), Step::Wait(at(8)));
        assert_eq!(keepalive.step(at(8), false), Step::Ping);
        assert_eq!(keepalive.step(at(12), false), Step::Dead);
    }
}

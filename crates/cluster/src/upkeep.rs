//! What a node looks after by the clock: retention, shard groups ahead of time, and limits and subscriptions that
//! follow from the catalogue. One thread, which sleeps until the next of them is due.

use std::{
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use skywatch_meta::Command;
use skywatch_model::wall_clock_ns;

use crate::{
    node::NodeCore,
    retention::{plan_ahead, plan_expiry},
};

/// How often what restores and limits need is looked after.
const CHORES_EVERY: Duration = Duration::from_secs(60);

/// How often what is looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpkeepSettings {
    /// How often shard groups that have outlived their retention policy are dropped.
    pub retention_every: Duration,
    /// Shard groups made before their time begins; without it the first write of a group makes it.
    pub precreation: Option<Precreation>,
}

/// When the shard groups of policies in use are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precreation {
    /// How often it is looked.
    pub every: Duration,
    /// A group is made once it begins within this time.
    pub advance: Duration,
}

impl Default for UpkeepSettings {
    fn default() -> Self {
        Self { retention_every: Duration::from_secs(60), precreation: Some(Precreation::default()) }
    }
}

impl Default for Precreation {
    fn default() -> Self {
        Self { every: Duration::from_secs(60), advance: Duration::from_secs(30 * 60) }
    }
}

/// The thread, until [`Self::stop`]. Dropping it tells the thread to stop and does not wait.
#[derive(Debug)]
pub(crate) struct Upkeep {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Upkeep {
    /// Looks after `core` from now on, everything once at first.
    pub(crate) fn start(core: Arc<NodeCore>, settings: UpkeepSettings) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("upkeep".into())
            .spawn(move || {
                let mut rounds = Rounds::new(&settings, Instant::now());
                loop {
                    for chore in rounds.due(Instant::now()) {
                        chore.carry_out(&core);
                    }
                    match stopped.recv_timeout(rounds.next().saturating_duration_since(Instant::now())) {
                        Err(mpsc::RecvTimeoutError::Timeout) => {}
                        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    }
                }
            })
            .expect("a thread can be started while the node opens");
        Self { stop, thread }
    }

    /// Ends the thread, once it has ended what it is at.
    pub(crate) fn stop(self) {
        // The thread may have ended already; then there is nobody to tell.
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the upkeep thread panicked");
        }
    }
}

/// One thing to look after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chore {
    /// Limits, subscriptions, restores that nobody goes on with.
    Follow,
    /// Shard groups that have expired.
    Expire,
    /// Shard groups that begin within this many nanoseconds.
    Ahead(i64),
}

impl Chore {
    fn carry_out(self, core: &NodeCore) {
        match self {
            Self::Follow => core.follow_up(),
            Self::Expire => core.change_catalogue(&plan_expiry(&core.host.current(), wall_clock_ns())),
            Self::Ahead(advance_ns) => core.change_catalogue(&plan_ahead(
                &core.host.current(),
                &core.host.placement(),
                wall_clock_ns(),
                advance_ns,
            )),
        }
    }
}

/// When each chore is due.
#[derive(Debug)]
struct Rounds {
    chores: Vec<(Chore, Duration, Instant)>,
}

impl Rounds {
    /// Everything is due at `now`.
    fn new(settings: &UpkeepSettings, now: Instant) -> Self {
        let mut chores =
            vec![(Chore::Follow, CHORES_EVERY, now), (Chore::Expire, settings.retention_every, now)];
        if let Some(Precreation { every, advance }) = &settings.precreation {
            let advance_ns = i64::try_from(advance.as_nanos()).unwrap_or(i64::MAX);
            chores.push((Chore::Ahead(advance_ns), *every, now));
        }
        Self { chores }
    }

    /// What is due at `now`; it is due again after its interval, counted from now, so that a machine that slept does
    /// nothing twice.
    fn due(&mut self, now: Instant) -> Vec<Chore> {
        let is_due = self.chores.iter_mut().filter(|(.., at)| *at <= now);
        is_due
            .map(|(chore, every, at)| {
                *at = now + *every;
                *chore
            })
            .collect()
    }

    fn next(&self) -> Instant {
        self.chores.iter().map(|(.., at)| *at).min().expect("there always is something to look after")
    }
}

impl NodeCore {
    fn follow_up(&self) {
        self.limit_series();
        self.tell_subscriptions();
        self.desk.expire();
    }

    fn change_catalogue(&self, commands: &[Command]) {
        for command in commands {
            match self.host.execute(command) {
                Ok(applied) => self.drop_shards(&applied.dropped_shards),
                Err(error) => tracing::warn!(%error, ?command, "upkeep failed; it is tried again"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_looked_after_at_its_own_interval() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let precreation = Precreation { every: Duration::from_secs(600), advance: Duration::from_secs(5) };
        let settings =
            UpkeepSettings { retention_every: Duration::from_secs(50), precreation: Some(precreation) };
        let ahead = Chore::Ahead(5_000_000_000);
        let mut rounds = Rounds::new(&settings, start);
        assert_eq!(rounds.due(start), [Chore::Follow, Chore::Expire, ahead]);
        assert_eq!((rounds.due(after(49)), rounds.next()), (vec![], after(50)));
        assert_eq!((rounds.due(after(50)), rounds.next()), (vec![Chore::Expire], after(60)));
        // A machine that slept for an hour.
        assert_eq!(rounds.due(after(3600)), [Chore::Follow, Chore::Expire, ahead]);
        assert_eq!(rounds.next(), after(3650));
    }

    #[test]
    fn without_groups_ahead_the_rest_goes_on() {
        let settings = UpkeepSettings { precreation: None, ..UpkeepSettings::default() };
        let now = Instant::now();
        assert_eq!(Rounds::new(&settings, now).due(now), [Chore::Follow, Chore::Expire]);
    }
}

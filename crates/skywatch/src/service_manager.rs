//! The service manager that started this process (systemd): told when it serves, what it does, and that it lives.
//!
//! Messages go to the socket that `NOTIFY_SOCKET` names, see `sd_notify(3)`; without it nothing is sent and nothing runs.
//!
//! ```text
//! start ── READY=1 ── STATUS=... again and again, WATCHDOG=1 with it ── STOPPING=1 ── end
//!                         └── RELOADING=1 ── READY=1 ──┘
//! ```
//!
//! `WATCHDOG=1` is no timer: it is sent after somebody who knows has looked whether the process still does its work, by
//! ways that its work takes. A look that hangs or fails sends nothing, and the service manager starts the process anew.

use std::{env, fmt::Display, future::Future, process, time::Duration};

use sd_notify::NotifyState;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at},
};

/// How often is looked without a watchdog, so that the status is right.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(5);
/// Looks in the time after which the service manager gives up: one may be late.
const LOOKS_PER_LIMIT: u32 = 3;

/// The process serves; `status` says what.
pub(crate) fn ready(status: impl Display) {
    let status = line(&status);
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// The process was told to stop and does so.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: what is under way is finished and kept")]);
}

/// The process loads its configuration anew; [`ready`] follows.
pub(crate) fn reloading() {
    // Newer service managers want to know since when, to tell this READY=1 from an earlier one.
    let Ok(since) = NotifyState::monotonic_usec_now() else { return };
    tell(&[NotifyState::Reloading, since, NotifyState::Status("loading the configuration anew")]);
}

/// What the process does; for a person who asks.
pub(crate) fn status(status: impl Display) {
    tell(&[NotifyState::Status(&line(&status))]);
}

/// Looks again and again, until dropped.
#[derive(Debug)]
pub(crate) struct Watched(Option<JoinHandle<()>>);

impl Watched {
    /// Has `look` find out what the process does, or why it does not work any more. It should go the ways that the work
    /// goes: through tasks, threads and locks that the work needs.
    pub(crate) fn start<F, L>(look: F) -> Self
    where
        F: Fn() -> L + Send + Sync + 'static,
        L: Future<Output = Result<String, String>> + Send + 'static,
    {
        if env::var_os("NOTIFY_SOCKET").is_none() {
            return Self(None);
        }
        Self(Some(tokio::spawn(keep_looking(look))))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

async fn keep_looking<F, L>(look: F)
where
    F: Fn() -> L,
    L: Future<Output = Result<String, String>>,
{
    let limit = watchdog_limit();
    let every = limit.map_or(LOOK_EVERY_MAX, |limit| (limit / LOOKS_PER_LIMIT).min(LOOK_EVERY_MAX));
    let mut looks = interval_at(Instant::now(), every.max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        looks.tick().await;
        let (now, works) = match look().await {
            Ok(now) => (line(&now), true),
            Err(why) => (line(&why), false),
        };
        if works && limit.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        if now != told {
            if !works {
                tracing::error!("this process does not work any more: {now}");
            }
            status(&now);
            told = now;
        }
    }
}

/// Within which time the service manager wants to hear that this process lives.
fn watchdog_limit() -> Option<Duration> {
    let number = |name: &str| Some(env::var(name).ok()?.parse::<u64>());
    limit_of(number("WATCHDOG_USEC"), number("WATCHDOG_PID"))
}

/// Without a process's number the limit is for whoever reads it, as `sd_watchdog_enabled(3)` has it.
fn limit_of<E>(micros: Option<Result<u64, E>>, pid: Option<Result<u64, E>>) -> Option<Duration> {
    let micros = micros?.ok().filter(|micros| *micros > 0)?;
    let is_mine = match pid {
        None => true,
        Some(pid) => pid.ok() == Some(u64::from(process::id())),
    };
    is_mine.then(|| Duration::from_micros(micros))
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "the service manager cannot be told what this process does");
    }
}

/// A message is lines of its own; a status is one of them.
fn line(text: &impl Display) -> String {
    text.to_string().replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_of_another_process_is_none() {
        let limit = |micros: Option<u64>, pid: Option<u64>| limit_of::<()>(micros.map(Ok), pid.map(Ok));
        let me = u64::from(process::id());
        let second = Some(Duration::from_secs(1));
        assert_eq!(limit(Some(1_000_000), None), second);
        assert_eq!(limit(Some(1_000_000), Some(me)), second);
        assert_eq!(limit(Some(1_000_000), Some(me + 1)), None);
        assert_eq!((limit(Some(0), None), limit(None, None)), (None, None));
        assert_eq!(limit_of(Some(Err(())), None), None);
    }

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(line(&"serving\nREADY=1"), "serving READY=1");
    }
}

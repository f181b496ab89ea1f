//! What there is to watch on this host, as a configuration that collects it.
//!
//! ```text
//! probes (a thread each) --> Finding --> render --> TOML, notes
//!   files below /proc, /sys, /run, /etc
//!   sockets and loopback, through Reach
//! ```
//!
//! Only files of this host, its Unix sockets and 127.0.0.1 are looked at, besides the store that the caller names by
//! its address. A plugin is switched on only when what it asks has answered; what is there and does not answer, or not
//! to this user, is written as comments with the reason. A probe that hangs is left behind and costs the others nothing.

mod finding;
mod haproxy;
mod host;
mod reach;
mod render;
mod services;
#[cfg(test)]
mod tests;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::paths::HostPaths;
use finding::Finding;
use reach::{Loopback, Reach};

/// For all probes together.
const ALL_MAX: Duration = Duration::from_secs(3);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// A configuration that loads without a warning.
    pub toml: String,
    /// A line for each thing that was looked for.
    pub notes: Vec<String>,
}

/// Where to look, and by what means.
#[derive(Debug, Clone)]
struct Host {
    paths: HostPaths,
    /// The directories of programs, as in `$PATH`.
    programs: String,
    /// Where the store is; `None` looks at the usual port of this machine.
    store: Option<String>,
    reach: Arc<dyn Reach>,
}

/// What looks for one thing, and what that is called if the probe does not end in time.
type Probe = (&'static str, fn(&Host) -> Finding);

/// The order is that of the configuration.
const PROBES: [Probe; 12] = [
    ("store", services::store),
    ("libvirt", services::libvirt),
    ("containers", services::containers),
    ("HAProxy", haproxy::probe),
    ("keepalived", host::keepalived),
    ("ZooKeeper", services::zookeeper),
    ("Kafka", services::kafka),
    ("systemd", host::systemd),
    ("connection tracking", host::conntrack),
    ("temperatures", host::temperatures),
    ("lm-sensors", host::sensors),
    ("Prometheus exporters", services::exporters),
];

/// Looks at this host, for three seconds at most. `store` is the URL of the server that gets the metrics; without it
/// one on this machine's port 8086 is looked for. `env` gives variables of the environment: `HOST_PROC` and the like
/// tell where the host's files are.
pub fn discover(store: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Discovery {
    look(&Host {
        paths: HostPaths::from_env(env),
        programs: env("PATH").unwrap_or_default(),
        store: store.map(str::to_owned),
        reach: Arc::new(Loopback),
    })
}

fn look(host: &Host) -> Discovery {
    let deadline = Instant::now() + ALL_MAX;
    let (sender, receiver) = mpsc::channel();
    for (index, (name, probe)) in PROBES.into_iter().enumerate() {
        let (host, sender) = (host.clone(), sender.clone());
        // If no thread can be had, the probe has no answer, which is said below. An answer that comes too late has
        // nobody who waits for it.
        thread::Builder::new()
            .name(format!("discover {name}"))
            .spawn(move || sender.send((index, probe(&host))).ok())
            .ok();
    }
    drop(sender);
    let mut findings: Vec<Option<Finding>> = PROBES.iter().map(|_| None).collect();
    while let Ok((index, finding)) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        findings[index] = Some(finding);
    }
    let missing = |(name, _): &Probe| Finding::absent(name, "no answer in time");
    let mut findings =
        findings.into_iter().zip(&PROBES).map(|(finding, probe)| finding.unwrap_or_else(|| missing(probe)));
    // The first probe is the store's: see PROBES.
    let store = findings.next().unwrap_or_else(|| missing(&PROBES[0]));
    render::render(&store, &findings.collect::<Vec<_>>())
}

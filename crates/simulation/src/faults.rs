//! What can go wrong, and scripts of it, drawn from a seed before a world begins.

use std::{fmt, time::Duration};

use crate::{
    Host, Weather,
    random::{Random, stream},
};

/// Something that goes wrong, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed, and started again after the while.
    Kill(Host),
    /// The machine loses power at the operation on its disk after so many more, and is started after the while.
    PowerCut {
        /// Which machine.
        host: Host,
        /// Operations that still succeed.
        after: u64,
    },
    /// Nothing goes from one host to another. The other way is open.
    Cut {
        /// Whose messages are lost.
        from: Host,
        /// Who does not get them.
        to: Host,
    },
    /// Nothing goes between these hosts and the others.
    Split(Vec<Host>),
    /// The network has other weather.
    Storm(Weather),
    /// The process gets no time, then goes on as if nothing had been.
    Freeze(Host),
    /// The wall clock is set forward or back, and stays so.
    Jump {
        /// Whose.
        host: Host,
        /// By so much.
        by_ns: i64,
    },
    /// The disk is full.
    DiskFull(Host),
    /// One operation on the disk fails, after so many more.
    DiskError {
        /// Whose.
        host: Host,
        /// Operations that still succeed.
        after: u64,
    },
}

/// A fault and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// When it strikes.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What it is.
    pub fault: Fault,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, lasts, fault } = self;
        write!(f, "{:>9.3} s  {fault:?}, for {:.3} s", at.as_secs_f64(), lasts.as_secs_f64())
    }
}

/// What scripts are drawn from.
#[derive(Debug, Clone)]
pub struct Menu {
    /// Machines that crash, freeze, and have disks and clocks that fail.
    pub machines: Vec<Host>,
    /// Everyone on the network, clients too.
    pub hosts: Vec<Host>,
    /// Faults strike before this.
    pub length: Duration,
    /// At most so many.
    pub faults_max: u64,
    /// The longest a fault lasts.
    pub lasts_max: Duration,
    /// The furthest a wall clock is set, in milliseconds.
    pub jump_ms_max: u64,
    /// Whether disks fail in other ways than by losing power.
    pub disks_fail: bool,
}

/// The script that a seed draws.
pub fn draw(seed: u64, menu: &Menu) -> Vec<Planned> {
    let mut random = stream(seed, "faults");
    let count = random.between(0, menu.faults_max);
    let mut script: Vec<Planned> = (0..count)
        .map(|_| {
            let at = between(&mut random, Duration::ZERO, menu.length);
            let lasts = between(&mut random, Duration::from_millis(20), menu.lasts_max);
            Planned { at, lasts, fault: draw_one(&mut random, menu) }
        })
        .collect();
    script.sort_by_key(|planned| planned.at);
    script
}

fn draw_one(random: &mut Random, menu: &Menu) -> Fault {
    let host = *random.pick(&menu.machines);
    let after = random.between(0, 60);
    match random.between(0, if menu.disks_fail { 11 } else { 9 }) {
        0 | 1 => Fault::Kill(host),
        2 | 3 => Fault::PowerCut { host, after },
        4 => Fault::Cut { from: host, to: *random.pick(&menu.hosts) },
        5 => Fault::Cut { from: *random.pick(&menu.hosts), to: host },
        6 => Fault::Split(menu.hosts.iter().copied().filter(|_| random.per_mille(500)).collect()),
        7 => Fault::Storm(storm(random)),
        8 => Fault::Freeze(host),
        9 => {
            let by_ns = random.between(0, menu.jump_ms_max) as i64 * 1_000_000;
            Fault::Jump { host, by_ns: if random.per_mille(500) { by_ns } else { -by_ns } }
        }
        10 => Fault::DiskFull(host),
        _ => Fault::DiskError { host, after },
    }
}

fn storm(random: &mut Random) -> Weather {
    Weather {
        delay_min: Duration::ZERO,
        delay_max: between(random, Duration::from_millis(2), Duration::from_millis(200)),
        loss: random.between(0, 300),
        doubled: random.between(0, 300),
        stray: random.between(0, 100),
        stray_max: between(random, Duration::from_millis(500), Duration::from_secs(10)),
    }
}

fn between(random: &mut Random, from: Duration, to: Duration) -> Duration {
    Duration::from_millis(random.between(from.as_millis() as u64, to.as_millis() as u64))
}

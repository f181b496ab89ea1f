//! A simulated world: machines, the network between them, and what happens to both.

mod panics;

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use skywatch_storage::fs;

use crate::{
    DiskPlan, Fault, Host, Planned, Program, SimDisk, SimNetwork, SimTime, SimWall, Trace, Violation,
    Weather, node::Node, random::stream,
};

pub(crate) use panics::take as take_panics;

/// What a world is made from.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Everything that is drawn is drawn from it.
    pub seed: u64,
    /// The faults, in order of time.
    pub script: Vec<Planned>,
    /// What is recorded goes there.
    pub trace: Trace,
    /// How far the world goes at a time, in whole milliseconds: the shortest a message travels.
    pub step: Duration,
    /// The furthest a wall clock is off when the world begins, in milliseconds.
    pub skew_ms_max: u64,
    /// What disks pretend.
    pub disks: DiskPlan,
    /// Machines whose messages always come through, both ways.
    pub sheltered: BTreeSet<Host>,
}

impl Spec {
    /// With clocks that are off by half a minute at most.
    pub fn new(seed: u64, script: Vec<Planned>, trace: Trace) -> Self {
        let step = Duration::from_millis(*stream(seed, "step").pick(&[1, 2, 2, 5]));
        Self {
            seed,
            script,
            trace,
            step,
            skew_ms_max: 30_000,
            disks: DiskPlan::default(),
            sheltered: BTreeSet::new(),
        }
    }
}

/// See the module's header.
pub struct World {
    spec: Spec,
    time: SimTime,
    network: SimNetwork,
    nodes: Vec<Node>,
    script: VecDeque<Planned>,
    /// Faults that end by themselves, and when.
    active: Vec<(Duration, Fault)>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.spec.seed)
            .field("time", &self.time.now())
            .finish_non_exhaustive()
    }
}

impl World {
    /// A world without machines.
    pub fn new(spec: Spec) -> Self {
        panics::record_in_this_thread();
        let time = SimTime::default();
        let network = SimNetwork::new(spec.seed, time.clone(), spec.trace.clone());
        network.set_weather(Weather::calm(spec.step));
        network.shelter(spec.sheltered.clone());
        let script = spec.script.iter().cloned().collect();
        Self { spec, time, network, nodes: Vec::new(), script, active: Vec::new() }
    }

    /// Adds a machine, which starts at once. Its number is that of the machines before it.
    pub fn add(&mut self, name: &str, addresses: &[&str], program: Arc<dyn Program>) -> Host {
        let host = Host(self.nodes.len());
        addresses.iter().for_each(|address| self.network.assign(address, host));
        let mut random = stream(self.spec.seed, &format!("machine {name}"));
        let skew_ms = random.between(0, 2 * self.spec.skew_ms_max) as i64 - self.spec.skew_ms_max as i64;
        let drift_ppm = random.between(0, 400) as i64 - 200;
        let wall = SimWall::new(self.time.clone(), skew_ms * 1_000_000, drift_ppm);
        let disk = SimDisk::new(random.any(), self.spec.disks.clone());
        self.network.plug_in(host, disk.raw().clone());
        let mut node = Node::new(name, host, program, (disk, wall), random.any());
        node.boot(&self.network, &self.time, &self.spec.trace);
        self.nodes.push(node);
        host
    }

    /// Its time.
    pub const fn time(&self) -> &SimTime {
        &self.time
    }

    /// Its network.
    pub const fn network(&self) -> &SimNetwork {
        &self.network
    }

    /// A machine's disk.
    pub fn disk(&self, host: Host) -> &SimDisk {
        &self.nodes[host.0].disk
    }

    /// Whether a process runs on the machine.
    pub fn is_up(&self, host: Host) -> bool {
        self.nodes[host.0].is_up()
    }

    /// Lets time pass until it is over, as long as something holds at every moment.
    pub fn run_while(
        &mut self,
        end: Duration,
        mut holds: impl FnMut(&Self) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        while self.time.now() < end {
            self.step()?;
            holds(self)?;
        }
        Ok(())
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Violation> {
        let end = self.time.now() + duration;
        while self.time.now() < end {
            self.step()?;
        }
        Ok(())
    }

    /// Lets time pass until something holds, which has to happen within a limit.
    pub fn run_until(
        &mut self,
        what: &'static str,
        limit: Duration,
        mut holds: impl FnMut(&Self) -> Result<(), String>,
    ) -> Result<(), Violation> {
        let end = self.time.now() + limit;
        loop {
            self.run_for(Duration::from_millis(50))?;
            match holds(self) {
                Ok(()) => return Ok(()),
                Err(yet) if self.time.now() >= end => {
                    let details = format!("not within {} s: {yet}", limit.as_secs());
                    return Err(Violation::new(what, details));
                }
                Err(_) => {}
            }
        }
    }

    /// Ends all faults: what is down starts, and so does again what a failing disk may have made unwilling.
    pub fn heal(&mut self) {
        self.note("all faults end");
        self.script.clear();
        for (_, fault) in std::mem::take(&mut self.active) {
            self.end(&fault);
        }
        self.apply_network();
        let now = self.time.now();
        for node in &mut self.nodes {
            let unwilling = std::mem::take(&mut node.disk_failed);
            if unwilling || node.disk.raw().power_is_off() {
                node.crash(&self.network, false);
            }
            node.freeze(now, now);
            node.down_until = now;
        }
        self.start_what_is_due();
    }

    fn note(&self, text: impl fmt::Display) {
        self.spec.trace.note(self.time.now(), text);
    }

    fn step(&mut self) -> Result<(), Violation> {
        let now = self.time.now();
        let until = now + self.spec.step;
        self.strike(now);
        self.start_what_is_due();
        for (at, letter) in self.network.take_due(until) {
            if let Some(delivery) = self.network.deliver(at, letter) {
                self.nodes[delivery.host().0].spawn(delivery.carry_out());
            }
        }
        for node in &mut self.nodes {
            node.run_to(until, &self.time);
        }
        self.time.set(until);
        self.see_what_ended(until);
        match take_panics() {
            panics if panics.is_empty() => Ok(()),
            panics => Err(Violation::new("nothing panics", panics.join("\n"))),
        }
    }

    /// Processes that could not start, and machines whose power failed.
    fn see_what_ended(&mut self, now: Duration) {
        for node in &mut self.nodes {
            if let Some(reason) = node.failure() {
                self.spec.trace.note(now, format!("{} ends: {reason}", node.name));
                node.crash(&self.network, false);
                node.down_until = now + Duration::from_millis(500);
            }
            if node.disk.raw().power_is_off() {
                self.spec.trace.note(now, format!("{} loses power", node.name));
                node.crash(&self.network, true);
                node.down_until = node.down_until.max(now + node.outage);
            }
        }
    }

    fn start_what_is_due(&mut self) {
        let now = self.time.now();
        for node in self.nodes.iter_mut().filter(|node| !node.is_up() && node.down_until <= now) {
            node.boot(&self.network, &self.time, &self.spec.trace);
        }
    }

    /// Faults that end, and those that begin.
    fn strike(&mut self, now: Duration) {
        let (ended, active) = std::mem::take(&mut self.active).into_iter().partition(|(end, _)| *end <= now);
        self.active = active;
        let ended: Vec<(Duration, Fault)> = ended;
        let mut changed = !ended.is_empty();
        for (_, fault) in ended {
            self.end(&fault);
        }
        while let Some(planned) = self.script.pop_front_if(|planned| planned.at <= now) {
            self.begin(planned, now);
            changed = true;
        }
        if changed {
            self.apply_network();
        }
    }

    /// Something goes wrong from now on that is not in the script.
    pub fn inflict(&mut self, fault: Fault, lasts: Duration) {
        let now = self.time.now();
        self.begin(Planned { at: now, lasts, fault }, now);
        self.apply_network();
    }

    fn begin(&mut self, planned: Planned, now: Duration) {
        let Planned { lasts, fault, .. } = planned;
        self.note(format!("{fault:?} for {:.3} s", lasts.as_secs_f64()));
        match &fault {
            Fault::Kill(host) => {
                let node = &mut self.nodes[host.0];
                node.crash(&self.network, false);
                node.down_until = node.down_until.max(now + lasts);
            }
            Fault::PowerCut { host, after } => {
                let node = &mut self.nodes[host.0];
                node.outage = lasts;
                if *after == 0 {
                    node.crash(&self.network, true);
                    node.down_until = node.down_until.max(now + lasts);
                } else {
                    node.disk.fail_after(*after, fs::Fault::PowerCut);
                }
            }
            Fault::Freeze(host) => self.nodes[host.0].freeze(now, now + lasts),
            Fault::Jump { host, by_ns } => self.nodes[host.0].wall.jump(*by_ns),
            Fault::DiskFull(host) => {
                self.nodes[host.0].disk.fill();
                self.nodes[host.0].disk_failed = true;
            }
            Fault::DiskError { host, after } => {
                self.nodes[host.0].disk.fail_after(*after, fs::Fault::Error);
                self.nodes[host.0].disk_failed = true;
            }
            Fault::Cut { .. } | Fault::Split(_) | Fault::Storm(_) => {}
        }
        self.active.push((now + lasts, fault));
    }

    fn end(&self, fault: &Fault) {
        match fault {
            Fault::DiskFull(host) => self.nodes[host.0].disk.raw().free_space(),
            Fault::Cut { .. } | Fault::Split(_) | Fault::Storm(_) => self.note(format!("{fault:?} ends")),
            // These end by themselves, or last.
            Fault::Kill(_)
            | Fault::PowerCut { .. }
            | Fault::Freeze(_)
            | Fault::Jump { .. }
            | Fault::DiskError { .. } => {}
        }
    }

    /// The network is as bad as all faults at work make it.
    fn apply_network(&self) {
        let mut cuts = BTreeSet::new();
        let mut weather = Weather::calm(self.spec.step);
        let hosts = || (0..self.nodes.len()).map(Host);
        for (_, fault) in &self.active {
            match fault {
                Fault::Cut { from, to } => {
                    cuts.insert((*from, *to));
                }
                Fault::Split(some) => {
                    for (from, to) in hosts().flat_map(|from| hosts().map(move |to| (from, to))) {
                        if some.contains(&from) != some.contains(&to) {
                            cuts.insert((from, to));
                        }
                    }
                }
                Fault::Storm(storm) => weather = weather.and(*storm),
                Fault::Kill(_)
                | Fault::PowerCut { .. }
                | Fault::Freeze(_)
                | Fault::Jump { .. }
                | Fault::DiskFull(_)
                | Fault::DiskError { .. } => {}
            }
        }
        cuts.retain(|(from, to)| from != to);
        self.network.set_cuts(cuts);
        self.network.set_weather(weather);
    }
}

impl Drop for World {
    /// Processes go as in a crash: what they wait for will not come.
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.crash(&self.network, false);
        }
    }
}

//! A machine with a process on it: everything the process does is in a runtime of its own, which a crash takes away.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use skywatch_model::WallClock;
use skywatch_rpc::{Router, Transport};
use skywatch_storage::fs::Fs;
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

use crate::{
    Host, SimDisk, SimNetwork, SimTime, SimTransport, SimWall, Trace, disk::ProcessFs, random::next_mixed,
    time::Origin,
};

/// What a process gets from the machine it starts on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The machine's name.
    pub name: String,
    /// Its place on the network.
    pub host: Host,
    /// Its end of the network.
    pub transport: Arc<dyn Transport>,
    /// Its wall clock.
    pub wall: Arc<dyn WallClock>,
    /// Its disk.
    pub fs: Arc<dyn Fs>,
    /// True time, for what is judged and not for what is simulated.
    pub time: SimTime,
    /// The world's record.
    pub trace: Trace,
    /// Another one at each start.
    pub seed: u64,
    /// Why the process ends by itself.
    failed: Arc<Mutex<Option<String>>>,
}

impl Machine {
    /// Ends the process, as an exit would. It is started again soon.
    pub fn end(&self, reason: impl fmt::Display) {
        *self.failed.lock() = Some(reason.to_string());
    }
}

/// What runs on a machine.
#[async_trait]
pub trait Program: Send + Sync {
    /// Starts, from what is on the disk, and tells which calls are answered at which address from now on. Tasks may be
    /// spawned freely. An error ends the process; it is started again soon.
    async fn boot(&self, machine: Machine) -> Result<Vec<(String, Router)>, String>;

    /// The process is gone: what the program kept of it, to be looked at from outside, is to be dropped.
    fn crashed(&self);
}

pub(crate) struct Node {
    pub(crate) name: String,
    host: Host,
    program: Arc<dyn Program>,
    pub(crate) disk: SimDisk,
    pub(crate) wall: SimWall,
    seeds: u64,
    process: Option<Process>,
    /// When a machine that is down starts again.
    pub(crate) down_until: Duration,
    /// How long the machine stays down if its power fails.
    pub(crate) outage: Duration,
    /// A disk that has failed once may have left the process unwilling to write.
    pub(crate) disk_failed: bool,
}

struct Process {
    runtime: Runtime,
    origin: Origin,
    fs: ProcessFs,
    frozen: Option<Frozen>,
    /// Why it did not start.
    failed: Arc<Mutex<Option<String>>>,
}

#[derive(Clone, Copy)]
struct Frozen {
    since: Duration,
    until: Duration,
}

impl Node {
    pub(crate) fn new(
        name: &str,
        host: Host,
        program: Arc<dyn Program>,
        (disk, wall): (SimDisk, SimWall),
        seed: u64,
    ) -> Self {
        Self {
            name: name.to_owned(),
            host,
            program,
            disk,
            wall,
            seeds: seed,
            process: None,
            down_until: Duration::ZERO,
            outage: Duration::from_secs(1),
            disk_failed: false,
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Starts the program, in a task: it may take its time.
    pub(crate) fn boot(&mut self, network: &SimNetwork, time: &SimTime, trace: &Trace) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.unwrap_or_else(|error| panic!("no runtime for {}: {error}", self.name));
        let instant = runtime.block_on(async { Instant::now() });
        let fs = self.disk.open();
        let failed = Arc::new(Mutex::new(None));
        let machine = Machine {
            name: self.name.clone(),
            host: self.host,
            transport: Arc::new(SimTransport::new(network.clone(), self.host)),
            wall: Arc::new(self.wall.clone()),
            fs: Arc::new(fs.clone()),
            time: time.clone(),
            trace: trace.clone(),
            seed: next_mixed(&mut self.seeds),
            failed: Arc::clone(&failed),
        };
        let (program, network, failure) = (Arc::clone(&self.program), network.clone(), Arc::clone(&failed));
        trace.note(time.now(), format!("{} starts", self.name));
        runtime.spawn(async move {
            match program.boot(machine).await {
                Ok(routers) => {
                    routers.into_iter().for_each(|(address, router)| network.listen(&address, router));
                }
                Err(reason) => *failure.lock() = Some(reason),
            }
        });
        let origin = Origin { world: time.now(), instant };
        self.process = Some(Process { runtime, origin, fs, frozen: None, failed });
    }

    /// Takes the process forward to a time.
    pub(crate) fn run_to(&mut self, until: Duration, time: &SimTime) {
        let Some(process) = &mut self.process else { return };
        if process.frozen.is_some_and(|frozen| until < frozen.until) {
            return;
        }
        let Process { runtime, origin, frozen, .. } = process;
        let missed = frozen.take().map(|frozen| time.now().saturating_sub(frozen.since));
        let end = origin.instant_at(until);
        time.enter(*origin);
        runtime.block_on(async {
            if let Some(missed) = missed {
                tokio::time::advance(missed).await;
            }
            tokio::time::sleep_until(end).await;
        });
        time.leave();
    }

    /// Runs something on the node.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(process) = &self.process {
            process.runtime.spawn(task);
        }
    }

    /// The process gets no time until then, and then finds that time has passed.
    pub(crate) fn freeze(&mut self, since: Duration, until: Duration) {
        if let Some(process) = &mut self.process {
            let since = process.frozen.map_or(since, |frozen| frozen.since);
            process.frozen = Some(Frozen { since, until });
        }
    }

    /// Why the process ended by itself, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.process.as_ref().and_then(|process| process.failed.lock().take())
    }

    /// Ends the process, wherever it is. What it wrote stays; if the power fails, only what it synced.
    pub(crate) fn crash(&mut self, network: &SimNetwork, power_fails: bool) {
        if let Some(process) = self.process.take() {
            process.fs.kill();
            let routers = network.hang_up(self.host);
            self.program.crashed();
            drop(routers);
            drop(process.runtime);
        }
        if power_fails || self.disk.raw().power_is_off() {
            self.disk.raw().restart();
        } else {
            self.disk.raw().kill();
        }
    }
}

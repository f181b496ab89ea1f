//! A cluster in memory: nodes, the calls between them, and the disks that outlive them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use skywatch_meta::{Catalogue, Command};
use skywatch_meta_node::{Memory, MetaNode, Outcome, Settings};
use skywatch_model::SystemClock;
use skywatch_rpc::{Call, CallError, Reply, Router, Transport};
use tokio::time::Instant;

/// Who answers at which address, and whom nobody reaches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    routers: BTreeMap<String, Router>,
    /// Hosts that are cut off: calls to and from them wait for ever.
    cut: BTreeSet<String>,
}

/// A host's end of it.
#[derive(Debug)]
struct End {
    host: String,
    wire: Wire,
}

fn host(address: &str) -> &str {
    address.rsplit_once(':').expect("an address has a port").0
}

#[async_trait]
impl Transport for End {
    async fn call(&self, to: &str, call: Call, within: Duration) -> Result<Reply, CallError> {
        let late = || CallError::TimedOut { to: to.to_owned(), within };
        let way = |wire: &Wire| {
            let ends = wire.0.lock();
            let is_cut = ends.cut.contains(&self.host) || ends.cut.contains(host(to));
            (is_cut, ends.routers.get(to).cloned())
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        match way(&self.wire) {
            (true, _) => {
                tokio::time::sleep(within).await;
                Err(late())
            }
            (false, None) => {
                Err(CallError::Unreachable { to: to.to_owned(), reason: "connection refused".into() })
            }
            (false, Some(router)) => {
                let answer = tokio::time::timeout(within, router.answer(call)).await.map_err(|_| late())?;
                // The answer has to come back, too.
                if way(&self.wire).0 {
                    tokio::time::sleep(within).await;
                    return Err(late());
                }
                answer.map_err(|failure| CallError::Failed { to: to.to_owned(), failure })
            }
        }
    }
}

impl Wire {
    pub(crate) fn cut(&self, host: &str) {
        self.0.lock().cut.insert(host.to_owned());
    }

    pub(crate) fn heal(&self) {
        self.0.lock().cut.clear();
    }

    pub(crate) fn end(&self, host: &str) -> Arc<dyn Transport> {
        Arc::new(End { host: host.to_owned(), wire: self.clone() })
    }
}

/// A host with a disk, and the node on it while it runs.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    disk: Memory,
    wire: Wire,
    node: Option<MetaNode>,
    starts: u64,
    change: fn(&mut Settings),
}

impl Host {
    pub(crate) async fn start(wire: &Wire, name: &str, change: fn(&mut Settings)) -> Self {
        let (disk, wire) = (Memory::new(), wire.clone());
        let mut host = Self { name: name.to_owned(), disk, wire, node: None, starts: 0, change };
        host.boot().await;
        host
    }

    pub(crate) async fn boot(&mut self) {
        self.starts += 1;
        let seed = self.starts + self.name.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte));
        let mut settings = Settings::new(self.http(), format!("{}:8089", self.name), seed);
        (self.change)(&mut settings);
        let transport = self.wire.end(&self.name);
        let node =
            MetaNode::start(settings, transport, Arc::new(SystemClock), &self.disk).await.expect("it starts");
        let routers = &mut self.wire.0.lock().routers;
        routers.insert(self.http(), node.router_data());
        routers.insert(format!("{}:8089", self.name), node.router_raft());
        self.node = Some(node);
    }

    /// The disk; nothing else has it open while the node does not run.
    pub(crate) const fn disk(&self) -> &Memory {
        &self.disk
    }

    /// Gives it another disk.
    pub(crate) fn refit(&mut self, disk: Memory) {
        self.disk = disk;
    }

    /// Ends the node; its disk stays.
    pub(crate) async fn stop(&mut self) {
        self.wire.0.lock().routers.retain(|address, _| host(address) != self.name);
        self.node.take().expect("it runs").stop().await;
    }

    pub(crate) fn http(&self) -> String {
        format!("{}:8091", self.name)
    }

    pub(crate) fn node(&self) -> &MetaNode {
        self.node.as_ref().expect("it runs")
    }

    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.node().catalogue().1
    }

    pub(crate) fn leads(&self) -> bool {
        self.node().status().leader == format!("{}:8089", self.name)
    }
}

/// Hosts `m1`, `m2`... in one cluster, the first of which made it.
pub(crate) async fn cluster(wire: &Wire, count: usize, change: fn(&mut Settings)) -> Vec<Host> {
    let mut hosts = Vec::new();
    for number in 1..=count {
        hosts.push(Host::start(wire, &format!("m{number}"), change).await);
    }
    for host in &hosts {
        hosts[0].node().join(&host.http()).await.expect("it joins");
    }
    alike(&hosts.iter().collect::<Vec<_>>()).await;
    hosts
}

/// Waits until something is so, for a while of the paused clock.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until all have the same catalogue, to the byte.
pub(crate) async fn alike(hosts: &[&Host]) {
    until("equal catalogues", || {
        let first = hosts[0].catalogue().to_bytes();
        hosts
            .iter()
            .all(|host| host.catalogue().to_bytes() == first && !host.node().status().leader.is_empty())
    })
    .await;
}

pub(crate) fn create(name: &str) -> Command {
    Command::CreateDatabase { name: name.into(), policy: None }
}

pub(crate) async fn execute(host: &Host, command: Command) -> Outcome {
    host.node().execute(command).await.expect("somebody leads")
}

pub(crate) fn leader(hosts: &[Host]) -> usize {
    hosts.iter().position(|host| host.node.is_some() && host.leads()).expect("a leader")
}

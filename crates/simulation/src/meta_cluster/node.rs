//! A meta node as a program, and whoever follows the catalogue and contends for a lease.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use skywatch_meta::{Command, NodeId};
use skywatch_meta_node::{MetaNode, Settings};
use skywatch_replication::{Catalogues, Follower, LeaseHolder};
use skywatch_rpc::Router;

use super::{http_address, raft_address};
use crate::{Machine, Program, data_node::watch_lease, invariants::leases::Holdings, raft_disk::RaftDisk};

/// How often a meta node looks whether it has to end, and whether the cluster is complete.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A meta node.
#[derive(Debug)]
pub struct MetaProgram {
    number: usize,
    /// Meta nodes there are to be. The first one takes in the others.
    members: usize,
    snapshot_after: u64,
    disk: RaftDisk,
    /// What is still to be done once the cluster is complete.
    commands: Arc<Mutex<Vec<Command>>>,
    running: Mutex<Option<MetaNode>>,
}

impl MetaProgram {
    /// One of so many, on its disk.
    pub fn new(number: usize, members: usize, snapshot_after: u64, disk: RaftDisk) -> Arc<Self> {
        let commands = Arc::default();
        Arc::new(Self { number, members, snapshot_after, disk, commands, running: Mutex::default() })
    }

    /// Which also has these commands carried out, in order, once the cluster is complete.
    #[must_use]
    pub fn then(self: Arc<Self>, commands: Vec<Command>) -> Arc<Self> {
        *self.commands.lock() = commands;
        self
    }

    /// The node, while it runs.
    pub fn running(&self) -> Option<MetaNode> {
        self.running.lock().clone()
    }
}

#[async_trait]
impl Program for MetaProgram {
    async fn boot(&self, machine: Machine) -> Result<Vec<(String, Router)>, String> {
        let (http, raft) = (http_address(self.number), raft_address(self.number));
        let settings = Settings {
            snapshot_after: self.snapshot_after,
            ..Settings::new(http.clone(), raft.clone(), machine.seed)
        };
        let (transport, wall) = (Arc::clone(&machine.transport), Arc::clone(&machine.wall));
        let node = MetaNode::start(settings, transport, wall, &self.disk.of(&machine)).await;
        let node = node.map_err(|error| error.to_string())?;
        *self.running.lock() = Some(node.clone());
        let routers = vec![(http, node.router_data()), (raft, node.router_raft())];
        let commands = Arc::clone(&self.commands);
        tokio::spawn(look_after(node, machine, (self.number == 1).then_some(self.members), commands));
        Ok(routers)
    }

    fn crashed(&self) {
        self.running.lock().take();
    }
}

/// Does what the process around a node does: ends when the node cannot go on. And what an operator does: completes the
/// cluster.
async fn look_after(
    node: MetaNode,
    machine: Machine,
    members: Option<usize>,
    commands: Arc<Mutex<Vec<Command>>>,
) {
    loop {
        if let Some(reason) = node.failure() {
            machine.end(reason);
            return;
        }
        let there = node.status().peers.len();
        if let Some(members) = members.filter(|members| there < *members) {
            for number in 1..=members {
                if let Err(error) = node.join(&http_address(number)).await {
                    machine.trace.note(machine.time.now(), format!("m{number} is not taken in yet: {error}"));
                }
            }
        }
        let next = commands.lock().first().cloned();
        match next {
            Some(command) if members.is_none_or(|members| there >= members) => {
                if node.execute(command).await.is_ok_and(|outcome| outcome.result.is_ok()) {
                    commands.lock().remove(0);
                }
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Follows the catalogue and contends for a lease, as data nodes do.
#[derive(Debug)]
pub struct FollowerProgram {
    me: NodeId,
    meta_addrs: Vec<String>,
    leases: Holdings,
    running: Mutex<Option<Arc<Follower>>>,
}

impl FollowerProgram {
    /// With this number.
    pub fn new(me: NodeId, meta_addrs: Vec<String>, leases: Holdings) -> Arc<Self> {
        Arc::new(Self { me, meta_addrs, leases, running: Mutex::default() })
    }

    /// The follower, while it runs.
    pub fn running(&self) -> Option<Arc<Follower>> {
        self.running.lock().clone()
    }
}

#[async_trait]
impl Program for FollowerProgram {
    async fn boot(&self, machine: Machine) -> Result<Vec<(String, Router)>, String> {
        let (transport, fs) = (Arc::clone(&machine.transport), Arc::clone(&machine.fs));
        let follower = Follower::open(transport, fs, Path::new("meta"), self.meta_addrs.clone());
        let follower = follower.map_err(|error| error.to_string())?;
        *self.running.lock() = Some(Arc::clone(&follower));
        let holder = LeaseHolder::new("test", self.me, Arc::clone(&follower) as Arc<dyn Catalogues>);
        let keeping = Arc::clone(&holder);
        tokio::spawn(async move { follower.follow().await });
        tokio::spawn(async move { keeping.keep().await });
        tokio::spawn(watch_lease(machine, self.leases.clone(), holder));
        Ok(Vec::new())
    }

    fn crashed(&self) {
        self.running.lock().take();
    }
}

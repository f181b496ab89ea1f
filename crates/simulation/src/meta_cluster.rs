//! Three meta nodes, whoever changes the catalogue, and whoever follows it.

mod client;
mod node;

use std::{sync::Arc, time::Duration};

use skywatch_meta::NodeId;
use skywatch_replication::Catalogues;

use crate::{
    Host, Menu, Plan, Planned, Program, Scenario, Spec, Trace, Violation, World, draw,
    invariants::{
        history::Histories,
        leases::{self, Holdings},
    },
    raft_disk::RaftDisk,
    stream,
};
use client::Administrators;
pub use node::{FollowerProgram, MetaProgram};

const MEMBERS: usize = 3;
const FOLLOWERS: usize = 2;
/// Until then the cluster forms undisturbed.
const PEACE: Duration = Duration::from_secs(8);
/// How long the cluster may take to be whole again once all faults have ended.
const HEALING_LIMIT: Duration = Duration::from_secs(30);

/// Where data nodes and operators reach a meta node.
pub fn http_address(number: usize) -> String {
    format!("m{number}:8091")
}

/// Where other meta nodes reach it.
pub fn raft_address(number: usize) -> String {
    format!("m{number}:8089")
}

/// See the module's header.
#[derive(Debug, Clone)]
pub struct MetaCluster {
    /// As its test is called.
    pub name: &'static str,
    /// How long things go wrong.
    pub length: Duration,
    /// Whether disks fail in other ways than by losing power.
    pub disks_fail: bool,
    /// A planted bug: what should be synced is not.
    pub forgets_syncs: bool,
}

impl MetaCluster {
    /// Three nodes for twenty seconds.
    pub const fn new(name: &'static str) -> Self {
        Self { name, length: Duration::from_secs(20), disks_fail: false, forgets_syncs: false }
    }
}

struct Cluster {
    world: World,
    metas: Vec<Arc<MetaProgram>>,
    followers: Vec<Arc<FollowerProgram>>,
    administrators: Arc<Administrators>,
    leases: Holdings,
    histories: Histories,
}

impl Scenario for MetaCluster {
    fn name(&self) -> &'static str {
        self.name
    }

    fn script(&self, seed: u64) -> Vec<Planned> {
        let menu = Menu {
            machines: (0..MEMBERS + FOLLOWERS).map(Host).collect(),
            hosts: (0..=MEMBERS + FOLLOWERS).map(Host).collect(),
            length: self.length,
            faults_max: 20,
            lasts_max: Duration::from_secs(6),
            jump_ms_max: 100_000,
            disks_fail: self.disks_fail,
        };
        let mut script = draw(seed, &menu);
        script.iter_mut().for_each(|planned| planned.at += PEACE);
        script
    }

    fn run(&self, plan: &Plan, trace: &Trace) -> Result<(), Violation> {
        let mut cluster = self.build(plan, trace);
        let Cluster { world, metas, followers, administrators, histories, .. } = &mut cluster;
        world.run_until("the cluster forms", PEACE, |_| is_whole(metas))?;
        let mut known = Vec::new();
        let mut look = |_: &World| {
            administrators.seen()?;
            look_at(metas, followers, &mut known, histories)
        };
        world.run_while(PEACE + self.length, &mut look)?;
        world.heal();
        let healed = world.time().now();
        world.run_while(healed + Duration::from_secs(3), &mut look)?;
        world.run_until("the cluster heals", HEALING_LIMIT, |_| is_whole(metas))?;
        look_at(metas, followers, &mut Vec::new(), histories)?;
        cluster.judge()
    }
}

impl MetaCluster {
    fn build(&self, plan: &Plan, trace: &Trace) -> Cluster {
        let mut world = World::new(Spec::new(plan.seed, plan.script.clone(), trace.clone()));
        let mut random = stream(plan.seed, "habits");
        let snapshot_after = *random.pick(&[5, 20, 1000]);
        let metas: Vec<Arc<MetaProgram>> = (1..=MEMBERS)
            .map(|number| {
                let disk = RaftDisk::new(self.forgets_syncs);
                let program = MetaProgram::new(number, MEMBERS, snapshot_after, disk);
                let addresses = [&*http_address(number), &*raft_address(number)];
                world.add(&format!("m{number}"), &addresses, Arc::clone(&program) as Arc<dyn Program>);
                program
            })
            .collect();
        let leases = Holdings::default();
        let meta_addrs: Vec<String> = (1..=MEMBERS).map(http_address).collect();
        let followers: Vec<Arc<FollowerProgram>> = (1..=FOLLOWERS)
            .map(|number| {
                let id = NodeId((MEMBERS + number) as u64);
                let program = FollowerProgram::new(id, meta_addrs.clone(), leases.clone());
                world.add(&format!("f{number}"), &[], Arc::clone(&program) as Arc<dyn Program>);
                program
            })
            .collect();
        let administrators = Administrators::new(MEMBERS, random.between(1, 4), PEACE, PEACE + self.length);
        world.add("administrators", &[], Arc::clone(&administrators) as Arc<dyn Program>);
        Cluster { world, metas, followers, administrators, leases, histories: Histories::default() }
    }
}

/// Catalogues as they are now, of meta nodes and those that follow them. `known` are the indexes at which each has been
/// looked at before.
fn look_at(
    metas: &[Arc<MetaProgram>],
    followers: &[Arc<FollowerProgram>],
    known: &mut Vec<u64>,
    histories: &Histories,
) -> Result<(), Violation> {
    let shown = metas.iter().map(|program| program.running().map(|node| node.catalogue()));
    let copied = followers
        .iter()
        .map(|program| program.running().map(|follower| (follower.index(), follower.current())));
    known.resize(metas.len() + followers.len(), u64::MAX);
    for (number, (shown, known)) in shown.chain(copied).zip(known).enumerate() {
        let Some((index, catalogue)) = shown.filter(|(index, _)| index != known) else { continue };
        *known = index;
        let bytes = serde_json::to_vec(&*catalogue)
            .map_err(|error| Violation::new("a catalogue can be written down", error))?;
        histories.seen(&format!("catalogue {number}"), index, &bytes)?;
    }
    Ok(())
}

/// All nodes are up, know the same leader, and have seen as many commands.
pub(crate) fn is_whole(metas: &[Arc<MetaProgram>]) -> Result<(), String> {
    let mut statuses = Vec::new();
    for (number, program) in (1..).zip(metas) {
        statuses.push(program.running().ok_or_else(|| format!("m{number} is not up"))?.status());
    }
    let described = || {
        let each = statuses
            .iter()
            .map(|it| format!("{} follows {:?}, {} commands", it.raft_addr, it.leader, it.index));
        each.collect::<Vec<_>>().join("; ")
    };
    let first = &statuses[0];
    let agree = statuses.iter().all(|it| it.leader == first.leader && it.index == first.index);
    let complete = statuses.iter().all(|it| it.peers.len() == metas.len());
    if agree && complete && !first.leader.is_empty() { Ok(()) } else { Err(described()) }
}

impl Cluster {
    fn judge(&self) -> Result<(), Violation> {
        leases::check(&self.leases.all())?;
        for (number, program) in (1..).zip(&self.metas) {
            let Some(node) = program.running() else { continue };
            let (index, catalogue) = node.catalogue();
            let acknowledged = self.administrators.acknowledged();
            let missing = acknowledged.iter().find(|name| catalogue.database(name).is_none());
            if let Some(name) = missing {
                let details = format!("m{number} has seen {index} commands and lacks database {name}");
                return Err(
                    Violation::new("acknowledged is there", details).about([format!("database {name} ")])
                );
            }
        }
        Ok(())
    }
}

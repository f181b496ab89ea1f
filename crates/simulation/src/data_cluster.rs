//! Data nodes, a catalogue and clients: everything fails for a while, then heals, then it is looked at what is there.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use skywatch_meta::{Catalogue, Command, NodeId, RetentionPolicy, RetentionPolicySpec, Shard};
use skywatch_model::series::fnv1a64;
use skywatch_replication::{
    ForgetSettings, Report,
    calls::{APPLY, ApplyAnswer, ApplyOutcome, split},
    log::MemoryLog,
};
use skywatch_rpc::{Call, Reply};
use skywatch_storage::{ShardDigest, ShardId};

use crate::{
    DiskPlan, Fault, Host, Menu, Plan, Planned, Program, Scenario, SimWall, Spec, Trace, Violation, World,
    catalogue::{CatalogueProgram, CatalogueService},
    client::{Clients, Habits, WEEK_NS},
    data_node::{DATABASE, DataNode, DataProgram, FRESHNESS, LOG, Witness, read_all, tcp_address},
    draw,
    invariants::{durability, leases, replicas},
    ledger::{Action, Operation},
    log_weather::{LogWeather, new_log},
    meta_cluster::{self, MetaProgram, http_address, raft_address},
    raft_disk::RaftDisk,
    stream,
};

const META_ADDRESS: &str = "meta:8091";
/// How long meta nodes have to form a cluster before anything else happens.
const PEACE: Duration = Duration::from_secs(8);
/// How much older than it may be an answer is taken to be, for times that pass on different machines.
const LAG_SLACK: Duration = Duration::from_millis(50);
/// How long the cluster may take to be whole again once all faults have ended.
const HEALING_LIMIT: Duration = Duration::from_secs(60);

/// How long until the owners of each shard hold the same, what was never acknowledged included. A node whose clock is slow
/// takes what it lacks for something that is still on its way, until its clock says otherwise.
const EVENING_LIMIT: Duration = Duration::from_secs(240);

/// How long deletes are remembered at least, where they are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3);

/// A mistake in the software, made on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Planted {
    /// None.
    #[default]
    Nothing,
    /// One delivery of hints is taken for delivered without having been.
    SkippedHints,
    /// The queues of hints are not synced.
    UnsyncedHints,
    /// Nobody is noted to be behind.
    NoMarks,
    /// It is noted that the log is applied before it is.
    EarlyPositions,
    /// Nodes take themselves for assured of being in step when nobody has said so.
    InventedAssurances,
    /// Deletes are forgotten, and what is older refused, without asking anybody.
    ForgottenUnasked,
}

/// See the module's header.
#[derive(Debug, Clone)]
pub struct DataCluster {
    /// As its test is called.
    pub name: &'static str,
    /// Meta nodes on Raft; with none the catalogue is one machine that forgets nothing.
    pub metas: usize,
    /// Data nodes.
    pub nodes: usize,
    /// Owners of each shard.
    pub replicas: u32,
    /// Whether the catalogue is reached by whoever wants to, as long as it is there. Else a node can be cut off from it
    /// while others are not.
    pub sheltered: bool,
    /// Whether the shard groups are there from the beginning. Queries of other nodes see one that is made later a moment
    /// later.
    pub groups_exist: bool,
    /// Whether the catalogue is away at times.
    pub catalogue_dies: bool,
    /// Whether besides one data node after the other is cut off from everybody but clients.
    pub cuts_off: bool,
    /// Whether disks fail in other ways than by losing power.
    pub disks_fail: bool,
    /// How long things go wrong.
    pub length: Duration,
    /// Partitions of the log that writes go through; none for a cluster whose owners are written to.
    pub partitions: u32,
    /// Whether that log gives up what some node has not read yet.
    pub log_expires: bool,
    /// Whether deletes are forgotten once all owners have carried them out, seconds later.
    pub forgets: bool,
    /// What is wrong with the software.
    pub planted: Planted,
}

impl DataCluster {
    /// Two or three nodes, two owners, twenty seconds.
    pub const fn new(name: &'static str, nodes: usize) -> Self {
        Self {
            name,
            metas: 0,
            nodes,
            replicas: 2,
            sheltered: true,
            groups_exist: true,
            catalogue_dies: false,
            cuts_off: false,
            disks_fail: false,
            length: Duration::from_secs(20),
            partitions: 0,
            log_expires: false,
            forgets: false,
            planted: Planted::Nothing,
        }
    }

    fn forget(&self) -> ForgetSettings {
        let unasked = self.planted == Planted::ForgottenUnasked;
        let after = match self.forgets {
            // What is sent again comes too late then.
            true if unasked => FORGET_AFTER / 10,
            true => FORGET_AFTER,
            false => Duration::ZERO,
        };
        ForgetSettings { after, at_least: 1, unasked }
    }

    /// Each data node in its turn hears nobody but clients, and is heard by nobody else.
    fn cut_off(&self) -> Vec<Planned> {
        let everybody = || self.keeper_hosts().chain(self.data_hosts());
        let turn = self.length / self.nodes as u32;
        let cut =
            |(number, alone): (usize, Host)| {
                let both = move |other: Host| [(alone, other), (other, alone)];
                everybody().filter(move |other| *other != alone).flat_map(both).map(move |(from, to)| {
                    Planned { at: turn * number as u32, lasts: turn * 3 / 4, fault: Fault::Cut { from, to } }
                })
            };
        self.data_hosts().enumerate().flat_map(cut).collect()
    }

    /// Machines that keep the catalogue; they have the first numbers, as hosts and as nodes.
    fn keepers(&self) -> usize {
        self.metas.max(1)
    }

    fn keeper_hosts(&self) -> impl Iterator<Item = Host> + use<> {
        (0..self.keepers()).map(Host)
    }

    fn data_hosts(&self) -> impl Iterator<Item = Host> + use<> {
        (self.keepers()..self.keepers() + self.nodes).map(Host)
    }

    fn clients_host(&self) -> Host {
        Host(self.keepers() + self.nodes)
    }

    fn node_id(&self, number: usize) -> NodeId {
        NodeId((self.keepers() + number) as u64)
    }

    /// When things begin to happen.
    fn begins(&self) -> Duration {
        if self.metas == 0 { Duration::ZERO } else { PEACE }
    }

    fn commands(&self) -> Vec<Command> {
        let name = DATABASE.to_owned();
        let policy = RetentionPolicySpec {
            name: "autogen".to_owned(),
            duration_ns: 0,
            shard_group_duration_ns: 0,
            replica_n: Some(self.replicas),
        };
        let data = (1..=self.nodes).map(|number| Command::CreateDataNode {
            tcp_addr: tcp_address(number),
            http_addr: crate::data_node::client_address(number),
            https: false,
            labels: BTreeMap::new(),
        });
        let mut commands: Vec<Command> = data.collect();
        commands.extend(self.log_commands());
        let retention_policy = policy.name.clone();
        commands.push(Command::CreateDatabase { name: name.clone(), policy: Some(policy) });
        let weeks = if self.groups_exist { [0, 1].as_slice() } else { &[] };
        commands.extend(weeks.iter().map(|week| {
            let time_ns = SimWall::true_ns(Duration::ZERO) + week * WEEK_NS;
            let (database, retention_policy) = (name.clone(), retention_policy.clone());
            if self.partitions > 0 {
                let log_starts = vec![0; self.partitions as usize];
                Command::CreateLoggedShardGroup { database, retention_policy, time_ns, log_starts }
            } else {
                Command::CreateShardGroup { database, retention_policy, time_ns, nodes: Vec::new() }
            }
        }));
        commands
    }

    /// What lets a cluster write through a log.
    fn log_commands(&self) -> Vec<Command> {
        if self.partitions == 0 {
            return Vec::new();
        }
        let everybody = (1..=self.keepers() + self.nodes).map(|node| NodeId(node as u64));
        let level = skywatch_meta::FEATURE_LEVEL;
        let mut commands: Vec<Command> =
            everybody.map(|node| Command::AnnounceFeatureLevel { node, level }).collect();
        commands.push(Command::RaiseFeatureLevel { level });
        commands.extend((1..=self.nodes).map(|number| Command::AnnounceWriteLog {
            node: self.node_id(number),
            log: Some(LOG.to_owned()),
        }));
        commands
    }

    pub(crate) fn build(&self, plan: &Plan, trace: &Trace) -> Cluster {
        let mut spec = Spec::new(plan.seed, plan.script.clone(), trace.clone());
        if self.sheltered {
            spec.sheltered.extend(self.keeper_hosts());
        }
        spec.disks =
            DiskPlan { forget_syncs_below: (self.planted == Planted::UnsyncedHints).then_some("hh") };
        let mut world = World::new(spec);
        let keepers = self.add_keepers(&mut world);
        let witness = Witness::default();
        let log = (self.partitions > 0).then(|| new_log(self.partitions));
        let nodes: Vec<Arc<DataProgram>> = (1..=self.nodes)
            .map(|number| {
                let metas = keepers.addresses();
                let program = DataProgram::new(self.node_id(number), number, metas, witness.clone())
                    .with_log(log.as_ref().map(MemoryLog::link), self.planted == Planted::EarlyPositions)
                    .forgetting(self.forget());
                let program = Arc::new(program);
                let addresses = [tcp_address(number), crate::data_node::client_address(number)];
                let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                world.add(&format!("d{number}"), &addresses, Arc::clone(&program) as Arc<dyn Program>);
                program
            })
            .collect();
        let mut random = stream(plan.seed, "habits");
        let habits = Habits {
            nodes: self.nodes,
            clients: random.between(1, 6),
            from: self.begins(),
            until: self.begins() + self.length,
            series: random.between(1, 8),
            hot_times: random.between(0, 8),
            judge_reads: self.groups_exist,
            lag_max: if self.partitions > 0 { FRESHNESS + LAG_SLACK } else { Duration::ZERO },
        };
        let clients = Clients::new(habits, witness.ledger.clone());
        world.add("clients", &[], Arc::clone(&clients) as Arc<dyn Program>);
        if let Some(log) = log {
            let (from, until) = (self.begins(), self.begins() + self.length);
            let weather = LogWeather { log, nodes: nodes.clone(), expires: self.log_expires, from, until };
            world.add("log", &[], Arc::new(weather));
        }
        if self.planted == Planted::SkippedHints {
            world.network().intercept(skip_hints_once());
        }
        if self.planted == Planted::InventedAssurances {
            world.network().intercept(invent_assurances());
        }
        let first_id = self.node_id(1);
        let has_groups = self.groups_exist;
        Cluster { world, keepers, nodes, first_id, has_groups, clients, witness }
    }

    fn add_keepers(&self, world: &mut World) -> Keepers {
        if self.metas == 0 {
            let http_addr = META_ADDRESS.to_owned();
            let meta = Command::CreateMetaNode { http_addr, raft_addr: "meta:8089".to_owned() };
            let mut commands = vec![Command::NameCluster { id: 1 }, meta];
            commands.extend(self.commands());
            let service = CatalogueService::new(META_ADDRESS, &commands, self.planted == Planted::NoMarks);
            world.add("meta", &[META_ADDRESS], Arc::new(CatalogueProgram(Arc::clone(&service))));
            return Keepers::One(service);
        }
        let add = |number| {
            let commands = if number == 1 { self.commands() } else { Vec::new() };
            let program = MetaProgram::new(number, self.metas, 50, RaftDisk::default()).then(commands);
            let addresses = [&*http_address(number), &*raft_address(number)];
            world.add(&format!("m{number}"), &addresses, Arc::clone(&program) as Arc<dyn Program>);
            program
        };
        Keepers::Raft((1..=self.metas).map(add).collect())
    }
}

/// Who keeps the catalogue.
pub(crate) enum Keepers {
    One(Arc<CatalogueService>),
    Raft(Vec<Arc<MetaProgram>>),
}

impl Keepers {
    fn addresses(&self) -> Vec<String> {
        match self {
            Self::One(_) => vec![META_ADDRESS.to_owned()],
            Self::Raft(metas) => (1..=metas.len()).map(http_address).collect(),
        }
    }

    /// Raft address of the meta node that leads.
    pub(crate) fn leader(&self) -> Option<String> {
        let Self::Raft(metas) = self else { return None };
        metas.first()?.running().map(|node| node.status().leader)
    }

    /// The catalogue, once all who keep it agree.
    fn current(&self) -> Result<Catalogue, String> {
        match self {
            Self::One(service) => Ok(service.current()),
            Self::Raft(metas) => {
                meta_cluster::is_whole(metas)?;
                let node = metas.first().and_then(|program| program.running());
                let (_, catalogue) = node.ok_or("m1 is not up")?.catalogue();
                Ok((*catalogue).clone())
            }
        }
    }
}

/// Answers the first delivery of several operations, which only queues of hints make, as if it had arrived.
fn skip_hints_once() -> crate::Interceptor {
    let skipped = AtomicBool::new(false);
    Arc::new(move |_: &str, call: &Call| {
        let count = (call.method == APPLY).then(|| split(&call.body).map_or(0, |all| all.len()))?;
        if count < 2 || skipped.swap(true, Ordering::Relaxed) {
            return None;
        }
        let outcomes = (0..count).map(|_| ApplyOutcome::Stored(Report::default())).collect();
        let head = serde_json::to_vec(&ApplyAnswer { outcomes }).ok()?;
        Some(Reply { head: head.into(), body: Bytes::new() })
    })
}

/// Answers every seventh question for an assurance, whether the one that is asked can be reached or not: often enough that
/// nobody is ever without one, and seldom enough that nearly all are given by somebody.
fn invent_assurances() -> crate::Interceptor {
    let asked = AtomicU64::new(0);
    Arc::new(move |_: &str, call: &Call| {
        let is_question =
            call.method == "replication.clock" && call.head.windows(6).any(|part| part == b"\"node\"");
        if !is_question || !asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(7) {
            return None;
        }
        Some(Reply { head: Bytes::from_static(br#"{"version":1,"assured":true}"#), body: Bytes::new() })
    })
}

/// A cluster that runs.
pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) keepers: Keepers,
    nodes: Vec<Arc<DataProgram>>,
    /// The id of the first data node.
    first_id: NodeId,
    /// Whether shard groups are there from the beginning.
    has_groups: bool,
    clients: Arc<Clients>,
    pub(crate) witness: Witness,
}

impl Scenario for DataCluster {
    fn name(&self) -> &'static str {
        self.name
    }

    fn script(&self, seed: u64) -> Vec<Planned> {
        let mut hosts: Vec<Host> = self.data_hosts().chain([self.clients_host()]).collect();
        let mut machines: Vec<Host> = self.data_hosts().collect();
        if !self.sheltered {
            hosts.extend(self.keeper_hosts());
        }
        if self.catalogue_dies && self.metas > 0 {
            machines.extend(self.keeper_hosts());
        }
        let menu = Menu {
            machines,
            hosts,
            length: self.length,
            faults_max: 16,
            lasts_max: Duration::from_secs(6),
            jump_ms_max: 40_000,
            disks_fail: self.disks_fail,
        };
        let mut script = draw(seed, &menu);
        if self.catalogue_dies {
            let mut random = stream(seed, "catalogue");
            for _ in 0..random.between(0, 2) {
                let at = Duration::from_millis(random.between(0, 15_000));
                let lasts = Duration::from_millis(random.between(100, 8_000));
                script.extend(self.keeper_hosts().map(|host| Planned {
                    at,
                    lasts,
                    fault: Fault::Kill(host),
                }));
            }
            script.sort_by_key(|planned| planned.at);
        }
        if self.cuts_off {
            script.extend(self.cut_off());
            script.sort_by_key(|planned| planned.at);
        }
        script.iter_mut().for_each(|planned| planned.at += self.begins());
        script
    }

    fn run(&self, plan: &Plan, trace: &Trace) -> Result<(), Violation> {
        let mut cluster = self.build(plan, trace);
        let clients = Arc::clone(&cluster.clients);
        if self.metas > 0 {
            cluster.form()?;
        }
        cluster.world.run_while(self.begins() + self.length, |_| clients.seen())?;
        cluster.heal_and_judge()
    }
}

/// Everybody is up, nobody is behind, no hint waits.
fn is_whole(catalogue: &Catalogue, nodes: &[Arc<DataProgram>]) -> Result<(), String> {
    for (number, program) in (1..).zip(nodes) {
        let node = program.running().ok_or_else(|| format!("d{number} is not up"))?;
        for (destination, queue) in node.member.hints().queues() {
            if !queue.is_empty() || queue.has_gaps() {
                return Err(format!("d{number} has for node {}: {:?}", destination.0, queue.stats()));
            }
        }
        if let Some(log) = node.member.log() {
            let lag = log.lag();
            if !lag.partitions.iter().all(|it| it.fresh && it.lag == Some(0)) {
                return Err(format!("d{number} has not applied all of the log: {lag:?}"));
            }
            let doubted = node.entropy.doubts().all();
            if !doubted.is_empty() {
                return Err(format!("d{number} is in doubt about {doubted:?}"));
            }
        }
    }
    match catalogue.behind() {
        [] => Ok(()),
        behind => Err(format!("{behind:?}")),
    }
}

/// The owners of every shard have the same digest of it: cells, versions and deletes.
fn are_equal(catalogue: &Catalogue, nodes: &[Arc<DataProgram>], first_id: NodeId) -> Result<(), String> {
    for shard in catalogue.live_shards() {
        let mut digests = Vec::new();
        for owner in &shard.owners {
            let program = nodes.get((owner.0 - first_id.0) as usize).and_then(|program| program.running());
            let node = program.ok_or_else(|| format!("node {} is not up", owner.0))?;
            let digest = match node.member.store().shard(ShardId(shard.id)) {
                Some(held) => held.digest().map_err(|error| error.to_string())?,
                None => ShardDigest::default(),
            };
            let told = format!("node {}: {:?}, {:?}", owner.0, node.entropy.stats(), node.entropy.status());
            digests.push((told, digest));
        }
        if digests.iter().any(|(_, digest)| *digest != digests[0].1) {
            return Err(format!("shard {}: {digests:#?}", shard.id));
        }
    }
    Ok(())
}

impl Cluster {
    /// Waits until meta nodes have done what they are to do first.
    pub(crate) fn form(&mut self) -> Result<(), Violation> {
        let Self { world, keepers, has_groups, .. } = self;
        world.run_until("the cluster forms", PEACE, |_| match keepers.current()?.live_shards().count() {
            0 if *has_groups => Err("no shards".to_owned()),
            _ => Ok(()),
        })
    }

    /// Ends all faults, waits until everybody has everything, and looks at what is there.
    pub(crate) fn heal_and_judge(&mut self) -> Result<(), Violation> {
        let Self { world, keepers, nodes, first_id, .. } = self;
        world.heal();
        world.run_until("the cluster heals", HEALING_LIMIT, |_| is_whole(&keepers.current()?, nodes))?;
        world.run_until("replicas become equal", EVENING_LIMIT, |_| {
            are_equal(&keepers.current()?, nodes, *first_id)
        })?;
        self.judge()
    }

    fn judge(&self) -> Result<(), Violation> {
        self.clients.seen()?;
        leases::check(&self.witness.leases.all())?;
        let operations = self.witness.ledger.operations();
        let catalogue =
            self.keepers.current().map_err(|yet| Violation::new("meta nodes agree in the end", yet))?;
        let groups = catalogue.databases().iter().flat_map(|database| &database.retention_policies);
        for group in groups.flat_map(RetentionPolicy::live_shard_groups) {
            for shard in &group.shards {
                let belongs = |(series, time): &(String, i64)| {
                    group.contains(*time) && group.shard_for(fnv1a64(series.as_bytes())).id == shard.id
                };
                self.judge_shard(shard, &restrict(&operations, belongs))?;
            }
        }
        Ok(())
    }

    fn judge_shard(&self, shard: &Shard, operations: &[Operation]) -> Result<(), Violation> {
        let mut holdings = Vec::new();
        for owner in &shard.owners {
            let node = self.node(*owner)?;
            let place = format!("node {} in shard {}", owner.0, shard.id);
            let found = read_all(node.member.store(), Some(shard.id))
                .map_err(|error| Violation::new("shards can be read", format!("{place}: {error}")))?;
            durability::check(operations, Duration::MAX, &found, &place)?;
            holdings.push((place, found));
        }
        replicas::check(&format!("shard {}", shard.id), &holdings)
    }

    fn node(&self, id: NodeId) -> Result<Arc<DataNode>, Violation> {
        let program = self.nodes.get((id.0 - self.first_id.0) as usize);
        let node = program.and_then(|program| program.running());
        node.ok_or_else(|| Violation::new("the cluster heals", format!("node {} is not up", id.0)))
    }
}

/// Operations as far as they concern some points.
fn restrict(operations: &[Operation], belongs: impl Fn(&(String, i64)) -> bool) -> Vec<Operation> {
    let restricted = operations.iter().cloned().map(|mut operation| {
        if let Action::Write(points) = &mut operation.action {
            points.retain(&belongs);
        }
        operation
    });
    restricted.collect()
}

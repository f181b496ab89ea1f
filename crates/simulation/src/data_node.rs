//! A data node, put together from storage and replication as the binary does it, and what clients ask it for.

mod service;
mod upkeep;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use skywatch_meta::NodeId;
use skywatch_model::{Clock, Column, TimeRange, Values};
use skywatch_replication::{
    Catalogues, Entropy, EntropySettings, Follower, ForgetSettings, LeaseHolder, Member, MemberSettings,
    NoLimits, Parts,
    hints::HintSettings,
    log::{LogPath, LogSettings, MemoryLog},
};
use skywatch_rpc::Router;
use skywatch_storage::{
    Consumer, MemoryBudget, Order, ReadError, ScanRequest, Shard, Store, StoreOptions, TagPredicate,
    VersionPolicy,
};

pub use service::{DELETE, DeleteQuestion, READ, ReadAnswer, WRITE, WriteQuestion, Written};
pub(crate) use upkeep::watch_lease;

use crate::{
    Machine, Program,
    invariants::{durability::Found, leases::Holdings},
    ledger::Ledger,
};

/// The database that everything is in.
pub const DATABASE: &str = "db";
/// The measurement that everything is in.
pub const MEASUREMENT: &str = "m";
/// Fields of every point.
pub const FIELDS: [&str; 2] = ["a", "b"];
/// Tells series apart.
pub const TAG: &str = "host";
/// The lease that nodes contend for.
pub const LEASE: &str = "test";

/// The name of the log that writes go through, where they do.
pub const LOG: &str = "points";
/// How old an answer may be that is read from such a cluster.
pub const FRESHNESS: Duration = Duration::from_secs(1);

/// Where a data node is reached by other nodes.
pub fn tcp_address(number: usize) -> String {
    format!("d{number}:8088")
}

/// Where a data node is reached by clients.
pub fn client_address(number: usize) -> String {
    format!("d{number}:8086")
}

/// What data nodes share with those who judge them.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    /// Operations.
    pub ledger: Ledger,
    /// Who held the lease when.
    pub leases: Holdings,
}

/// See the module's header.
#[derive(Debug)]
pub struct DataProgram {
    me: NodeId,
    number: usize,
    meta_addrs: Vec<String>,
    witness: Witness,
    log: Option<MemoryLog>,
    keeps_too_early: bool,
    forget: ForgetSettings,
    running: Mutex<Option<Arc<DataNode>>>,
}

/// A data node while it runs.
#[derive(Debug)]
pub struct DataNode {
    /// Its part in the cluster.
    pub member: Arc<Member>,
    /// Compares its shards with those of others.
    pub entropy: Arc<Entropy>,
    follower: Arc<Follower>,
    clock: Arc<Clock>,
    machine: Machine,
    witness: Witness,
}

impl DataProgram {
    /// The node with this id, `number` in its addresses.
    pub fn new(me: NodeId, number: usize, meta_addrs: Vec<String>, witness: Witness) -> Self {
        let running = Mutex::default();
        let forget = ForgetSettings { after: Duration::ZERO, ..ForgetSettings::default() };
        Self { me, number, meta_addrs, witness, log: None, keeps_too_early: false, forget, running }
    }

    /// Deletes are forgotten so; with a mistake that has to be found, if that is wanted.
    #[must_use]
    pub fn forgetting(self, forget: ForgetSettings) -> Self {
        Self { forget, ..self }
    }

    /// Writes go through this log; with a mistake that has to be found, if that is wanted.
    #[must_use]
    pub fn with_log(self, log: Option<MemoryLog>, keeps_too_early: bool) -> Self {
        Self { log, keeps_too_early, ..self }
    }

    /// Its way to the log.
    pub fn log(&self) -> Option<&MemoryLog> {
        self.log.as_ref()
    }

    /// The node, while it runs.
    pub fn running(&self) -> Option<Arc<DataNode>> {
        self.running.lock().clone()
    }

    fn open(&self, machine: &Machine) -> Result<Arc<DataNode>, String> {
        let options = StoreOptions {
            versions: VersionPolicy::Keep,
            memory: Arc::new(MemoryBudget::new(256 << 20).with_ceiling(Consumer::Memtables, 64 << 20)),
            overload_wait: Duration::ZERO,
            background: false,
            ..StoreOptions::default()
        };
        let store = Store::open_on(Arc::clone(&machine.fs), Path::new("data"), options);
        let store = Arc::new(store.map_err(|error| error.to_string())?);
        let (transport, fs) = (Arc::clone(&machine.transport), Arc::clone(&machine.fs));
        let follower = Follower::open(Arc::clone(&transport), fs, Path::new("meta"), self.meta_addrs.clone());
        let follower = follower.map_err(|error| error.to_string())?;
        let clock = Arc::new(Clock::new(self.me.0 as u16, store.latest_version()));
        let parts = Parts {
            me: self.me,
            store,
            clock: Arc::clone(&clock),
            wall: Arc::clone(&machine.wall),
            fs: Arc::clone(&machine.fs),
            transport,
            catalogues: Arc::clone(&follower) as Arc<dyn Catalogues>,
            admission: Arc::new(NoLimits),
        };
        let hints = HintSettings {
            retry_interval: Duration::from_millis(200),
            retry_max_interval: Duration::from_secs(2),
            batch_bytes: 400,
            ..HintSettings::default()
        };
        let settings = MemberSettings {
            patience: Duration::from_millis(600),
            suspect_after: Duration::from_millis(400),
            // Half of the runs: what is promised does not depend on it.
            allow_out_of_order_writes: machine.seed % 2 == 1,
            hints,
            forget: self.forget,
        };
        let member = Member::open(parts, Path::new("hh"), settings).map_err(|error| error.to_string())?;
        if let Some(log) = &self.log {
            let settings = LogSettings {
                probe_every: Duration::from_millis(200),
                patience: Duration::ZERO,
                idle: Duration::from_millis(20),
                batch_bytes: 1_500,
                keep_every: Duration::from_millis(300),
                delete_timeout: Duration::from_millis(500),
                threads: 1,
                keeps_too_early: self.keeps_too_early,
                ..LogSettings::new(FRESHNESS)
            };
            let (fs, log) = (Arc::clone(&machine.fs), Arc::new(log.same_link()) as _);
            let path = LogPath::open(&member, fs, Path::new("meta"), (LOG, log), settings);
            member.write_through(path.map_err(|error| error.to_string())?);
        }
        let compare = EntropySettings {
            check_interval: Duration::from_secs(5),
            seed: machine.seed,
            ..EntropySettings::default()
        };
        let fs = Arc::clone(&machine.fs);
        let entropy = Entropy::open(Arc::clone(&member), fs, Path::new("meta"), compare);
        let entropy = entropy.map_err(|error| error.to_string())?;
        let (machine, witness) = (machine.clone(), self.witness.clone());
        Ok(Arc::new(DataNode { member, entropy, follower, clock, machine, witness }))
    }
}

#[async_trait]
impl Program for DataProgram {
    async fn boot(&self, machine: Machine) -> Result<Vec<(String, Router)>, String> {
        let node = self.open(&machine)?;
        let follower = Arc::clone(&node.follower);
        tokio::spawn(async move { follower.follow().await });
        let [delivering, watching, in_touch] = [(); 3].map(|()| Arc::clone(&node.member));
        tokio::spawn(async move { delivering.run().await });
        tokio::spawn(async move { watching.watch_wholeness().await });
        tokio::spawn(async move { in_touch.keep_in_touch().await });
        let mut peers = node.member.router().and(node.entropy.all_routes()).and(service::peer_router(&node));
        if let Some(log) = node.member.log() {
            let [applying, watching, asking] = [(); 3].map(|()| Arc::clone(log));
            tokio::spawn(async move { applying.run().await });
            tokio::spawn(async move { watching.watch_log().await });
            tokio::spawn(async move { asking.watch_peers().await });
            peers = peers.and(log.router());
        }
        let comparing = Arc::clone(&node.entropy);
        tokio::spawn(async move { comparing.run().await });
        let holder = LeaseHolder::new(LEASE, self.me, Arc::clone(&node.follower) as Arc<dyn Catalogues>);
        let keeping = Arc::clone(&holder);
        tokio::spawn(async move { keeping.keep().await });
        tokio::spawn(watch_lease(machine, self.witness.leases.clone(), holder));
        tokio::spawn(upkeep::maintain(Arc::clone(&node)));
        *self.running.lock() = Some(Arc::clone(&node));
        Ok(vec![
            (tcp_address(self.number), peers),
            (client_address(self.number), service::client_router(&node)),
        ])
    }

    fn crashed(&self) {
        self.running.lock().take();
    }
}

/// Everything that shards of a node show, or one of them.
pub fn read_all(store: &Store, only: Option<u64>) -> Result<Found, ReadError> {
    let mut found = BTreeMap::new();
    for shard in store.shards() {
        if only.is_none_or(|only| only == shard.id().0) {
            read_shard(&shard, &mut found)?;
        }
    }
    Ok(found)
}

fn integer(column: &Column, row: usize) -> Option<i64> {
    let is_there = column.valid.as_ref().is_none_or(|valid| valid.get(row));
    match &column.values {
        Values::Integer(values) if is_there => Some(values[row]),
        _ => None,
    }
}

fn read_shard(shard: &Shard, found: &mut Found) -> Result<(), ReadError> {
    let snapshot = shard.snapshot();
    let fields = FIELDS.map(Arc::from);
    let scanner = snapshot.scanner(&ScanRequest::new(MEASUREMENT, &fields))?;
    for series in snapshot.select_series(MEASUREMENT, &TagPredicate::All)? {
        let key = snapshot.series_key(series);
        let mut blocks = scanner.scan(series, TimeRange::new(i64::MIN, i64::MAX), Order::Ascending)?;
        while let Some(block) = blocks.next_block()? {
            let rows = block.decode()?;
            for (row, time) in rows.times.iter().enumerate() {
                let value =
                    |field: usize| rows.columns[field].as_ref().and_then(|column| integer(column, row));
                found.insert((key.to_string(), *time), (value(0), value(1)));
            }
        }
    }
    Ok(())
}

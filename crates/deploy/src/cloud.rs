//! The cloud that an inventory describes: hosts and what they are for, where they stand, what is kept. Checked: what is
//! here fits together, so renderers need not look again. Everything is in the order of the file.

mod fronts;
mod host;
mod kafka;
mod network;

use std::net::IpAddr;

pub use fronts::Fronts;
pub use host::{Host, Role};
pub use kafka::{Kafka, KafkaMode};
pub use network::Network;

use crate::inventory::Lines;

/// Ports, the same everywhere: those that the originals use, or the usual ones with TLS.
pub mod ports {
    /// Clients, on data nodes and on fronts.
    pub const HTTP: u16 = 8086;
    /// Data nodes, for other nodes.
    pub const NODE: u16 = 8088;
    /// Meta nodes, for other meta nodes.
    pub const RAFT: u16 = 8089;
    /// Meta nodes, for data nodes and operators.
    pub const META: u16 = 8091;
    /// Grafana.
    pub const GRAFANA: u16 = 3000;
    /// The console.
    pub const CONSOLE: u16 = 3001;
    /// Statistics of HAProxy, for people and for Prometheus.
    pub const HAPROXY_STATS: u16 = 8404;
    /// Kafka, for its clients.
    pub const KAFKA: u16 = 9092;
    /// Kafka, between brokers.
    pub const KAFKA_BROKERS: u16 = 9093;
    /// Kafka's controllers (KRaft).
    pub const KAFKA_CONTROLLERS: u16 = 9094;
    /// ZooKeeper, for Kafka: with TLS.
    pub const ZOOKEEPER: u16 = 2281;
    /// ZooKeeper, followers to their leader.
    pub const ZOOKEEPER_PEERS: u16 = 2888;
    /// ZooKeeper, elections.
    pub const ZOOKEEPER_ELECTIONS: u16 = 3888;
}

/// See the module's header.
#[derive(Debug, Clone)]
pub struct Cloud {
    /// Its name, in heads of files and as a tag.
    pub name: String,
    /// What is put behind names of hosts, such as `cloud.example`.
    pub domain: Option<String>,
    /// Data centres.
    pub sites: Vec<Site>,
    /// Everything that is rendered for.
    pub hosts: Vec<Host>,
    /// What is made once the cluster runs.
    pub databases: Vec<Database>,
    /// Who may ask and write. The administrator, the agents and Grafana are among them.
    pub users: Vec<User>,
    /// How copies come to be.
    pub replication: ReplicationMode,
    /// If any host is a broker.
    pub kafka: Option<Kafka>,
    /// What the fronts let clients do.
    pub fronts: Fronts,
    /// The address that the fronts share.
    pub virtual_address: Option<VirtualAddress>,
    /// Who signs, and for how long.
    pub certificates: CertificateSettings,
    /// Whom alerts go to.
    pub alerts: Alerts,
    /// What watches the hosts.
    pub agents: Agents,
    pub(crate) lines: Lines,
}

impl Cloud {
    /// The hosts with a role, in the order of the file.
    pub fn with(&self, role: Role) -> impl Iterator<Item = &Host> + Clone {
        self.hosts.iter().filter(move |host| host.has(role))
    }

    /// The host of a name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// A name as every host of the cloud resolves it and as certificates have it: with the domain, if there is one.
    #[must_use]
    pub fn full_name(&self, name: &str) -> String {
        match &self.domain {
            Some(domain) => format!("{name}.{domain}"),
            None => name.to_owned(),
        }
    }

    /// The number of a host among those with a role, from 1: the one it was given, or its place in the file.
    #[must_use]
    pub fn number(&self, host: &Host, role: Role) -> u32 {
        let place = self.with(role).position(|other| other.name == host.name).unwrap_or(0) + 1;
        host.id.unwrap_or_else(|| u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// Names of the hosts with a role, with a port, as lists of servers are written: `a:1,b:1`.
    #[must_use]
    pub fn addresses(&self, role: Role, port: u16) -> String {
        let all: Vec<_> =
            self.with(role).map(|host| format!("{}:{port}", self.full_name(&host.name))).collect();
        all.join(",")
    }

    /// Where clients go for the HTTP API: the shared address, else the front, else every data node.
    #[must_use]
    pub fn entrances(&self) -> Vec<String> {
        let url = |name: &str| format!("https://{}:{}", self.full_name(name), ports::HTTP);
        match &self.virtual_address {
            Some(shared) => vec![url(&shared.name)],
            None => {
                let role = if self.with(Role::Front).next().is_some() { Role::Front } else { Role::Data };
                self.with(role).map(|host| url(&host.name)).collect()
            }
        }
    }

    /// Whether an agent runs on a host.
    #[must_use]
    pub fn has_agent(&self, host: &Host) -> bool {
        self.agents.everywhere || host.has(Role::Agent) || host.has(Role::Hypervisor)
    }

    /// The user of a name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }
}

/// A data centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The tag `datacenter` of what its hosts report.
    pub name: String,
    /// Its racks.
    pub racks: Vec<String>,
}

/// A database, and how its points are kept.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// The first one is the default.
    pub policies: Vec<Policy>,
}

/// A retention policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// For how long points are kept, in nanoseconds; `None`: for ever.
    pub duration: Option<i64>,
    /// What a shard group covers, in nanoseconds; `None` leaves it to the server.
    pub shard_duration: Option<i64>,
    /// Copies of every point.
    pub replication: u32,
    pub(crate) lines: Lines,
    /// Where it stands in the file, as a path.
    pub(crate) path: String,
}

/// Somebody who asks or writes; the password is among the secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// May do everything.
    pub admin: bool,
    /// Databases that may be read.
    pub read: Vec<String>,
    /// Databases that may be written.
    pub write: Vec<String>,
}

/// The administrator, who is always there.
pub const ADMIN: &str = "admin";
/// The user that agents write as, who is always there.
pub const AGENT: &str = "agent";
/// The user that Grafana asks as, who is there when Grafana is.
pub const GRAFANA: &str = "grafana";

/// How copies of points come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationMode {
    /// Data nodes send each other what is written.
    Native,
    /// Writes go through Kafka; owners of shards consume them.
    Kafka,
}

/// The address that the fronts share by VRRP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address itself.
    pub network: Network,
    /// Where it is put up, unless a host says otherwise.
    pub interface: String,
    /// Number of the virtual router, 1 to 255: no other of this network may have it.
    pub router_id: u8,
    /// Its name, without the domain.
    pub name: String,
}

/// Who signs the certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSettings {
    /// Where they are: `ca.pem`, and `NAME.pem` and `NAME.key` of every host. As written, relative to the inventory.
    pub directory: String,
    /// Somebody else made them; nothing is signed here.
    pub given: bool,
    /// Days for which a host's certificate is valid.
    pub days: u32,
    /// Days for which the authority's is.
    pub authority_days: u32,
    pub(crate) lines: Lines,
}

/// Whom alerts go to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alerts {
    /// A Discord channel's webhook.
    pub discord_webhook: Option<String>,
}

/// What watches the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agents {
    /// On every host, not only where the inventory says `agent` or `hypervisor`.
    pub everywhere: bool,
    /// How often, as Telegraf writes it.
    pub interval: String,
    /// The database they write.
    pub database: String,
    /// Through Kafka, not to the data nodes.
    pub through_kafka: bool,
}

/// Whether an address and another are of the same family.
#[must_use]
pub(crate) fn same_family(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

//! A host and what it is for.

use std::net::IpAddr;

use crate::inventory::Lines;

/// What a host is for. One may have several, where their ports do not collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `skywatch meta`
    Meta,
    /// `skywatch data`
    Data,
    /// HAProxy and, with a shared address, keepalived.
    Front,
    /// A Kafka broker.
    Kafka,
    /// A ZooKeeper node, for Kafka 3.
    ZooKeeper,
    /// A controller of Kafka's (KRaft); without any the brokers are.
    Controller,
    /// Grafana.
    Grafana,
    /// An agent that watches libvirt's virtual machines too.
    Hypervisor,
    /// An agent.
    Agent,
}

impl Role {
    /// The words of the inventory.
    pub const WORDS: [(&'static str, Self); 9] = [
        ("meta", Self::Meta),
        ("data", Self::Data),
        ("front", Self::Front),
        ("kafka", Self::Kafka),
        ("zookeeper", Self::ZooKeeper),
        ("controller", Self::Controller),
        ("grafana", Self::Grafana),
        ("hypervisor", Self::Hypervisor),
        ("agent", Self::Agent),
    ];

    /// The word of the inventory.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, role)| *role == self).map_or("", |(word, _)| word)
    }
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name, without the domain.
    pub name: String,
    /// Where others reach it; the first is the one that goes into files.
    pub addresses: Vec<IpAddr>,
    /// The data centre.
    pub site: String,
    /// The rack.
    pub rack: String,
    /// What it is for.
    pub roles: Vec<Role>,
    /// Processor cores, if they are told.
    pub cores: Option<u32>,
    /// Bytes of memory, if they are told.
    pub memory: Option<u64>,
    /// The network interface of a shared address, where it has another name on this host.
    pub interface: Option<String>,
    /// Number among the brokers, the ZooKeeper nodes or the controllers, from 1, if one was given.
    pub id: Option<u32>,
    pub(crate) lines: Lines,
}

impl Host {
    /// Whether it is for something.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The address that goes into files.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        // An inventory with a host without one is refused.
        self.addresses.first().copied().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
    }
}

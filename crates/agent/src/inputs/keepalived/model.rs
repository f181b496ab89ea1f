//! What keepalived tells, whichever file it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Everything of one gather.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Readings {
    pub(super) instances: Vec<Instance>,
    pub(super) groups: Vec<Group>,
    pub(super) tracks: Vec<Track>,
    pub(super) virtual_servers: Vec<VirtualServer>,
    /// The addresses of this host, where they were looked for.
    pub(super) present: Option<BTreeSet<IpAddr>>,
}

impl Readings {
    /// The instance of this name, made if there is none.
    pub(super) fn instance(&mut self, name: &str) -> &mut Instance {
        let at = self.instances.iter().position(|instance| instance.name == name).unwrap_or_else(|| {
            self.instances.push(Instance { name: name.to_owned(), ..Instance::default() });
            self.instances.len() - 1
        });
        &mut self.instances[at]
    }
}

/// A state of VRRP, by keepalived's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Init = 0,
    Backup = 1,
    Master = 2,
    Fault = 3,
}

impl State {
    pub(super) fn of_number(number: i64) -> Option<Self> {
        [Self::Init, Self::Backup, Self::Master, Self::Fault]
            .into_iter()
            .find(|state| *state as i64 == number)
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::Init, Self::Backup, Self::Master, Self::Fault].into_iter().find(|state| state.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
        }
    }
}

/// A VRRP instance.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) interface: Option<String>,
    pub(super) virtual_router_id: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) group: Option<String>,
    pub(super) state: Option<State>,
    pub(super) wanted_state: Option<State>,
    pub(super) priority: Option<i64>,
    pub(super) effective_priority: Option<i64>,
    /// Seconds since the Unix epoch.
    pub(super) last_transition: Option<f64>,
    pub(super) addresses: Vec<VirtualAddress>,
    /// By the names of [`COUNTERS`].
    pub(super) counters: BTreeMap<&'static str, u64>,
}

/// The counters of an instance: our name, that of JSON, and that of text with the heading it stands under.
pub(super) const COUNTERS: [(&str, &str, &str, &str); 14] = [
    ("adverts_received", "advert_rcvd", "Advertisements", "Received"),
    ("adverts_sent", "advert_sent", "Advertisements", "Sent"),
    ("became_master", "become_master", "", "Became master"),
    ("released_master", "release_master", "", "Released master"),
    ("packet_length_errors", "packet_len_err", "Packet Errors", "Length"),
    ("ip_ttl_errors", "ip_ttl_err", "Packet Errors", "TTL"),
    ("invalid_type_received", "invalid_type_rcvd", "Packet Errors", "Invalid Type"),
    ("advert_interval_errors", "advert_interval_err", "Packet Errors", "Advertisement Interval"),
    ("address_list_errors", "addr_list_err", "Packet Errors", "Address List"),
    ("invalid_auth_type", "invalid_authtype", "Authentication Errors", "Invalid Type"),
    ("auth_type_mismatches", "authtype_mismatch", "Authentication Errors", "Type Mismatch"),
    ("auth_failures", "auth_failure", "Authentication Errors", "Failure"),
    ("priority_zero_received", "pri_zero_rcvd", "Priority Zero", "Received"),
    ("priority_zero_sent", "pri_zero_sent", "Priority Zero", "Sent"),
];

/// An address that an instance moves about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VirtualAddress {
    pub(super) address: IpAddr,
    pub(super) interface: Option<String>,
    /// Not in the adverts.
    pub(super) excluded: bool,
    /// Whether keepalived has set it.
    pub(super) set: bool,
}

impl VirtualAddress {
    /// Reads `10.77.0.100/24 dev eth0 scope global label eth0:1 set`, as every file writes them.
    pub(super) fn parse(text: &str, excluded: bool) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let address = words.next()?.split('/').next()?.parse().ok()?;
        let rest: Vec<&str> = words.collect();
        let interface = rest.iter().position(|word| *word == "dev").and_then(|at| rest.get(at + 1));
        let set = rest.last() == Some(&"set");
        Some(Self { address, interface: interface.map(|name| (*name).to_owned()), excluded, set })
    }
}

/// A sync group.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) state: Option<State>,
    pub(super) members: Vec<String>,
}

/// What priorities and states follow.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Track {
    /// `script`, `file` or `process`.
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Whether it is as it should be, where that is said.
    pub(super) ok: Option<bool>,
    /// The number in a file, the processes there are, a script's result.
    pub(super) value: Option<i64>,
    pub(super) weight: Option<i64>,
}

/// A virtual server.
#[derive(Debug, Default, PartialEq)]
pub(super) struct VirtualServer {
    /// `10.77.0.100:80`, `[fd00::1]:80`, `fwmark:7` or `group:web`.
    pub(super) name: String,
    pub(super) protocol: Option<String>,
    pub(super) scheduler: Option<String>,
    pub(super) quorum: Option<i64>,
    pub(super) hysteresis: Option<i64>,
    pub(super) quorum_up: Option<bool>,
    pub(super) sorry_server: Option<String>,
    pub(super) real_servers: Vec<RealServer>,
}

/// A real server of a virtual one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RealServer {
    pub(super) address: String,
    pub(super) port: Option<String>,
    pub(super) forwarding: Option<String>,
    pub(super) weight: Option<i64>,
    pub(super) effective_weight: Option<i64>,
    pub(super) alive: Option<bool>,
    pub(super) failed_checkers: Option<i64>,
    /// Whether it is in the kernel's table.
    pub(super) set: Option<bool>,
}

//! What a host has, compared with what its roles need. The figures for nodes are the usual recommendation; what was
//! measured of Skywatch is told beside them, so that one can decide to go below.

use super::key_of;
use crate::{
    cloud::{Cloud, Host, Role},
    problem::Problems,
};

const GIB: u64 = 1 << 30;

/// What a role is recommended to have.
struct Need {
    role: Role,
    cores: u32,
    memory: u64,
    /// What was measured, so that less can be chosen knowingly.
    measured: &'static str,
}

const NEEDS: [Need; 7] = [
    Need {
        role: Role::Data,
        cores: 8,
        memory: 16 * GIB,
        measured: "measured: 2 cores take in 13 million values/s with 120 MB beside the page cache, 306 bytes more a new series",
    },
    Need {
        role: Role::Meta,
        cores: 1,
        memory: 2 * GIB,
        measured: "measured: well below 100 MB and a few per cent of a core",
    },
    Need {
        role: Role::Kafka,
        cores: 2,
        memory: 4 * GIB,
        measured: "its heap is set to a quarter of the memory, the rest is page cache for consumers",
    },
    Need { role: Role::ZooKeeper, cores: 1, memory: GIB, measured: "its heap is 512 MB" },
    Need { role: Role::Controller, cores: 1, memory: 2 * GIB, measured: "its heap is 1 GB" },
    Need { role: Role::Front, cores: 2, memory: GIB, measured: "TLS of clients costs most of it" },
    Need { role: Role::Grafana, cores: 1, memory: GIB, measured: "it grows with dashboards that are open" },
];

pub(super) fn check(cloud: &Cloud, problems: &mut Problems) {
    for host in &cloud.hosts {
        let needs: Vec<_> = NEEDS.iter().filter(|need| host.has(need.role)).collect();
        if !needs.is_empty() {
            compare(host, &needs, problems);
        }
    }
}

fn compare(host: &Host, needs: &[&Need], problems: &mut Problems) {
    let cores: u32 = needs.iter().map(|need| need.cores).sum();
    let memory: u64 = needs.iter().map(|need| need.memory).sum();
    let roles: Vec<_> = needs.iter().map(|need| need.role.word()).collect();
    let measured: Vec<_> = needs.iter().map(|need| need.measured).collect();
    let (roles, measured) = (roles.join(" and "), measured.join("; "));
    if let Some(has) = host.cores.filter(|has| *has < cores) {
        let message = format!("is {has}, recommended for {roles}: {cores} ({measured})");
        problems.hint(host.lines.of("cores"), key_of(host, "cores"), message);
    }
    if let Some(has) = host.memory.filter(|has| *has < memory) {
        let message = format!("is {}, recommended for {roles}: {} ({measured})", shown(has), shown(memory));
        problems.hint(host.lines.of("memory"), key_of(host, "memory"), message);
    }
}

fn shown(bytes: u64) -> String {
    if bytes.is_multiple_of(GIB) { format!("{}g", bytes / GIB) } else { format!("{}m", bytes >> 20) }
}

//! Addresses, names, numbers and ports: nobody may have another's.

use std::{collections::BTreeMap, net::IpAddr};

use super::key_of;
use crate::{
    cloud::{Cloud, Host, Role, VirtualAddress, ports, same_family},
    problem::Problems,
};

pub(super) fn check(cloud: &Cloud, problems: &mut Problems) {
    addresses(cloud, problems);
    names(cloud, problems);
    ids(cloud, problems);
    for host in &cloud.hosts {
        listeners(host, problems);
    }
    if let Some(shared) = &cloud.virtual_address {
        virtual_address(cloud, shared, problems);
    } else {
        without_virtual_address(cloud, problems);
    }
}

fn addresses(cloud: &Cloud, problems: &mut Problems) {
    let mut owners: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for host in &cloud.hosts {
        for address in &host.addresses {
            match owners.get(address) {
                Some(other) if *other == host.name => {
                    problems.error(
                        host.lines.of("address"),
                        key_of(host, "address"),
                        format!("names {address} twice"),
                    );
                }
                Some(other) => {
                    problems.error(
                        host.lines.of("address"),
                        key_of(host, "address"),
                        format!("{address} is that of {other} already"),
                    );
                }
                None => drop(owners.insert(*address, &host.name)),
            }
        }
    }
}

fn names(cloud: &Cloud, problems: &mut Problems) {
    if let Some(shared) = &cloud.virtual_address
        && cloud.host(&shared.name).is_some()
    {
        let line = cloud.lines.of("virtual-address");
        let message = format!("{:?} is the name of a host: give the shared address another", shared.name);
        problems.error(line, "virtual-address.name", message);
    }
    let limit = 64;
    for host in &cloud.hosts {
        let full = cloud.full_name(&host.name);
        if full.len() > limit {
            // What the name of a certificate holds, and Linux as the name of a host.
            let message = format!("{full} is longer than {limit} letters: shorten it or the domain");
            problems.error(host.lines.of(""), format!("hosts.{}", host.name), message);
        }
    }
}

/// Numbers are those of the roles that have numbers.
fn ids(cloud: &Cloud, problems: &mut Problems) {
    let numbered = [Role::Kafka, Role::ZooKeeper, Role::Controller];
    for role in numbered {
        let mut owners: BTreeMap<u32, &str> = BTreeMap::new();
        for host in cloud.with(role) {
            if let Some(id) = host.id
                && let Some(other) = owners.insert(id, &host.name)
            {
                let message =
                    format!("{id} is that of {other} already, which has the role {:?} too", role.word());
                problems.error(host.lines.of("id"), key_of(host, "id"), message);
            }
        }
        let total = cloud.with(role).count();
        if !owners.is_empty() && owners.len() < total {
            for host in cloud.with(role).filter(|host| host.id.is_none()) {
                let message = format!("is missing: other hosts with the role {:?} have one", role.word());
                problems.error(host.lines.of("id"), key_of(host, "id"), message);
            }
        }
    }
    for host in cloud.hosts.iter().filter(|host| host.id.is_some()) {
        if !numbered.into_iter().any(|role| host.has(role)) {
            let message = "is for hosts with the roles kafka, zookeeper or controller: take it away";
            problems.error(host.lines.of("id"), key_of(host, "id"), message);
        }
    }
}

/// What each role listens on.
fn ports_of(role: Role) -> &'static [u16] {
    match role {
        Role::Meta => &[ports::RAFT, ports::META],
        Role::Data => &[ports::HTTP, ports::NODE],
        // Also the meta nodes' API and the console.
        Role::Front => &[ports::HTTP, ports::META, ports::CONSOLE, ports::HAPROXY_STATS],
        Role::Kafka => &[ports::KAFKA, ports::KAFKA_BROKERS],
        Role::ZooKeeper => &[ports::ZOOKEEPER, ports::ZOOKEEPER_PEERS, ports::ZOOKEEPER_ELECTIONS],
        Role::Controller => &[ports::KAFKA_CONTROLLERS],
        Role::Grafana => &[ports::GRAFANA],
        Role::Hypervisor | Role::Agent => &[],
    }
}

fn listeners(host: &Host, problems: &mut Problems) {
    let mut owners: BTreeMap<u16, Role> = BTreeMap::new();
    for role in &host.roles {
        for port in ports_of(*role) {
            if let Some(other) = owners.insert(*port, *role) {
                let message = format!(
                    "{:?} and {:?} both listen on port {port}: put them on different hosts",
                    other.word(),
                    role.word()
                );
                problems.error(host.lines.of("roles"), key_of(host, "roles"), message);
                return;
            }
        }
    }
}

fn virtual_address(cloud: &Cloud, shared: &VirtualAddress, problems: &mut Problems) {
    let line = cloud.lines.of("virtual-address");
    let mut error =
        |key: &str, message: String| problems.error(line, format!("virtual-address.{key}"), message);
    let fronts: Vec<_> = cloud.with(Role::Front).collect();
    if fronts.is_empty() {
        error("address", "is shared by the fronts, and no host has the role \"front\"".into());
    }
    if let Some(owner) = cloud.hosts.iter().find(|host| host.addresses.contains(&shared.network.address)) {
        error(
            "address",
            format!("{} is that of {}: it has to be nobody's", shared.network.address, owner.name),
        );
    }
    for front in &fronts {
        if front.addresses.iter().any(|address| shared.network.contains(*address)) {
            continue;
        }
        let (address, network) = (front.address(), shared.network);
        let message = if same_family(address, network.address) {
            format!(
                "{network} is outside the network of {} ({address}): VRRP works within one network",
                front.name
            )
        } else {
            format!("{network} is of another family than the address of {} ({address})", front.name)
        };
        error("address", message);
    }
    if fronts.len() == 1 {
        let message =
            "is of one front only: when it fails nobody takes the address over; give a second host the role";
        problems.warning(line, "virtual-address", message);
    }
    for host in cloud.hosts.iter().filter(|host| host.interface.is_some() && !host.has(Role::Front)) {
        let message = "is for the shared address of fronts: take it away";
        problems.error(host.lines.of("interface"), key_of(host, "interface"), message);
    }
}

fn without_virtual_address(cloud: &Cloud, problems: &mut Problems) {
    let line = cloud.lines.of("hosts");
    match cloud.with(Role::Front).count() {
        0 if cloud.with(Role::Data).count() > 1 => {
            let message = "have no front: clients have to know every data node and turn to the next one by themselves";
            problems.warning(line, "hosts", message);
        }
        0 => {}
        1 => problems.warning(
            line,
            "hosts",
            "have one front and no [virtual-address]: when it fails nobody reaches the data nodes; add a second front and \
             an address that both share",
        ),
        _ => problems.error(
            line,
            "hosts",
            "have several fronts and no [virtual-address]: clients would not know which to ask; add [virtual-address]",
        ),
    }
    for host in cloud.hosts.iter().filter(|host| host.interface.is_some()) {
        let message = "is for a shared address, and there is no [virtual-address]: take it away";
        problems.error(host.lines.of("interface"), key_of(host, "interface"), message);
    }
}

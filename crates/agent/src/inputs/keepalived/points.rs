//! Metrics of what keepalived tells. Pure.

use super::model::{Instance, Readings, State, VirtualServer};
use crate::input::Accumulator;
use crate::metric::Metric;

/// Adds the metrics of a keepalived that runs; those of addresses if asked for.
pub(super) fn add(acc: &mut Accumulator, readings: &Readings, addresses: bool) {
    acc.add(
        acc.metric("keepalived")
            .field("running", 1_i64)
            .field("vrrp_instances", count(readings.instances.len()))
            .field("vrrp_masters", count(masters(readings)))
            .field("virtual_servers", count(readings.virtual_servers.len())),
    );
    for instance in &readings.instances {
        add_instance(acc, instance, readings);
        if addresses {
            add_addresses(acc, instance, readings);
        }
    }
    for group in &readings.groups {
        let mut metric = acc.metric("keepalived_sync_group").tag("group", &group.name);
        set_state(&mut metric, "state", group.state);
        acc.add(metric.field("members", count(group.members.len())));
    }
    for track in &readings.tracks {
        let mut metric = acc.metric("keepalived_track").tag("type", track.kind).tag("name", &track.name);
        set(&mut metric, "ok", track.ok.map(i64::from));
        set(&mut metric, "value", track.value);
        set(&mut metric, "weight", track.weight);
        acc.add(metric);
    }
    for server in &readings.virtual_servers {
        add_virtual_server(acc, server);
    }
}

/// Adds the metric of a keepalived that does not run.
pub(super) fn add_stopped(acc: &mut Accumulator) {
    acc.add(acc.metric("keepalived").field("running", 0_i64));
}

fn masters(readings: &Readings) -> usize {
    readings.instances.iter().filter(|instance| instance.state == Some(State::Master)).count()
}

fn add_instance(acc: &mut Accumulator, instance: &Instance, readings: &Readings) {
    let mut metric = acc.metric("keepalived_vrrp").tag("instance", &instance.name);
    tag(&mut metric, "interface", instance.interface.as_deref());
    tag(&mut metric, "virtual_router_id", instance.virtual_router_id.map(|id| id.to_string()).as_deref());
    tag(&mut metric, "group", instance.group.as_deref());
    set_state(&mut metric, "state", instance.state);
    set(&mut metric, "wanted_state", instance.wanted_state.map(|state| state as i64));
    set(&mut metric, "version", instance.version);
    set(&mut metric, "priority", instance.priority);
    set(&mut metric, "effective_priority", instance.effective_priority);
    if let Some(at) = instance.last_transition.filter(|at| *at > 0.0) {
        metric.set_field("last_transition", at);
        metric.set_field("seconds_since_transition", acc.now_ns() as f64 / 1e9 - at);
    }
    let addresses = &instance.addresses;
    metric.set_field("addresses", count(addresses.len()));
    metric.set_field("addresses_set", count(addresses.iter().filter(|address| address.set).count()));
    if let Some(present) = &readings.present {
        let found = addresses.iter().filter(|address| present.contains(&address.address)).count();
        metric.set_field("addresses_present", count(found));
    }
    for (name, value) in &instance.counters {
        metric.set_field(*name, *value);
    }
    let counter = |name| instance.counters.get(name);
    if let (Some(became), Some(released)) = (counter("became_master"), counter("released_master")) {
        metric.set_field("transitions", became.saturating_add(*released));
    }
    acc.add(metric);
}

fn add_addresses(acc: &mut Accumulator, instance: &Instance, readings: &Readings) {
    for address in &instance.addresses {
        let mut metric = acc
            .metric("keepalived_address")
            .tag("instance", &instance.name)
            .tag("address", address.address.to_string());
        tag(&mut metric, "interface", address.interface.as_deref());
        set(&mut metric, "expected", instance.state.map(|state| i64::from(state == State::Master)));
        metric.set_field("set", i64::from(address.set));
        metric.set_field("excluded", i64::from(address.excluded));
        if let Some(present) = &readings.present {
            metric.set_field("present", i64::from(present.contains(&address.address)));
        }
        acc.add(metric);
    }
}

fn add_virtual_server(acc: &mut Accumulator, server: &VirtualServer) {
    let mut metric = acc.metric("keepalived_virtual_server").tag("virtual_server", &server.name);
    tag(&mut metric, "protocol", server.protocol.as_deref());
    tag(&mut metric, "scheduler", server.scheduler.as_deref());
    let alive = || server.real_servers.iter().filter(|real| real.alive == Some(true));
    metric.set_field("real_servers", count(server.real_servers.len()));
    metric.set_field("real_servers_alive", count(alive().count()));
    metric.set_field("weight_alive", alive().filter_map(|real| real.effective_weight).sum::<i64>());
    set(&mut metric, "quorum", server.quorum);
    set(&mut metric, "hysteresis", server.hysteresis);
    set(&mut metric, "quorum_up", server.quorum_up.map(i64::from));
    if let Some(sorry) = &server.sorry_server {
        metric.set_field("sorry_server", sorry.as_str());
    }
    acc.add(metric);
    for real in &server.real_servers {
        let mut metric = acc
            .metric("keepalived_real_server")
            .tag("virtual_server", &server.name)
            .tag("address", &real.address);
        tag(&mut metric, "protocol", server.protocol.as_deref());
        tag(&mut metric, "port", real.port.as_deref());
        tag(&mut metric, "forwarding", real.forwarding.as_deref());
        set(&mut metric, "alive", real.alive.map(i64::from));
        set(&mut metric, "set", real.set.map(i64::from));
        set(&mut metric, "weight", real.weight);
        set(&mut metric, "effective_weight", real.effective_weight);
        set(&mut metric, "failed_checkers", real.failed_checkers);
        acc.add(metric);
    }
}

fn set_state(metric: &mut Metric, key: &'static str, state: Option<State>) {
    if let Some(state) = state {
        metric.set_field(key, state as i64);
        metric.set_field(format!("{key}_name"), state.name());
    }
}

fn set(metric: &mut Metric, key: &'static str, value: Option<i64>) {
    if let Some(value) = value {
        metric.set_field(key, value);
    }
}

fn tag(metric: &mut Metric, key: &'static str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        metric.set_tag(key, value);
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

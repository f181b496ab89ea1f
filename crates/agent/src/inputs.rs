//! The inputs: one file per collector, parsing apart from scraping, and the table by which the configuration finds them.

mod command;
mod command_line;
pub(crate) mod conntrack;
pub(crate) mod cpu;
pub(crate) mod disk;
pub(crate) mod diskio;
pub(crate) mod dns_query;
pub(crate) mod docker;
mod exec;
mod execd;
mod file;
mod file_system;
#[cfg(test)]
mod golden;
pub(crate) mod haproxy;
mod http;
mod http_listener_v2;
pub(crate) mod http_response;
mod influxdb_listener;
mod influxdb_v2_listener;
mod internal;
pub(crate) mod interrupts;
pub(crate) mod kafka;
pub(crate) mod kafka_consumer;
pub(crate) mod keepalived;
pub(crate) mod kernel;
pub(crate) mod kernel_vmstat;
pub(crate) mod libvirt;
pub(crate) mod linux_sysctl_fs;
mod listener_options;
pub(crate) mod mem;
pub(crate) mod net;
pub(crate) mod net_response;
pub(crate) mod netstat;
pub(crate) mod nstat;
pub(crate) mod ping;
mod proc_dir;
mod proc_stat;
pub(crate) mod processes;
pub(crate) mod procstat;
pub(crate) mod prometheus;
pub(crate) mod sensors;
mod snmp;
mod socket_listener;
mod statsd;
pub(crate) mod swap;
pub(crate) mod system;
mod systemd;
pub(crate) mod systemd_units;
mod tail;
pub(crate) mod temp;
mod udev;
mod users;
mod x509_cert;
pub(crate) mod zookeeper;

use crate::registry::{InputEntry, polled, service};

/// Every input there is.
pub const INPUTS: &[InputEntry] = &[
    polled("conntrack", conntrack::build),
    polled("cpu", cpu::build),
    polled("disk", disk::build),
    polled("diskio", diskio::build),
    polled("dns_query", dns_query::build),
    polled("docker", docker::build),
    polled("exec", exec::build),
    service("execd", execd::build),
    polled("file", file::build),
    polled("haproxy", haproxy::build),
    polled("http", http::build),
    service("http_listener_v2", http_listener_v2::build),
    polled("http_response", http_response::build),
    service("influxdb_listener", influxdb_listener::build),
    service("influxdb_v2_listener", influxdb_v2_listener::build),
    polled("internal", internal::build),
    polled("interrupts", interrupts::build),
    // An old name of `diskio`.
    polled("io", diskio::build),
    polled("kafka", kafka::build),
    service("kafka_consumer", kafka_consumer::build),
    polled("keepalived", keepalived::build),
    polled("kernel", kernel::build),
    polled("kernel_vmstat", kernel_vmstat::build),
    polled("libvirt", libvirt::build),
    polled("linux_sysctl_fs", linux_sysctl_fs::build),
    polled("mem", mem::build),
    polled("net", net::build),
    polled("net_response", net_response::build),
    polled("netstat", netstat::build),
    polled("nstat", nstat::build),
    polled("ping", ping::build),
    polled("processes", processes::build),
    polled("procstat", procstat::build),
    polled("prometheus", prometheus::build),
    polled("sensors", sensors::build),
    polled("snmp", snmp::build),
    service("socket_listener", socket_listener::build),
    service("statsd", statsd::build),
    polled("swap", swap::build),
    polled("system", system::build),
    polled("systemd_units", systemd_units::build),
    service("tail", tail::build),
    polled("temp", temp::build),
    polled("x509_cert", x509_cert::build),
    polled("zookeeper", zookeeper::build),
];

//! What watches the hosts: `telegraf.conf` for the agent, and the same for a Telegraf that runs in its place.
//!
//! Both read the very same plugins and write to the same place; they differ in where they keep their state and in what
//! Telegraf does not have. A host runs one of them.

use crate::{
    cloud::{AGENT, Cloud, Host, Role, ports},
    file::{RenderedFile, head},
    kafka,
    plan::{Plan, paths},
};

/// Who reads a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// `skywatch agent`.
    Agent,
    /// Telegraf.
    Telegraf,
}

impl Reader {
    /// Where its package looks for it.
    const fn path(self) -> &'static str {
        match self {
            Self::Agent => "/etc/skywatch/telegraf.conf",
            Self::Telegraf => "/etc/telegraf/telegraf.conf",
        }
    }

    /// Where it may keep what it remembers.
    const fn state(self) -> &'static str {
        match self {
            Self::Agent => "/var/lib/skywatch/agent",
            Self::Telegraf => "/var/lib/telegraf",
        }
    }
}

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    let watched = plan.cloud.hosts.iter().filter(|host| plan.cloud.has_agent(host));
    let files = watched.flat_map(|host| {
        [Reader::Agent, Reader::Telegraf]
            .map(|reader| RenderedFile::on(host, reader.path(), configuration(plan, host, reader)).secret())
    });
    files.collect()
}

fn configuration(plan: &Plan, host: &Host, reader: Reader) -> String {
    let cloud = &plan.cloud;
    let what = match reader {
        Reader::Agent => "Agent of {}: skywatch-agent.service",
        Reader::Telegraf => "Telegraf of {}, in place of the agent: one of them is enough",
    };
    let mut text = head("#", &cloud.name, &what.replace("{}", &host.name));
    text += &format!(
        "
[global_tags]
  cloud = \"{cloud}\"
  datacenter = \"{site}\"
  rack = \"{rack}\"

[agent]
  interval = \"{interval}\"
  flush_interval = \"{interval}\"
  # Hosts do not all write at the same moment.
  collection_jitter = \"0s\"
  flush_jitter = \"2s\"
  hostname = \"{name}\"
  metric_batch_size = 5000
  # What an outage of the store may last: it waits on the disk, and is written when the store is back.
  metric_buffer_limit = 100000
  buffer_strategy = \"disk\"
  buffer_directory = \"{state}/buffer\"
  statefile = \"{state}/state.json\"
",
        cloud = cloud.name,
        site = host.site,
        rack = host.rack,
        interval = cloud.agents.interval,
        name = host.name,
        state = reader.state(),
    );
    text += &output(plan);
    text += EVERYWHERE;
    text += &certificate();
    for (role, input) in [
        (Role::Hypervisor, (|_, _| LIBVIRT.to_owned()) as fn(&Plan, &Host) -> String),
        (Role::Data, data_node),
        (Role::Front, front),
        (Role::ZooKeeper, zookeeper),
    ] {
        if host.has(role) {
            text += &input(plan, host);
        }
    }
    // One asks for the whole cluster, and Telegraf has nothing that does.
    if reader == Reader::Agent && is_first_broker(cloud, host) {
        text += &brokers(plan);
    }
    text
}

/// Where metrics go.
fn output(plan: &Plan) -> String {
    let cloud = &plan.cloud;
    if cloud.agents.through_kafka {
        return format!(
            "
# Straight into Kafka, from where the data nodes read them.
[[outputs.kafka]]
  brokers = [{brokers}]
  topic = \"{topic}\"
  # The series of a host stay in their order.
  routing_tag = \"host\"
  data_format = \"influx\"
  compression_codec = 3
  required_acks = -1
  idempotent_writes = true
{connection}",
            brokers = quoted(cloud.with(Role::Kafka).map(|host| at(cloud, host, ports::KAFKA))),
            topic = kafka::AGENTS,
            connection = kafka_connection(kafka::AGENT_USER, &plan.secrets.kafka_agent),
        );
    }
    format!(
        "
[[outputs.influxdb]]
  urls = [{urls}]
  database = \"{database}\"
  # It is made with its policies when the cluster is (RUNBOOK.md).
  skip_database_creation = true
  username = \"{AGENT}\"
  password = \"{password}\"
  timeout = \"10s\"
  tls_ca = \"{ca}\"
",
        urls = quoted(cloud.entrances()),
        database = cloud.agents.database,
        password = plan.secrets.password(AGENT),
        ca = paths::AUTHORITY,
    )
}

/// What is watched on every host.
const EVERYWHERE: &str = "
[[inputs.cpu]]
  percpu = false
  totalcpu = true
  collect_cpu_time = false
  report_active = false

[[inputs.mem]]

[[inputs.swap]]

[[inputs.system]]

[[inputs.kernel]]

[[inputs.processes]]

[[inputs.disk]]
  ignore_fs = [\"tmpfs\", \"devtmpfs\", \"devfs\", \"iso9660\", \"overlay\", \"aufs\", \"squashfs\"]

[[inputs.diskio]]

[[inputs.net]]
  ignore_protocol_stats = true

[[inputs.netstat]]

# What the agent itself does.
[[inputs.internal]]
";

const LIBVIRT: &str = "
# Virtual machines; the agent's user has to be a member of the group libvirt.
[[inputs.libvirt]]
  libvirt_uri = \"qemu:///system\"
";

/// How long this host's certificate is good for; an alert tells in time.
fn certificate() -> String {
    format!(
        "
[[inputs.x509_cert]]
  interval = \"10m\"
  sources = [\"{}\"]
  tls_ca = \"{}\"
",
        paths::CERTIFICATE,
        paths::AUTHORITY
    )
}

/// What a data node counts.
fn data_node(plan: &Plan, host: &Host) -> String {
    format!(
        "
[[inputs.prometheus]]
  urls = [\"https://{address}/metrics\"]
  metric_version = 1
  url_tag = \"\"
  username = \"{AGENT}\"
  password = \"{password}\"
  tls_ca = \"{ca}\"
",
        address = at(&plan.cloud, host, ports::HTTP),
        password = plan.secrets.password(AGENT),
        ca = paths::AUTHORITY,
    )
}

fn front(plan: &Plan, host: &Host) -> String {
    format!(
        "
[[inputs.haproxy]]
  servers = [\"https://{address}/\"]
  username = \"admin\"
  password = \"{password}\"
  tls_ca = \"{ca}\"
",
        address = at(&plan.cloud, host, ports::HAPROXY_STATS),
        password = plan.secrets.haproxy_stats,
        ca = paths::AUTHORITY,
    )
}

fn zookeeper(plan: &Plan, host: &Host) -> String {
    format!(
        "
[[inputs.zookeeper]]
  servers = [\"{address}\"]
  enable_tls = true
  tls_ca = \"{ca}\"
  tls_cert = \"{certificate}\"
  tls_key = \"{key}\"
",
        address = at(&plan.cloud, host, ports::ZOOKEEPER),
        ca = paths::AUTHORITY,
        certificate = paths::CERTIFICATE,
        key = paths::KEY,
    )
}

/// The brokers, their topics and who is behind, which only an administrator may ask; that one's password is on brokers
/// anyway. Telegraf has no such input.
fn brokers(plan: &Plan) -> String {
    format!(
        "
[[inputs.kafka]]
  brokers = [{brokers}]
{connection}",
        brokers = quoted(plan.cloud.with(Role::Kafka).map(|host| at(&plan.cloud, host, ports::KAFKA))),
        connection = kafka_connection(kafka::ADMIN_USER, &plan.secrets.kafka_admin),
    )
}

fn kafka_connection(user: &str, password: &str) -> String {
    format!(
        "  sasl_mechanism = \"PLAIN\"
  sasl_username = \"{user}\"
  sasl_password = \"{password}\"
  enable_tls = true
  tls_ca = \"{ca}\"
",
        ca = paths::AUTHORITY,
    )
}

fn is_first_broker(cloud: &Cloud, host: &Host) -> bool {
    cloud.with(Role::Kafka).next().is_some_and(|first| first.name == host.name)
}

fn at(cloud: &Cloud, host: &Host, port: u16) -> String {
    format!("{}:{port}", cloud.full_name(&host.name))
}

/// A list in TOML.
fn quoted(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(", ")
}
